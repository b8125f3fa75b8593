"""Alipay's OpenAPI: the adapter, and one module for each direction that messages go.

`terms` and `calls` say what we send, `callback` and `answer` verify what comes, `callback_facts` and
`answer_facts` say what it means. `adapter` is the only one that others need.
"""
