"""The lane: the unit of ordering, ownership and parallelism. Records come in, one Postgres commit a batch."""
