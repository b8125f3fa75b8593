"""Wire contracts: what others code against. No I/O and no clock; imports nothing else of paystate."""
