"""Alipay+, Antom and the Mini Program Platform: one dialect of signed JSON, and one module for each direction.

`terms` and `calls` say what we send, `headers` signs it and verifies what comes, `callback` and `answer_facts`
say what it means, `standing` reads a payment. `adapter` is the only one that others need.
"""
