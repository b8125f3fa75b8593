"""The production lane, relay and dispatcher on a deterministic loop, where everything fails that can fail."""
