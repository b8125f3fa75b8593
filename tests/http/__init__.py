"""The webhook bridge, over real HTTP."""
