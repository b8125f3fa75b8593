"""What the gateway refuses before it looks at any trade."""

from typing import Any

import pytest

from service.sandbox.dialect import encode_form
from service.sandbox.identity import fresh_identity
from service.wallets.signatures import load_private_key
from tests.sandbox.merchant import Merchant

QUESTION = {"out_trade_no": "p1"}


async def send(merchant: Merchant, params: dict[str, str], more: bytes = b"") -> dict[str, Any]:
    body = encode_form(params, "utf-8") + more
    return merchant.node((await merchant.client.post(f"{merchant.url}/gateway.do", content=body)).text)


async def test_a_strangers_signature_is_refused(merchant: Merchant) -> None:
    merchant.key = load_private_key(fresh_identity().app_private_pem)
    answer = await merchant.call("alipay.trade.query", QUESTION)
    assert (answer["node"], answer["code"], answer["sub_code"]) == (
        "error_response",
        "40002",
        "isv.invalid-signature",
    )


@pytest.mark.parametrize(
    ("changed", "sub_code"),
    [
        ({"app_id": "1"}, "isv.invalid-app-id"),
        ({"sign_type": "RSA"}, "isv.invalid-signature-type"),
        ({"method": "alipay.trade.precreate"}, "isv.invalid-method"),
        ({"biz_content": "[]"}, "isv.invalid-parameter"),
        ({"biz_content": '{"out_trade_no":"p1","out_trade_no":"p2"}'}, "isv.invalid-parameter"),
        ({"charset": "utf-7"}, "isv.invalid-parameter"),
    ],
)
async def test_calls_are_refused_by_name(merchant: Merchant, changed: dict[str, str], sub_code: str) -> None:
    answer = await send(merchant, merchant.signed("alipay.trade.query", QUESTION, **changed))
    assert answer["sub_code"] == sub_code


async def test_a_repeated_parameter_is_refused(merchant: Merchant) -> None:
    answer = await send(merchant, merchant.signed("alipay.trade.query", QUESTION), b"&method=alipay.trade.close")
    assert answer["sub_code"] == "isv.invalid-parameter"


@pytest.mark.parametrize("amount", ["0", "-1.00", "1.001", "1e3", 1.5, None])
async def test_amounts_are_decimal_strings(merchant: Merchant, amount: object) -> None:
    await merchant.pay(merchant.payment("p1"))
    wish = {"out_trade_no": "p1", "out_request_no": "p1__B1", "refund_amount": amount}
    assert (await merchant.call("alipay.trade.refund", wish))["sub_code"] == "ACQ.INVALID_PARAMETER"


async def test_a_call_that_is_too_long_is_refused(merchant: Merchant) -> None:
    reply = await merchant.client.post(f"{merchant.url}/gateway.do", content=b"a=" + b"x" * 70_000)
    assert reply.status_code == 413
