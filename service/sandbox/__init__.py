"""A wallet that speaks the Alipay OpenAPI dialect, with its own keys and its own ledger.

It stands for the other side: nothing of the service imports it, and it reads and signs messages by its
own code (only the RSA itself is shared), so that a mistake in our adapter cannot hide in both.
"""
