"""The sandbox in the Alipay+ dialect: what its gateway and its cashier refuse, and what they tell."""

import json
import tomllib
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from service.clock import SystemClock
from service.sandbox.ledger import Ledger
from service.sandbox.plus.dialect import covered, iso, sign_message
from service.wallets.signatures import SignType, sign, verify
from tests.sandbox.merchant import Merchant

PREFIX = "/ams/api/v1/payments/"
AMOUNT = {"currency": "CNY", "value": "50000"}


def pay_call(number: str = "o1", **fields: Any) -> dict[str, Any]:
    given = {
        "paymentRequestId": number,
        "paymentAmount": AMOUNT,
        "order": {"referenceOrderId": "o1", "orderDescription": "充电", "orderAmount": AMOUNT},
        "paymentExpiryTime": "2099-01-01T00:00:00+00:00",
    }
    return given | ({"paymentFactor": {"isAuthorization": True}} if "__" in number else {}) | fields


def order_string(merchant: Merchant, fields: dict[str, Any], **others: str) -> str:
    client_id, time = merchant.identity.client_id, iso(SystemClock().now())
    body = json.dumps(fields, ensure_ascii=False)
    form = {"body": body, "client_id": client_id, "path": f"{PREFIX}pay", "request_time": time} | others
    text = covered(form["path"], form["client_id"], form["request_time"], form["body"].encode())
    return urlencode({**form, "signature": sign(merchant.key, text, SignType.RSA2)} | others)


async def call(merchant: Merchant, name: str, fields: dict[str, Any] | bytes, **headers: str) -> dict[str, Any]:
    """The verified answer to a call."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    client_id, path = merchant.identity.client_id, PREFIX + name
    given = sign_message(merchant.key, client_id, path, body, time_name="request-time", now=SystemClock().now())
    given |= {each.replace("_", "-"): text for each, text in headers.items()}
    reply = await merchant.client.post(merchant.url + path, content=body, headers=given)
    assert reply.status_code == 200
    header = dict(parse_qsl(reply.headers["signature"].replace(",", "&")))
    text = covered(path, reply.headers["client-id"], reply.headers["response-time"], reply.content)
    assert verify(merchant.wallet_key, text, header["signature"].replace(" ", "+"), SignType.RSA2)
    answer: dict[str, Any] = reply.json()
    return answer


def code(answer: dict[str, Any]) -> tuple[str, str]:
    return answer["result"]["resultCode"], answer["result"]["resultStatus"]


async def test_a_call_that_is_not_this_merchants_is_refused(merchant: Merchant) -> None:
    question = {"paymentRequestId": "o1"}
    assert code(await call(merchant, "inquiryPayment", question)) == ("ORDER_NOT_EXIST", "F")
    assert code(await call(merchant, "inquiryPayment", question, client_id="X")) == ("CLIENT_INVALID", "F")
    assert code(await call(merchant, "inquiryPayment", question, request_time="now")) == ("PARAM_ILLEGAL", "F")
    for header in (
        "",
        "algorithm=RSA256,keyVersion=1,signature=YQ==",
        "algorithm=RSA1,keyVersion=1,signature=YQ==",
    ):
        refused = code(await call(merchant, "inquiryPayment", question, signature=header))
        assert refused == ("INVALID_SIGNATURE", "F")
    assert code(await call(merchant, "inquiryPayment", b'{"paymentRequestId":"a","paymentRequestId":"b"}')) == (
        "PARAM_ILLEGAL",
        "F",
    )
    assert code(await call(merchant, "prepay", question)) == ("NO_INTERFACE_DEF", "F")


@pytest.mark.parametrize(
    ("fields", "others", "why"),
    [
        (pay_call(), {"signature": "YQ=="}, "does not verify"),
        (pay_call(), {"client_id": "X"}, "not of this client"),
        (pay_call(), {"path": f"{PREFIX}refund"}, "not a call of pay"),
        (pay_call(), {"request_time": "2026-01-15T02:20:30"}, "offset"),
        (pay_call(), {"sign": "x"}, "exactly"),
        (pay_call(paymentAmount={"currency": "CNY", "value": "500.00"}), {}, "minor units"),
        (pay_call(paymentAmount={"currency": "XXQ", "value": "5"}), {}, "currency"),
        (pay_call("a__b__c"), {}, "number of a freeze"),
        (pay_call("o1__F1", paymentFactor={}), {}, "number of a freeze"),
        (pay_call(order=None), {}, "not an object"),
        (pay_call(paymentExpiryTime="tomorrow"), {}, "offset"),
    ],
)
async def test_an_order_string_that_the_cashier_refuses(
    merchant: Merchant, fields: dict[str, Any], others: dict[str, str], why: str
) -> None:
    answer = await merchant.pay(order_string(merchant, fields, **others))
    assert answer["status"] == 400
    assert why in answer["reason"]


async def test_one_order_has_one_dialect(merchant: Merchant) -> None:
    assert (await merchant.pay(order_string(merchant, pay_call()), "cancel"))["result_code"] == "6001"
    assert (await merchant.pay(merchant.payment("o1", "500.00")))["result_code"] == "4000"
    assert (await merchant.pay(order_string(merchant, pay_call())))["result_code"] == "9000"


async def test_a_payment_that_is_cancelled_goes_back_and_is_told_as_cancelled(merchant: Merchant) -> None:
    question = {"paymentRequestId": "o1"}
    await merchant.pay(order_string(merchant, pay_call()), callback="lose")
    paid = await call(merchant, "inquiryPayment", question)
    assert (paid["paymentStatus"], paid["paymentAmount"], paid["transactions"]) == ("SUCCESS", AMOUNT, [])
    for _ in range(2):
        assert code(await call(merchant, "cancel", question)) == ("SUCCESS", "S")
    told = await call(merchant, "inquiryPayment", question)
    assert (told["paymentStatus"], told["paymentTime"]) == ("CANCELLED", paid["paymentTime"])
    entry = await merchant.ledger("o1")
    assert (entry["taken_minor"], entry["refunded_minor"]) == (50_000, 50_000)
    refund = {"refundRequestId": "o1__B1", "paymentId": paid["paymentId"], "refundAmount": AMOUNT}
    assert code(await call(merchant, "refund", refund)) == ("ORDER_IS_CANCELED", "F")


async def test_a_refund_is_of_the_whole_payment_whatever_captures_it_was_taken_in(merchant: Merchant) -> None:
    await merchant.pay(order_string(merchant, pay_call("o1__F1")), callback="lose")
    payment_id = (await call(merchant, "inquiryPayment", {"paymentRequestId": "o1__F1"}))["paymentId"]
    for number, value in (("o1__C1", "20000"), ("o1__C2", "30000")):
        amount = AMOUNT | {"value": value}
        fields = {"captureRequestId": number, "paymentId": payment_id, "captureAmount": amount}
        assert code(await call(merchant, "capture", fields)) == ("SUCCESS", "S")
    refund = {"refundRequestId": "o1__B1", "paymentId": payment_id, "refundAmount": AMOUNT | {"value": "25000"}}
    assert code(await call(merchant, "refund", refund)) == ("SUCCESS", "S")
    told = await call(merchant, "inquiryRefund", {"refundRequestId": "o1__B1"})
    assert (told["refundStatus"], told["refundAmount"]["value"]) == ("SUCCESS", "25000")
    too_much = refund | {"refundRequestId": "o1__B2", "refundAmount": AMOUNT | {"value": "25001"}}
    assert code(await call(merchant, "refund", too_much)) == ("REFUND_AMOUNT_EXCEED", "F")
    assert code(await call(merchant, "inquiryRefund", {"refundRequestId": "o1__B2"})) == ("REFUND_NOT_EXIST", "F")
    assert code(await call(merchant, "cancel", {"paymentId": payment_id})) == ("ORDER_STATUS_INVALID", "F")
    listed = (await call(merchant, "inquiryPayment", {"paymentId": payment_id}))["transactions"]
    kinds = [(each["transactionType"], each["transactionAmount"]["value"]) for each in listed]
    assert kinds == [("CAPTURE", "20000"), ("CAPTURE", "30000"), ("REFUND", "25000")]


async def test_both_profiles_are_in_the_file(merchant: Merchant) -> None:
    reply = await merchant.client.get(f"{merchant.url}/sandbox/paystate.toml")
    profiles = tomllib.loads(reply.text)["profiles"]
    plus = profiles["sandbox_plus"]
    assert (plus["dialect"], plus["client_id"]) == ("alipay_plus", merchant.identity.client_id)
    assert plus["gateway_url"] == f"{merchant.url}/ams/api/v1"
    assert profiles["sandbox"]["notify_url"].endswith("/wallets/sandbox/notify")
    assert plus["notify_url"].endswith("/wallets/sandbox_plus/notify")


def test_a_ledger_from_before_there_were_two_dialects_is_taken(tmp_path: Any) -> None:
    path = tmp_path / "ledger.sqlite"
    old = Ledger(path)
    old._db.execute("alter table orders drop column dialect")
    old._db.execute("insert into orders values ('o1','payment','CNY',1,'t','','','w1','','',0,0,0,0,0)")
    old.close()
    new = Ledger(path)
    with new.transaction():
        row = new.order("o1")
    assert row is not None
    assert row.dialect == "alipay"
    new.close()
