"""Kafka: the topics, the partitioning, and the clients as we need them set."""
