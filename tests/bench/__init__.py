"""The benchmarks: throughput and latency on Apache Kafka 4 and a durable Postgres, as ratios of one run."""
