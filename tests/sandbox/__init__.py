"""The sandbox wallet, over real HTTP."""
