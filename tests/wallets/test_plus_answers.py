"""What the gateway's answers say in the Alipay+ dialect, and what is not believed."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.vocabulary import Kind, Outcome
from service.wallets.adapter import WalletAnswer
from statemachine.inputs import EvidenceSource, Trade, WalletEvidence
from statemachine.order import Operation, Order
from tests.wallets import plus
from tests.wallets.orders import CAPTURE, CLOSE, REFUND, RELEASE
from tests.wallets.vectors import NOW

PAYMENT = plus.order()
PREAUTH = plus.order(Kind.PREAUTH, frozen_minor=50_000)
S, R, P, U = Outcome.SUCCEEDED, Outcome.REJECTED, Outcome.PENDING, Outcome.UNKNOWN


def reply(order: Order, operation: Operation, fields: dict[str, Any] | bytes, **profile: Any) -> WalletEvidence:
    adapter = plus.adapter(**profile)
    request = adapter.operation_request(order, operation, NOW)
    said = adapter.read_answer(order, request, plus.answered(request, fields), NOW)
    assert (said.source, said.request_no, said.event_id) == (EvidenceSource.REPLY, operation.id, None)
    return said


def asked(
    order: Order, operation: Operation | None, fields: dict[str, Any] | bytes, **profile: Any
) -> WalletEvidence:
    adapter = plus.adapter(**profile)
    request = adapter.query_request(order, operation, NOW)
    said = adapter.read_answer(order, request, plus.answered(request, fields), NOW)
    assert (said.source, said.event_id) == (EvidenceSource.QUERY, None)
    return said


# ------------------------------------------------------------------------------------------------------ results

RESULTS = [
    ("SUCCESS", "S", S),
    ("PAYMENT_PENDING", "S", P),
    ("SUCCESS", "A", P),
    ("PAYMENT_IN_PROCESS", "U", U),
    ("UNKNOWN_EXCEPTION", "U", U),
    ("RISK_REJECT", "F", R),
    ("ORDER_NOT_EXIST", "F", R),
    ("ORDER_IS_CANCELED", "F", R),
    ("INVALID_SIGNATURE", "F", U),
    ("KEY_NOT_FOUND", "F", U),
    ("REPEAT_REQ_INCONSISTENT", "F", U),
    ("", "F", U),
    ("SUCCESS", "X", U),
    ("", "", U),
]


@pytest.mark.parametrize("operation", [CAPTURE, RELEASE, REFUND])
@pytest.mark.parametrize(("code", "status", "outcome"), RESULTS)
def test_how_a_call_went(operation: Operation, code: str, status: str, outcome: Outcome) -> None:
    assert reply(PREAUTH, operation, {"result": plus.result(code, status)}).outcome is outcome


@pytest.mark.parametrize("fields", [{}, {"result": None}, {"result": "S"}, {"result": {"resultStatus": ["S"]}}])
def test_an_answer_without_a_result_says_nothing(fields: dict[str, Any]) -> None:
    assert reply(PREAUTH, CAPTURE, fields).outcome is U
    assert asked(PREAUTH, CAPTURE, fields).outcome is U


def test_a_cancel_that_was_done_is_not_yet_closed() -> None:
    """It also gives back what was paid just before it, and the order must know of that."""
    assert reply(PAYMENT, CLOSE, {"result": plus.result()}).outcome is P
    assert reply(PAYMENT, CLOSE, {"result": plus.result("ORDER_STATUS_INVALID", "F")}).outcome is R
    missing = reply(PAYMENT, CLOSE, {"result": plus.result("ORDER_NOT_EXIST", "F")})
    assert (missing.outcome, missing.trade) == (P, Trade.MISSING)
    assert reply(PAYMENT, CLOSE, {"result": plus.result("X", "U")}).outcome is U


def test_the_refund_of_a_payment_that_was_cancelled_has_been_made_by_that() -> None:
    paid = replace(PAYMENT, taken_minor=50_000)
    said = reply(paid, REFUND, {"result": plus.result("ORDER_IS_CANCELED", "F")})
    assert (said.outcome, said.total_refunded_minor) == (P, 50_000)


def test_an_answer_that_speaks_of_another_request_or_amount() -> None:
    done = {"result": plus.result(), "captureRequestId": "o1__C1", "captureAmount": plus.amount("12000")}
    said = reply(PREAUTH, CAPTURE, done)
    assert (said.outcome, said.request_amount_minor, said.currency) == (S, 12_000, "CNY")
    assert reply(PREAUTH, CAPTURE, done | {"captureRequestId": "o1__C2"}).outcome is U
    assert reply(PREAUTH, CAPTURE, done | {"captureAmount": plus.amount("120.00")}).outcome is U
    assert reply(PREAUTH, CAPTURE, done | {"captureAmount": plus.amount("7")}).request_amount_minor == 7


def test_after_the_last_capture_the_rest_is_free_where_nothing_else_releases_it() -> None:
    last = replace(CAPTURE, complete=True)
    done = {"result": plus.result()}
    assert reply(PREAUTH, last, done, release_call="cancel").total_released_minor == 38_000
    assert reply(PREAUTH, CAPTURE, done, release_call="cancel").total_released_minor is None
    # A void will follow, and says it by itself.
    assert reply(PREAUTH, last, done).total_released_minor is None


# ------------------------------------------------------------------------------------------------------ belief


def test_what_is_not_signed_for_us_is_not_believed() -> None:
    adapter = plus.adapter()
    request = adapter.operation_request(PREAUTH, CAPTURE, NOW)
    good = plus.answered(request, {"result": plus.result()})
    assert adapter.read_answer(PREAUTH, request, good, NOW).outcome is S
    elsewhere = adapter.operation_request(PREAUTH, RELEASE, NOW)
    bad = [
        WalletAnswer(200, {}, good.body),
        WalletAnswer(502, good.headers, good.body),
        replace(good, body=good.body + b" "),
        replace(good, headers={**good.headers, "client-id": "ANOTHER"}),
        replace(good, headers={**good.headers, "response-time": "now"}),
        replace(good, headers={**good.headers, "request-time": good.headers["response-time"], "response-time": ""}),
        plus.answered(elsewhere, {"result": plus.result()}),
        plus.answered(request, {"result": plus.result()}, key="stranger_rsa2048"),
        plus.answered(request, {"result": plus.result()}, key="app_rsa2048"),
        plus.answered(request, b'{"result":{"resultStatus":"F","resultStatus":"S","resultCode":"SUCCESS"}}'),
        plus.answered(request, b"<html>"),
        plus.answered(request, b'{"a":"' + b"a" * 300_000 + b'"}'),
    ]
    for answer in bad:
        assert adapter.read_answer(PREAUTH, request, answer, NOW).outcome is U


# --------------------------------------------------------------------------------------------------- questions


@pytest.mark.parametrize(
    ("status", "trade", "close"),
    [
        ("PROCESSING", Trade.OPEN, P),
        ("PENDING", Trade.OPEN, P),
        ("SUCCESS", Trade.PAID, R),
        ("FAIL", Trade.CLOSED, S),
        ("CANCELLED", Trade.CLOSED, S),
    ],
)
def test_how_a_payment_stands(status: str, trade: Trade, close: Outcome) -> None:
    said = asked(PAYMENT, None, plus.standing(status))
    assert (said.trade, said.outcome, said.order_amount_minor, said.trade_no) == (trade, None, 50_000, "p1")
    assert said.total_taken_minor == (50_000 if trade is Trade.PAID else None)
    assert asked(PAYMENT, CLOSE, plus.standing(status)).outcome is close


@pytest.mark.parametrize("fields", [{"paymentStatus": "SOLD"}, {"paymentStatus": 7}, {"paymentStatus": None}])
def test_a_status_that_is_not_known(fields: dict[str, Any]) -> None:
    assert asked(PAYMENT, None, plus.standing() | fields).outcome is U


def test_a_question_that_was_answered_is_not_a_payment() -> None:
    assert asked(PAYMENT, None, {"result": plus.result()}).outcome is U
    for code, status, trade in (("SUCCESS", "S", Trade.PAID), ("PAYMENT_PENDING", "S", Trade.OPEN)):
        fields = plus.standing(paymentResult=plus.result(code, status))
        del fields["paymentStatus"]
        assert asked(PAYMENT, None, fields).trade is trade


def test_a_payment_that_was_paid_and_cancelled_has_gone_back() -> None:
    said = asked(PAYMENT, None, plus.standing("CANCELLED", paymentTime=plus.PAID_AT))
    assert (said.trade, said.total_taken_minor, said.total_refunded_minor) == (Trade.PAID, 50_000, 50_000)
    known = asked(replace(PAYMENT, taken_minor=50_000), None, plus.standing("CANCELLED"))
    assert (known.trade, known.total_refunded_minor) == (Trade.PAID, 50_000)
    frozen = asked(PREAUTH, None, plus.standing("CANCELLED"))
    assert (frozen.trade, frozen.total_frozen_minor, frozen.total_released_minor) == (Trade.FROZEN, 50_000, 50_000)


def test_a_payment_that_nobody_has_begun() -> None:
    missing = {"result": plus.result("ORDER_NOT_EXIST", "F")}
    assert (asked(PAYMENT, None, missing).trade, asked(PAYMENT, None, missing).outcome) == (Trade.MISSING, None)
    assert (asked(PAYMENT, CLOSE, missing).trade, asked(PAYMENT, CLOSE, missing).outcome) == (Trade.MISSING, P)
    assert asked(PAYMENT, None, {"result": plus.result("ACCESS_DENIED", "F")}).outcome is U
    assert asked(PAYMENT, None, {"result": plus.result("PROCESS_FAIL", "F")}).outcome is U


TRANSACTIONS = [
    plus.moved("CAPTURE", "o1__C1", "12000"),
    plus.moved("CAPTURE", "o1__C2", "8000"),
    plus.moved("CAPTURE", "o1__C3", "9000", "FAIL"),
    plus.moved("VOID", "o1__R1", "30000"),
    plus.moved("REFUND", "o1__B1", "2000"),
    plus.moved("REFUND", "o1__B2", "500", "PROCESSING"),
]


def test_the_totals_are_what_succeeded() -> None:
    said = asked(PREAUTH, None, plus.standing(transactions=TRANSACTIONS))
    assert said.trade is Trade.FROZEN
    totals = (said.total_frozen_minor, said.total_taken_minor, said.total_released_minor, said.total_refunded_minor)
    assert totals == (50_000, 20_000, 30_000, 2_000)
    untold = asked(PREAUTH, None, plus.standing())
    assert (untold.total_taken_minor, untold.total_released_minor, untold.total_refunded_minor) == (None,) * 3


@pytest.mark.parametrize(
    ("operation", "outcome", "amount_minor"),
    [
        (CAPTURE, S, 12_000),
        (replace(CAPTURE, id="o1__C3"), R, 9_000),
        (RELEASE, S, 30_000),
    ],
)
def test_what_became_of_a_movement(operation: Operation, outcome: Outcome, amount_minor: int) -> None:
    said = asked(PREAUTH, operation, plus.standing(transactions=TRANSACTIONS))
    assert (said.outcome, said.request_amount_minor, said.trade) == (outcome, amount_minor, None)


def test_a_movement_that_never_arrived_may_be_sent_again() -> None:
    for fields in (plus.standing(), plus.standing(transactions=[])):
        said = asked(PREAUTH, CAPTURE, fields)
        assert (said.outcome, said.trade) == (P, Trade.MISSING)
    assert asked(PREAUTH, RELEASE, plus.standing("CANCELLED")).outcome is S
    waiting = asked(PREAUTH, CAPTURE, plus.standing("PROCESSING"))
    assert (waiting.outcome, waiting.trade) == (P, None)
    under_way = [plus.moved("CAPTURE", "o1__C1", "12000", "PROCESSING")]
    assert asked(PREAUTH, CAPTURE, plus.standing(transactions=under_way)).outcome is P


def test_the_rest_after_a_last_capture_whose_answer_was_lost() -> None:
    final = replace(PREAUTH, final=True, request_counts={"C": 1}, taken_minor=12_000)
    fields = plus.standing(transactions=[plus.moved("CAPTURE", "o1__C1", "12000")])
    assert asked(final, None, fields, release_call="cancel").total_released_minor == 38_000
    assert asked(final, None, fields).total_released_minor == 0
    another = replace(final, request_counts={"C": 2})
    assert asked(another, None, fields, release_call="cancel").total_released_minor == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"transactions": "none"},
        {"transactions": ["x"]},
        {"transactions": [{}]},
        {"transactions": [plus.moved("CAPTURE", "o1__C1", "1.00")]},
        {"transactions": [plus.moved("CAPTURE", "o1__C1", "1") | {"transactionAmount": plus.amount("1", "USD")}]},
        {"transactions": [plus.moved("CAPTURE", "o1__C1", "1")] * 2},
        {"transactions": [{}] * 1_001},
        {"paymentAmount": 7},
        {"paymentRequestId": "o2__F1"},
    ],
)
def test_an_answer_that_cannot_be_understood(fields: dict[str, Any]) -> None:
    assert asked(PREAUTH, None, plus.standing(**fields)).outcome is U


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("SUCCESS", S), ("FAIL", R), ("PROCESSING", P), ("PENDING", P), ("X", U), (None, U), (7, U)],
)
def test_what_became_of_a_refund(status: object, outcome: Outcome) -> None:
    fields = {"result": plus.result(), "refundRequestId": "o1__B1", "refundStatus": status}
    assert asked(PAYMENT, REFUND, fields).outcome is outcome


def test_a_refund_of_another_number_or_amount_and_one_that_never_arrived() -> None:
    fields = {"result": plus.result(), "refundStatus": "SUCCESS", "refundAmount": plus.amount("2000")}
    assert asked(PAYMENT, REFUND, fields).request_amount_minor == 2_000
    assert asked(PAYMENT, REFUND, fields | {"refundRequestId": "o1__B2"}).outcome is U
    missing = asked(PAYMENT, REFUND, {"result": plus.result("REFUND_NOT_EXIST", "F")})
    assert (missing.outcome, missing.trade) == (P, Trade.MISSING)
