"""What others reach over HTTP. It knows adapters and a publisher, but no Kafka, and makes no clock."""
