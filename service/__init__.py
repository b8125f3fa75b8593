"""Everything that waits: Kafka, Postgres, wallets, HTTP."""
