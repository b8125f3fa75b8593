"""Other people's SDKs, each in an environment of its own, as real clients of the sandbox wallet.

What they cannot do: python-alipay-sdk has no call of its own for a capture, a freeze's query or a release (its
general one serves), sends everything as a GET, and has no V2 verification; alipay-sdk-python has no verification
of callbacks as such (its `verify_with_rsa` is what there is) and does not know a port; global-open-sdk-python has
no `void`, no captures in a payment's inquiry, speaks TLS to port 443 only, and makes no order strings (what it
signs for `pay` is what ours hold). None of them makes an orderStr with a time of one's choosing but npm's.
"""
