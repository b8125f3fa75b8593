"""The sandbox wallet in the Alipay+ dialect: another gateway and other callbacks over the same ledger.

Written apart from the adapter, as its elder is, so that a mistake there cannot hide in both.
"""
