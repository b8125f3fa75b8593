"""Wallets: one adapter a dialect, all of them pure. Bytes go in and out; nothing here opens a connection."""
