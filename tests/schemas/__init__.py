"""The wire contracts: what is taken, what is refused, and that nothing else ever comes of a record."""
