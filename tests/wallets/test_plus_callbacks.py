"""What the Alipay+ callbacks say."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.vocabulary import Outcome
from service.wallets.adapter import CallbackRefusedError
from statemachine.inputs import Trade, WalletEvidence
from tests.wallets import plus
from tests.wallets.vectors import NOW


def opened(fields: dict[str, Any] | bytes) -> WalletEvidence | None:
    return plus.adapter().open_callback(plus.called_back(fields))


def told(notify_type: str = "PAYMENT_RESULT", **fields: Any) -> WalletEvidence:
    evidence = opened(plus.notification(notify_type, **fields))
    assert evidence is not None
    assert evidence.order_id == "o1"
    return evidence


def refusal(fields: dict[str, Any] | bytes) -> str:
    with pytest.raises(CallbackRefusedError) as refused:
        opened(fields)
    return str(refused.value)


def test_a_payment_was_paid() -> None:
    said = told()
    assert (said.trade, said.order_amount_minor, said.total_taken_minor) == (Trade.PAID, 50_000, 50_000)
    assert (said.currency, said.trade_no, said.auth_no, said.request_no) == ("CNY", "p1", None, None)
    assert said.occurred_at == datetime(2026, 1, 15, 2, 20, 31, tzinfo=UTC)


def test_an_authorization_is_known_by_its_number() -> None:
    said = told(paymentRequestId="o1__F1")
    assert (said.trade, said.total_frozen_minor, said.total_taken_minor) == (Trade.FROZEN, 50_000, None)
    assert (said.trade_no, said.auth_no) == (None, "p1")


@pytest.mark.parametrize(
    "fields",
    [
        {"notify_type": "PAYMENT_PENDING"},
        {"result": plus.result("PAYMENT_PENDING")},
        {"result": plus.result("PAYMENT_IN_PROCESS", "U")},
        {"result": plus.result("SUCCESS", "A")},
        {"result": {}},
        {"result": "S"},
    ],
)
def test_what_is_pending_is_not_paid(fields: dict[str, Any]) -> None:
    said = told(**fields)
    assert (said.trade, said.total_taken_minor, said.total_frozen_minor) == (Trade.OPEN, None, None)


def test_a_payment_failed() -> None:
    said = told(result=plus.result("USER_BALANCE_NOT_ENOUGH", "F"))
    assert (said.trade, said.total_taken_minor, said.code) == (Trade.FAILED, None, "USER_BALANCE_NOT_ENOUGH")


def test_a_payment_without_an_amount_books_nothing() -> None:
    fields = plus.notification()
    del fields["paymentAmount"]
    said = opened(fields)
    assert said is not None
    assert (said.trade, said.order_amount_minor, said.total_taken_minor) == (Trade.PAID, None, None)


MOVEMENTS = [
    ("CAPTURE_RESULT", "o1__C1", 12_000),
    ("REFUND_RESULT", "o1__B1", 2_000),
    ("VOID_RESULT", "o1__R1", 38_000),
]


@pytest.mark.parametrize(("notify_type", "number", "amount_minor"), MOVEMENTS)
def test_a_movement_names_its_request(notify_type: str, number: str, amount_minor: int) -> None:
    said = told(notify_type)
    assert (said.request_no, said.outcome, said.request_amount_minor) == (number, Outcome.SUCCEEDED, amount_minor)
    assert said.trade is None
    failed = told(notify_type, result=plus.result("PROCESS_FAIL", "F"), refundStatus="FAIL")
    assert failed.outcome is Outcome.REJECTED
    assert told(notify_type, result=plus.result("X", "U"), refundStatus="PROCESSING").outcome is Outcome.PENDING


def test_a_refund_that_was_only_accepted_has_not_happened() -> None:
    assert told("REFUND_RESULT", refundStatus="PROCESSING").outcome is Outcome.PENDING
    assert told("REFUND_RESULT", refundStatus=7).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("notify_type", "name"),
    [
        ("PAYMENT_RESULT", "paymentResult"),
        ("CAPTURE_RESULT", "captureResult"),
        ("REFUND_RESULT", "refundResult"),
        ("VOID_RESULT", "voidResult"),
    ],
)
def test_a_platform_names_its_result_and_no_type(notify_type: str, name: str) -> None:
    fields = plus.notification(notify_type)
    usual = opened(fields)
    assert usual is not None
    del fields["notifyType"]
    fields[name] = fields.pop("result")
    said = opened(fields)
    assert said is not None
    assert replace(said, event_id=None) == replace(usual, event_id=None)
    # Two of them are no kind at all.
    assert opened(fields | {"captureResult": {}, "voidResult": {}}) is None


@pytest.mark.parametrize(
    "fields",
    [
        plus.notification(paymentRequestId="another-system's"),
        plus.notification(paymentRequestId="o1__C1"),
        plus.notification(paymentRequestId=7),
        plus.notification("CAPTURE_RESULT", captureRequestId="o1"),
        plus.notification("CAPTURE_RESULT", captureRequestId="o1__R1"),
        plus.notification("VOID_RESULT", voidRequestId="20260115000000000001"),
        {"notifyType": "DISPUTE_CREATED", "paymentRequestId": "o1"},
        {"notifyType": ["PAYMENT_RESULT"]},
        {},
    ],
)
def test_what_is_of_no_order_of_ours_is_taken_and_says_nothing(fields: dict[str, Any]) -> None:
    assert opened(fields) is None


def test_a_callback_names_its_order_whatever_else_it_says() -> None:
    for fields, order_id in (
        (plus.notification(), "o1"),
        (plus.notification() | {"paymentAmount": {"currency": "USD", "value": "much"}}, "o1"),
        (plus.notification() | {"paymentRequestId": "another-systems-number"}, None),
        ({"notifyType": "REFUND_RESULT", "refundRequestId": "o1__B1", "refundAmount": 7}, "o1"),
        ({"notifyType": "PONDERED", "paymentRequestId": "o1"}, None),
    ):
        assert plus.adapter().order_of_callback(plus.called_back(fields)) == order_id


def test_a_resend_is_known_by_its_body() -> None:
    fields = plus.notification()
    first = told()
    assert first.event_id == told().event_id
    assert first.event_id != told(paymentAmount=plus.amount("1")).event_id
    later = plus.called_back(fields, request_time="2026-01-15T02:20:31Z")
    with pytest.raises(CallbackRefusedError):
        plus.adapter().open_callback(later)
    assert first.event_id is not None
    assert len(first.event_id) <= 64


@pytest.mark.parametrize(
    "given", ["50000", 50000, {"value": 50000, "currency": "CNY"}, {"value": "500.00", "currency": "CNY"},
              {"value": "050", "currency": "CNY"}, {"value": "-1", "currency": "CNY"}, {"value": "1"},
              {"value": "1e3", "currency": "CNY"}, {"value": "9" * 13, "currency": "CNY"},
              {"value": "1", "currency": "XXQ"}, {"value": "\u0661", "currency": "CNY"}, None],
)  # fmt: skip
def test_an_amount_is_a_string_of_minor_units_with_a_currency(given: object) -> None:
    refusal(plus.notification(paymentAmount=given))


def test_repeated_keys_are_refused_though_the_signature_is_genuine() -> None:
    body = json.dumps(plus.notification()).encode()
    twice = body.replace(b'"value": "50000"', b'"value": "50000", "value": "1"')
    assert "repeated" in refusal(twice)
    assert "repeated" in refusal(body[:-1] + b', "notifyType": "PAYMENT_RESULT"}')
    assert "not JSON" in refusal(b"success")
    assert "not a JSON object" in refusal(b"[]")


def test_a_body_that_is_too_long() -> None:
    assert "longer" in refusal(b'{"a":"' + b"a" * 70_000 + b'"}')


@pytest.mark.parametrize("time", ["yesterday", 7, None, "2026-01-15T02:20:31", "9999-12-31T23:59:59-23:59"])
def test_a_time_that_is_none_is_that_of_its_arrival(time: object) -> None:
    assert told(paymentTime=time).occurred_at == NOW


def test_the_answer_that_it_has_been_taken() -> None:
    assert json.loads(plus.adapter().success_answer) == {
        "result": {"resultCode": "SUCCESS", "resultStatus": "S", "resultMessage": "success"}
    }
