"""Postgres: the one authority on who owns a lane, what an order is, and how far everything has come."""
