"""Drives alipay-sdk-python, Alipay's own.

It cannot be told a port: it connects to 80 or 443, and fails over a URL that names another. So what it connects
with is given the sandbox's port here; all that it sends and reads is its own.
"""

import http.client
import importlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.util import WebUtils
from alipay.aop.api.util.SignatureUtils import get_sign_content, verify_with_rsa
from conversation import Ask, converse


def one_line(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


def begin(*, app_id: str, app_key: str, wallet_key: str, gateway: str, notify_url: str) -> Mapping[str, Ask]:
    place = urlsplit(gateway)

    class Connection(http.client.HTTPConnection):
        def __init__(self, **_: Any) -> None:
            super().__init__(place.hostname, place.port, timeout=15)

    WebUtils.httplib.HTTPConnection = Connection
    config = AlipayClientConfig()
    config.app_id = app_id
    config.server_url = f"http://{place.hostname}{place.path}"
    config.app_private_key = one_line(app_key)
    config.alipay_public_key = one_line(wallet_key)
    client = DefaultAlipayClient(config)

    def request(method: str, biz: dict[str, Any]) -> Any:
        name = "".join(part.capitalize() for part in method.split("."))
        made = getattr(importlib.import_module(f"alipay.aop.api.request.{name}Request"), f"{name}Request")()
        made.biz_content = biz
        made.notify_url = notify_url
        return made

    def call(method: str, biz: dict[str, Any]) -> Any:
        return json.loads(client.execute(request(method, biz)))

    def order_string(method: str, biz: dict[str, Any]) -> str:
        return client.sdk_execute(request(method, biz))

    def verifies(params: dict[str, str]) -> bool:
        """Without sign_type, as is right for a callback."""
        params.pop("sign_type", None)
        return verifies_order_string(params)

    def verifies_order_string(params: dict[str, str]) -> bool:
        signature = params.pop("sign")
        return verify_with_rsa(config.alipay_public_key, get_sign_content(params).encode(), signature)

    return {
        "call": call,
        "order_string": order_string,
        "verifies": verifies,
        "verifies_order_string": verifies_order_string,
    }


if __name__ == "__main__":
    converse(begin)
