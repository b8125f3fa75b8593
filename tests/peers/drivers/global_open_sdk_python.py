"""Drives global-open-sdk-python, of Antom.

It speaks TLS to port 443 and nothing else. So what it connects with is given the sandbox's port, without TLS,
here; all that it sends and reads is its own.
"""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from com.alipay.ams.api.default_alipay_client import DefaultAlipayClient
from com.alipay.ams.api.model.amount import Amount
from com.alipay.ams.api.net import default_http_rpc
from com.alipay.ams.api.request.pay.alipay_capture_request import AlipayCaptureRequest
from com.alipay.ams.api.request.pay.alipay_inquiry_refund_request import AlipayInquiryRefundRequest
from com.alipay.ams.api.request.pay.alipay_pay_cancel_request import AlipayPayCancelRequest
from com.alipay.ams.api.request.pay.alipay_pay_query_request import AlipayPayQueryRequest
from com.alipay.ams.api.request.pay.alipay_refund_request import AlipayRefundRequest
from com.alipay.ams.api.tools import signature_tool, webhook_tool
from conversation import Ask, converse

REQUESTS = {
    "capture": AlipayCaptureRequest,
    "cancel": AlipayPayCancelRequest,
    "refund": AlipayRefundRequest,
    "inquiryPayment": AlipayPayQueryRequest,
    "inquiryRefund": AlipayInquiryRefundRequest,
}


def one_line(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


def begin(*, client_id: str, app_key: str, wallet_key: str, gateway: str) -> Mapping[str, Ask]:
    place = urlsplit(gateway)

    class Connection(http.client.HTTPConnection):
        def __init__(self, **_: Any) -> None:
            super().__init__(place.hostname, place.port, timeout=15)

    default_http_rpc.http_client.HTTPSConnection = Connection
    # A PKCS#8 key is only taken with its own marks around it; the bare line is held to be PKCS#1.
    client = DefaultAlipayClient(f"https://{place.hostname}", client_id, one_line(app_key), one_line(wallet_key))

    def call(name: str, fields: dict[str, Any]) -> Any:
        request = REQUESTS[name]()
        for member, given in fields.items():
            setattr(request, member, Amount(**given) if isinstance(given, dict) else given)
        return json.loads(client.execute(request))

    def signs(path: str, time: str, body: str) -> str:
        """The signature in the header, escaped as it is there."""
        return signature_tool.sign("POST", path, client_id, time, body, one_line(app_key))

    def verifies(path: str, time: str, body: str, signature: str) -> bool:
        """A webhook; `signature` is the header."""
        return webhook_tool.check_signature("POST", path, client_id, time, body, signature, one_line(wallet_key))

    return {"call": call, "signs": signs, "verifies": verifies}


if __name__ == "__main__":
    converse(begin)
