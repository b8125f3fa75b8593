"""The demo's shop and the wallet's cashier, in the system's Chromium, over one running installation."""
