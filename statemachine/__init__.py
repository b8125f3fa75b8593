"""The lifecycle of an order: pure, without I/O and without a clock. Time and ids are arguments."""
