"""The wallets' protocols: vectors that other programs made, and what we make and believe ourselves."""
