"""Real servers: Postgres and a Kafka broker, started by the tests themselves."""
