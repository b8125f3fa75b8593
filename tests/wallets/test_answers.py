"""Answers of the gateway: every row of the table of codes, and that nothing else is believed."""

from typing import Any

import pytest

from schemas.vocabulary import Kind, Outcome
from service.wallets.adapter import WalletAnswer, WalletRequest
from service.wallets.alipay.adapter import AlipayAdapter
from statemachine.inputs import EvidenceSource, Trade, WalletEvidence
from statemachine.order import Operation, Order
from tests.wallets.orders import CAPTURE, CLOSE, REFUND, RELEASE, answered, order
from tests.wallets.vectors import NOW, adapter

MALL = adapter()
PAYMENT, PREAUTH = order(Kind.PAYMENT), order(Kind.PREAUTH)
OK = {"code": "10000", "msg": "Success"}


def read(
    about: Order, operation: Operation | None, node: Any, *, query: bool, mall: AlipayAdapter = MALL
) -> WalletEvidence:
    ask: Any = mall.query_request if query else mall.operation_request
    return heard(about, operation, ask(about, operation, NOW), node, mall=mall)


def heard(
    about: Order, operation: Operation | None, request: WalletRequest, node: Any, *, mall: AlipayAdapter = MALL
) -> WalletEvidence:
    answer = node if isinstance(node, WalletAnswer) else answered(request.call, node)
    evidence = mall.read_answer(about, request, answer, NOW)
    assert evidence.source is (EvidenceSource.QUERY if request.is_query else EvidenceSource.REPLY)
    assert (evidence.event_id, evidence.order_id, evidence.occurred_at) == (None, "o1", NOW)
    assert evidence.request_no == (operation.id if operation else None)
    return evidence


def asked(about: Order, operation: Operation | None, node: Any) -> WalletEvidence:
    return read(about, operation, node, query=True)


def called(about: Order, operation: Operation, node: Any) -> WalletEvidence:
    return read(about, operation, node, query=False)


# -------------------------------------------------------------------------------------- the table of codes

REJECTED, UNKNOWN, PENDING = Outcome.REJECTED, Outcome.UNKNOWN, Outcome.PENDING
BUSINESS = "40004"
# code, sub_code, what it says of a call that takes or gives back, and of a question.
CODES = [
    ("10003", None, UNKNOWN, UNKNOWN),
    ("20000", "aop.unknow-error", UNKNOWN, UNKNOWN),
    (BUSINESS, "ACQ.SYSTEM_ERROR", UNKNOWN, UNKNOWN),
    (BUSINESS, "SYSTEM_ERROR", UNKNOWN, UNKNOWN),
    ("20001", "aop.invalid-auth-token", UNKNOWN, UNKNOWN),
    ("40001", "isv.missing-method", UNKNOWN, UNKNOWN),
    ("40002", "isv.invalid-signature", UNKNOWN, UNKNOWN),
    ("40003", "isv.not-support-alipay-certificate", UNKNOWN, UNKNOWN),
    ("40006", "isv.insufficient-isv-permissions", UNKNOWN, UNKNOWN),
    (BUSINESS, "isv.invalid-signature", UNKNOWN, UNKNOWN),
    (BUSINESS, "ACQ.TRADE_HAS_SUCCESS", UNKNOWN, UNKNOWN),
    (BUSINESS, "ORDER_ALREADY_FINISH", UNKNOWN, UNKNOWN),
    (BUSINESS, "ORDER_ALREADY_CLOSED", UNKNOWN, UNKNOWN),
    (BUSINESS, "ACQ.CONTEXT_INCONSISTENT", UNKNOWN, UNKNOWN),
    (BUSINESS, "ACQ.DISCORDANT_REPEAT_REQUEST", UNKNOWN, UNKNOWN),
    (BUSINESS, "ACQ.NEVER_HEARD_OF", UNKNOWN, UNKNOWN),
    (BUSINESS, None, UNKNOWN, UNKNOWN),
    ("99999", None, UNKNOWN, UNKNOWN),
    ("", None, UNKNOWN, UNKNOWN),
    (BUSINESS, "ACQ.AUTH_AMOUNT_NOT_ENOUGH", REJECTED, UNKNOWN),
    (BUSINESS, "ACQ.AUTH_NO_ERROR", REJECTED, UNKNOWN),
    (BUSINESS, "ACQ.SELLER_BALANCE_NOT_ENOUGH", REJECTED, UNKNOWN),
    (BUSINESS, "ACQ.REASON_TRADE_REFUND_FEE_ERR", REJECTED, UNKNOWN),
    (BUSINESS, "REQUEST_AMOUNT_EXCEED", REJECTED, UNKNOWN),
    (BUSINESS, "ACQ.TRADE_STATUS_ERROR", REJECTED, UNKNOWN),
    ("40005", "isv.app-call-limited", PENDING, PENDING),
]


@pytest.mark.parametrize(("code", "sub_code", "of_a_call", "of_a_question"), CODES)
def test_a_code(code: str, sub_code: str | None, of_a_call: Outcome, of_a_question: Outcome) -> None:
    node = {"code": code, "msg": "m"} | ({"sub_code": sub_code} if sub_code else {})
    for about, operation in ((PREAUTH, CAPTURE), (PREAUTH, RELEASE), (PAYMENT, REFUND), (PAYMENT, CLOSE)):
        replied = called(about, operation, node)
        assert (replied.outcome, replied.trade, replied.code) == (of_a_call, None, sub_code or code)
        assert asked(about, operation, node).outcome is of_a_question
    assert asked(PAYMENT, None, node).outcome is of_a_question


@pytest.mark.parametrize("sub_code", ["ACQ.TRADE_NOT_EXIST", "AUTH_ORDER_NOT_EXIST", "AUTH_OPERATION_NOT_EXIST"])
def test_what_the_wallet_does_not_know(sub_code: str) -> None:
    node = {"code": BUSINESS, "sub_code": sub_code}
    for about in (PAYMENT, PREAUTH):
        said = asked(about, None, node)
        assert (said.trade, said.outcome, said.code) == (Trade.MISSING, None, sub_code)
        for close in (called(about, CLOSE, node), asked(about, CLOSE, node)):
            assert (close.trade, close.outcome) == (Trade.MISSING, Outcome.PENDING)
    for about, operation in ((PREAUTH, CAPTURE), (PREAUTH, RELEASE), (PAYMENT, REFUND)):
        # A question finds out that the request never arrived; a call is refused by it.
        said = asked(about, operation, node)
        assert (said.trade, said.outcome) == (Trade.MISSING, Outcome.PENDING)
        assert called(about, operation, node).outcome is Outcome.REJECTED


# ------------------------------------------------------------------------------------------------ questions

TRADE = OK | {"out_trade_no": "o1", "trade_no": "t1", "total_amount": "500.00"}
PAID_THEN = {"send_pay_date": "2026-01-15 10:21:07"}
KNOWN_PAID = order(taken_minor=50_000)
TRADES = [
    (PAYMENT, {"trade_status": "WAIT_BUYER_PAY"}, Trade.OPEN, None, None, Outcome.PENDING),
    (PAYMENT, {"trade_status": "TRADE_SUCCESS"}, Trade.PAID, 50_000, None, Outcome.REJECTED),
    (PAYMENT, {"trade_status": "TRADE_FINISHED"}, Trade.PAID, 50_000, None, Outcome.REJECTED),
    (
        PAYMENT,
        {"trade_status": "TRADE_SUCCESS", "refund_fee": "20.00"},
        Trade.PAID,
        50_000,
        2_000,
        Outcome.REJECTED,
    ),
    (PAYMENT, {"trade_status": "TRADE_CLOSED"}, Trade.CLOSED, None, None, Outcome.SUCCEEDED),
    (PAYMENT, {"trade_status": "TRADE_CLOSED"} | PAID_THEN, Trade.PAID, 50_000, 50_000, Outcome.REJECTED),
    (
        PAYMENT,
        {"trade_status": "TRADE_CLOSED", "refund_fee": "500.00"},
        Trade.PAID,
        50_000,
        50_000,
        Outcome.REJECTED,
    ),
    (KNOWN_PAID, {"trade_status": "TRADE_CLOSED"}, Trade.PAID, 50_000, 50_000, Outcome.REJECTED),
]


@pytest.mark.parametrize(("about", "fields", "trade", "taken", "refunded", "of_a_close"), TRADES)
def test_where_a_payment_stands(
    about: Order,
    fields: dict[str, str],
    trade: Trade,
    taken: int | None,
    refunded: int | None,
    of_a_close: Outcome,
) -> None:
    for operation, outcome in ((None, None), (CLOSE, of_a_close)):
        said = asked(about, operation, TRADE | fields)
        assert (said.trade, said.total_taken_minor, said.total_refunded_minor) == (trade, taken, refunded)
        assert (said.order_amount_minor, said.outcome, said.trade_no) == (50_000, outcome, "t1")


FREEZE = OK | {
    "auth_no": "a1", "out_order_no": "o1", "out_request_no": "o1__F1", "operation_type": "FREEZE",
    "amount": "500.00", "status": "SUCCESS", "total_freeze_amount": "500.00", "rest_amount": "380.00",
    "total_pay_amount": "120.00",
}  # fmt: skip


def test_where_an_authorization_stands() -> None:
    said = asked(PREAUTH, None, FREEZE)
    assert (said.trade, said.order_amount_minor, said.auth_no) == (Trade.FROZEN, 50_000, "a1")
    assert (said.total_frozen_minor, said.total_taken_minor, said.total_released_minor) == (50_000, 12_000, 0)
    assert asked(PREAUTH, None, FREEZE | {"rest_amount": "0.00"}).total_released_minor == 38_000
    none_yet = {"total_freeze_amount": "0.00", "rest_amount": "0.00", "total_pay_amount": "0.00"}
    assert asked(PREAUTH, None, FREEZE | none_yet | {"status": "INIT"}).trade is Trade.OPEN
    closed = asked(PREAUTH, CLOSE, FREEZE | none_yet | {"status": "CLOSED"})
    assert (closed.trade, closed.outcome) == (Trade.CLOSED, Outcome.SUCCEEDED)
    assert asked(PREAUTH, None, FREEZE | {"status": "ODD"}).outcome is Outcome.UNKNOWN
    assert (
        asked(PREAUTH, None, {name: FREEZE[name] for name in FREEZE if name != "rest_amount"}).total_released_minor
        is None
    )


CAPTURED = OK | {"out_trade_no": "o1__C1", "trade_no": "t1", "total_amount": "120.00"}


@pytest.mark.parametrize(
    ("fields", "outcome", "refunded"),
    [
        ({"trade_status": "TRADE_SUCCESS"}, Outcome.SUCCEEDED, None),
        ({"trade_status": "TRADE_FINISHED", "refund_fee": "1"}, Outcome.SUCCEEDED, 100),
        ({"trade_status": "WAIT_BUYER_PAY"}, Outcome.PENDING, None),
        ({"trade_status": "TRADE_CLOSED"}, Outcome.REJECTED, None),
        ({"trade_status": "TRADE_CLOSED"} | PAID_THEN, Outcome.SUCCEEDED, 12_000),
    ],
)
def test_what_became_of_a_capture(fields: dict[str, str], outcome: Outcome, refunded: int | None) -> None:
    # Another capture of the order says nothing of this one.
    about = order(Kind.PREAUTH, taken_minor=100)
    said = asked(about, CAPTURE, CAPTURED | fields)
    assert (said.outcome, said.request_amount_minor, said.total_refunded_minor) == (outcome, 12_000, refunded)
    assert (said.trade, said.total_taken_minor, said.order_amount_minor) == (None, None, None)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("SUCCESS", Outcome.SUCCEEDED),
        ("INIT", PENDING),
        ("CLOSED", REJECTED),
        ("ODD", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_what_became_of_a_release(status: str, outcome: Outcome) -> None:
    movement = {
        "out_request_no": "o1__R1",
        "operation_type": "UNFREEZE",
        "amount": "380.00",
        "status": status,
    }
    said = asked(PREAUTH, RELEASE, FREEZE | movement | {"rest_amount": "0.00"})
    assert (said.outcome, said.request_amount_minor, said.total_released_minor) == (outcome, 38_000, 38_000)
    assert (said.trade, said.order_amount_minor) == (None, None)
    assert called(PREAUTH, RELEASE, OK | movement).outcome is outcome


REFUND_FOUND = {"out_request_no": "o1__B1", "refund_amount": "20.00"}


@pytest.mark.parametrize(
    ("fields", "outcome", "trade"),
    [
        # 10000 without refund data is not yet a refund.
        ({}, Outcome.PENDING, Trade.MISSING),
        ({"refund_amount": "0.00"}, Outcome.PENDING, Trade.MISSING),
        (REFUND_FOUND, Outcome.SUCCEEDED, None),
        (REFUND_FOUND | {"refund_status": "REFUND_SUCCESS"}, Outcome.SUCCEEDED, None),
        (REFUND_FOUND | {"refund_status": "REFUND_PROCESSING"}, Outcome.PENDING, None),
        (REFUND_FOUND | {"refund_status": "REFUND_FAIL"}, Outcome.UNKNOWN, None),
        (REFUND_FOUND | {"out_request_no": "o1__B2"}, Outcome.UNKNOWN, None),
    ],
)
def test_what_became_of_a_refund(fields: dict[str, str], outcome: Outcome, trade: Trade | None) -> None:
    said = asked(PAYMENT, REFUND, OK | {"out_trade_no": "o1", "trade_no": "t1"} | fields)
    assert (said.outcome, said.trade) == (outcome, trade)
    assert said.request_amount_minor == (2_000 if outcome is Outcome.SUCCEEDED else None)


# ---------------------------------------------------------------------------------------------------- calls


def test_a_capture_is_answered() -> None:
    said = called(PREAUTH, CAPTURE, CAPTURED | {"auth_no": "a1"})
    assert (said.outcome, said.request_amount_minor, said.trade_no, said.auth_no) == (
        Outcome.SUCCEEDED, 12_000, "t1", "a1",
    )  # fmt: skip
    assert called(PREAUTH, CAPTURE, CAPTURED | {"trade_status": "WAIT_BUYER_PAY"}).outcome is Outcome.PENDING
    assert called(PREAUTH, CAPTURE, CAPTURED | {"trade_status": "ODD"}).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"fund_change": "Y", "refund_fee": "20.00"}, Outcome.SUCCEEDED),
        # The same number and amount again: done already.
        ({"fund_change": "N", "refund_fee": "20.00"}, Outcome.SUCCEEDED),
        ({"fund_change": "N", "refund_fee": "19.99"}, Outcome.PENDING),
        ({"fund_change": "N"}, Outcome.PENDING),
        ({}, Outcome.PENDING),
    ],
)
def test_a_refund_is_answered(fields: dict[str, str], outcome: Outcome) -> None:
    # send_back_fee is what the buyer really gets, which a coupon makes less than the refund.
    node = OK | {"out_trade_no": "o1", "trade_no": "t1", "send_back_fee": "18.00"} | fields
    said = called(PAYMENT, REFUND, node)
    assert (said.outcome, said.request_amount_minor) == (outcome, None)
    of_a_capture = called(PREAUTH, REFUND, node | {"out_trade_no": "o1__C1"})
    assert of_a_capture.outcome is outcome


def test_a_close_is_answered() -> None:
    said = called(PAYMENT, CLOSE, OK | {"out_trade_no": "o1", "trade_no": "t1"})
    assert (said.outcome, said.trade) == (Outcome.SUCCEEDED, None)
    cancelled = OK | {"out_order_no": "o1", "action": "close"}
    assert called(PREAUTH, CLOSE, cancelled).outcome is Outcome.SUCCEEDED
    frozen_first = called(PREAUTH, CLOSE, cancelled | {"action": "unfreeze"})
    assert (frozen_first.outcome, frozen_first.trade) == (Outcome.PENDING, Trade.FROZEN)
    assert called(PREAUTH, CLOSE, cancelled | {"action": "ponder"}).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("about", "operation", "node"),
    [
        (PAYMENT, None, TRADE | {"trade_status": "TRADE_SUCCESS", "out_trade_no": "o2"}),
        (PREAUTH, None, FREEZE | {"out_order_no": "o2"}),
        (PREAUTH, None, FREEZE | {"operation_type": "UNFREEZE"}),
        (PREAUTH, None, FREEZE | {"out_request_no": "o1__R1"}),
        (PREAUTH, CAPTURE, CAPTURED | {"trade_status": "TRADE_SUCCESS", "out_trade_no": "o1__C2"}),
        (PREAUTH, RELEASE, FREEZE),
        (PAYMENT, REFUND, OK | REFUND_FOUND | {"out_trade_no": "o2"}),
        (PAYMENT, None, TRADE | {"trade_status": "TRADE_SUCCESS", "total_amount": 500.0}),
        (PAYMENT, None, TRADE | {"trade_status": "TRADE_SUCCESS", "total_amount": "500.001"}),
        (PAYMENT, None, TRADE),
        (PAYMENT, None, TRADE | {"trade_status": "ODD"}),
    ],
)
def test_a_genuine_answer_to_another_question(about: Order, operation: Operation | None, node: Any) -> None:
    said = asked(about, operation, node)
    assert (said.outcome, said.trade, said.total_taken_minor) == (Outcome.UNKNOWN, None, None)
