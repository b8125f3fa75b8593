"""Calls of the wallet: operations after their commit, and questions about what is not known."""
