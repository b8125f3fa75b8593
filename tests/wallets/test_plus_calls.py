"""What we send in the Alipay+ dialect: calls, questions, and the order string."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from schemas.vocabulary import Kind, LatePayment, OperationKind
from service.wallets.adapter import BuilderRefusedError
from service.wallets.alipay_plus.headers import REQUEST_TIME, signed_text, verify_headers
from service.wallets.signatures import SignType, verify
from statemachine.inputs import OrderCreated
from statemachine.order import Operation, Order
from tests.wallets import plus
from tests.wallets.orders import CAPTURE, CLOSE, REFUND, RELEASE
from tests.wallets.vectors import NOW, public_key

PREAUTH = plus.order(Kind.PREAUTH, frozen_minor=50_000)
PAYMENT = plus.order()
AMOUNT = {"currency": "CNY"}


def call(order: Order, operation: Operation, **fields: Any) -> tuple[str, dict[str, Any]]:
    request = plus.adapter(**fields).operation_request(order, operation, NOW)
    assert not request.is_query
    return request.url.removeprefix(plus.GATEWAY), json.loads(request.body)


def question(order: Order, operation: Operation | None) -> tuple[str, dict[str, Any]]:
    request = plus.adapter().query_request(order, operation, NOW)
    assert (request.is_query, request.operation) == (True, operation)
    return request.url.removeprefix(plus.GATEWAY), json.loads(request.body)


def test_a_capture_says_whether_it_is_the_last() -> None:
    fields = {"captureRequestId": "o1__C1", "paymentId": "p1", "captureAmount": AMOUNT | {"value": "12000"}}
    assert call(PREAUTH, CAPTURE) == ("/payments/capture", fields | {"isLastCapture": False})
    assert call(PREAUTH, replace(CAPTURE, complete=True))[1]["isLastCapture"] is True


def test_a_release_is_a_void_or_a_cancel_as_the_profile_says() -> None:
    void = {"voidRequestId": "o1__R1", "paymentId": "p1", "voidAmount": AMOUNT | {"value": "38000"}}
    captured = replace(PREAUTH, taken_minor=12_000)
    assert call(captured, RELEASE) == ("/payments/void", void)
    assert call(PREAUTH, RELEASE, release_call="cancel") == ("/payments/cancel", {"paymentRequestId": "o1__F1"})


def test_a_cancel_never_gives_back_what_was_captured() -> None:
    captured = replace(PREAUTH, taken_minor=12_000)
    with pytest.raises(BuilderRefusedError, match="what was captured"):
        call(captured, RELEASE, release_call="cancel")


def test_a_close_and_a_refund() -> None:
    assert call(PAYMENT, CLOSE) == ("/payments/cancel", {"paymentRequestId": "o1"})
    assert call(PREAUTH, CLOSE) == ("/payments/cancel", {"paymentRequestId": "o1__F1"})
    refund = {"refundRequestId": "o1__B1", "paymentId": "p1", "refundAmount": AMOUNT | {"value": "2000"}}
    assert call(PAYMENT, REFUND) == ("/payments/refund", refund)
    assert call(PREAUTH, REFUND) == ("/payments/refund", refund)


def test_questions_name_our_own_numbers() -> None:
    for operation in (None, CLOSE):
        assert question(PAYMENT, operation) == ("/payments/inquiryPayment", {"paymentRequestId": "o1"})
    for operation in (None, CLOSE, CAPTURE, RELEASE):
        assert question(PREAUTH, operation) == ("/payments/inquiryPayment", {"paymentRequestId": "o1__F1"})
    assert question(PAYMENT, REFUND) == ("/payments/inquiryRefund", {"refundRequestId": "o1__B1"})


@pytest.mark.parametrize("operation", [CAPTURE, RELEASE, REFUND])
def test_without_the_payments_number_nothing_is_sent(operation: Operation) -> None:
    order = plus.order(Kind.PREAUTH, wallet_auth_no=None)
    with pytest.raises(BuilderRefusedError, match="paymentId"):
        plus.adapter().operation_request(order, operation, NOW)


def test_a_call_is_signed_over_its_path_and_body() -> None:
    request = plus.adapter().operation_request(PREAUTH, CAPTURE, NOW)
    gateway = plus.profile(wallet_keys=[{"public_key_file": "app_rsa2048.pub.pem"}])
    paths = ("/ams/api/v1/payments/capture",)
    verify_headers(request.headers, request.body, paths=paths, time_name=REQUEST_TIME, profile=gateway, at=NOW)
    assert request.headers["request-time"] == "2026-01-15T02:20:30+00:00"
    assert request.headers["content-type"] == "application/json; charset=UTF-8"
    assert request == plus.adapter().operation_request(PREAUTH, CAPTURE, NOW)
    assert request.url == plus.adapter(gateway_url=plus.GATEWAY + "/").operation_request(PREAUTH, CAPTURE, NOW).url


def test_an_order_string_is_the_pay_call_signed() -> None:
    text = plus.adapter().order_string(PAYMENT)
    assert text == plus.adapter().order_string(PAYMENT)
    assert text.isascii()
    form = {name: values[0] for name, values in parse_qs(text, strict_parsing=True).items()}
    assert list(form) == ["body", "client_id", "path", "request_time", "signature"]
    assert (form["path"], form["client_id"]) == ("/ams/api/v1/payments/pay", plus.CLIENT_ID)
    signed = signed_text(form["path"], form["client_id"], form["request_time"], form["body"].encode())
    assert verify(public_key("app_rsa2048"), signed, form["signature"], SignType.RSA2)
    assert json.loads(form["body"]) == {
        "paymentRequestId": "o1",
        "paymentAmount": AMOUNT | {"value": "50000"},
        "order": {
            "referenceOrderId": "o1",
            "orderDescription": "充电 50% off & more",
            "orderAmount": AMOUNT | {"value": "50000"},
        },
        "paymentExpiryTime": "2026-01-15T02:35:20+00:00",
        "paymentNotifyUrl": plus.NOTIFY_URL,
    }


def test_the_order_string_of_an_authorization_takes_nothing_by_itself() -> None:
    form = parse_qs(plus.adapter().order_string(PREAUTH))
    body = json.loads(form["body"][0])
    assert body["paymentRequestId"] == "o1__F1"
    assert body["paymentFactor"] == {"isAuthorization": True, "captureMode": "MANUAL"}


def test_an_order_that_has_not_been_issued_has_no_string() -> None:
    with pytest.raises(BuilderRefusedError, match="issued"):
        plus.adapter().order_string(replace(PAYMENT, issued_at=None))


def created(**fields: Any) -> OrderCreated:
    given = OrderCreated(
        event_id="e1",
        occurred_at=NOW,
        order_id="o1",
        kind=Kind.PAYMENT,
        profile="plus",
        currency="JPY",
        amount_minor=5,
        subject="a mug",
        pay_timeout_s=7,
        pay_window_s=7,
        authorization_timeout_s=60,
        late_payment=LatePayment.REFUND,
        issue=True,
        metadata={},
    )
    return replace(given, **fields)


def test_any_currency_is_taken_in_its_own_minor_units() -> None:
    for currency in ("JPY", "KWD", "CNY"):
        plus.adapter().check_terms(created(currency=currency))
    assert plus.adapter().pay_window_s(Kind.PREAUTH, 7) == 7


REFUSED = [
    ({"currency": "XXQ"}, "currency"),
    ({"amount_minor": 0}, "amount"),
    ({"amount_minor": 10**13}, "amount"),
    ({"subject": " "}, "subject"),
    ({"subject": "a\nb"}, "subject"),
    ({"subject": "a" * 257}, "subject"),
    ({"subject": "\ud800"}, "subject"),
    ({"pay_window_s": 0}, "pay_timeout_s"),
    ({"pay_window_s": 15 * 86_400 + 1}, "pay_timeout_s"),
]


@pytest.mark.parametrize(("fields", "named"), REFUSED, ids=[named for _, named in REFUSED])
def test_terms_that_are_refused_before_an_order_is_taken(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(BuilderRefusedError, match=named):
        plus.adapter().check_terms(created(**fields))


def test_what_orders_take_from_the_profile() -> None:
    adapter = plus.adapter(late_payment="accept", authorization_timeout_s=86_400)
    assert (adapter.late_payment, adapter.authorization_timeout_s) == (LatePayment.ACCEPT, 86_400)
    assert set(OperationKind) == {each.kind for each in (CAPTURE, RELEASE, CLOSE, REFUND)}
