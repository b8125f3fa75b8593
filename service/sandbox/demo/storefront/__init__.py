"""The demo's shop in a browser: the mini program's server, and a page with the phone and what is behind it."""
