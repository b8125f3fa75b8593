"""A wallet that speaks Alipay's OpenAPI and (in `plus`) Alipay+, with its own keys and one ledger.

It stands for the other side: nothing of the service imports it, and it reads and signs messages by its
own code (only the RSA itself is shared), so that a mistake in our adapter cannot hide in both.
"""
