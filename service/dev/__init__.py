"""Embedded servers for `make demo` and the tests. Never used by a deployment."""
