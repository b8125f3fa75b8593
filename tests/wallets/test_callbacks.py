"""Callbacks: what a genuine one says of an order, and that no other is believed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.vocabulary import Outcome
from service.wallets.adapter import CallbackRefusedError, RawCallback
from statemachine.inputs import EvidenceSource, Trade, WalletEvidence
from tests.wallets.orders import called_back, freeze_callback, release_callback, trade_callback
from tests.wallets.vectors import adapter

MALL = adapter()
PAID_AT = datetime(2026, 1, 15, 2, 21, 7, tzinfo=UTC)


def opened(fields: dict[str, str]) -> WalletEvidence:
    evidence = MALL.open_callback(called_back(fields))
    assert evidence is not None
    return evidence


def refusal(callback: RawCallback, **profile: Any) -> str:
    with pytest.raises(CallbackRefusedError) as refused:
        adapter(**profile).open_callback(callback)
    return str(refused.value)


# ------------------------------------------------------------------------------------------- what they say


def test_a_payment() -> None:
    assert opened(trade_callback()) == WalletEvidence(
        event_id="n1",
        occurred_at=PAID_AT,
        source=EvidenceSource.CALLBACK,
        order_id="o1",
        trade=Trade.PAID,
        order_amount_minor=50_000,
        total_taken_minor=50_000,
        code="TRADE_SUCCESS",
        trade_no="t1",
    )


UNPAID = {"gmt_payment": ""}
STANDINGS = [
    ({"trade_status": "TRADE_FINISHED"}, Trade.PAID, 50_000, None),
    ({"trade_status": "WAIT_BUYER_PAY"} | UNPAID, Trade.OPEN, None, None),
    # Closed without a payment, and closed because all of it went back.
    ({"trade_status": "TRADE_CLOSED"} | UNPAID, Trade.CLOSED, None, None),
    ({"trade_status": "TRADE_CLOSED", "refund_fee": "0.00"} | UNPAID, Trade.CLOSED, None, None),
    ({"trade_status": "TRADE_CLOSED", "refund_fee": "500.00"} | UNPAID, Trade.PAID, 50_000, 50_000),
    ({"trade_status": "TRADE_CLOSED"}, Trade.PAID, 50_000, 50_000),
    (
        {"trade_status": "TRADE_CLOSED", "gmt_refund": "2026-01-15 11:00:00.000"} | UNPAID,
        Trade.PAID,
        50_000,
        50_000,
    ),
    ({"refund_fee": "20.5"}, Trade.PAID, 50_000, 2_050),
]


@pytest.mark.parametrize(("fields", "trade", "taken", "refunded"), STANDINGS)
def test_where_a_trade_stands(
    fields: dict[str, str], trade: Trade, taken: int | None, refunded: int | None
) -> None:
    said = opened(trade_callback(**fields))
    assert (said.trade, said.total_taken_minor, said.total_refunded_minor) == (trade, taken, refunded)
    assert said.order_amount_minor == 50_000


def test_a_refund_of_ours() -> None:
    said = opened(trade_callback(refund_fee="20.00", out_biz_no="o1__B1", gmt_refund="2026-01-15 11:00:00.123"))
    assert (said.request_no, said.outcome, said.request_amount_minor) == ("o1__B1", Outcome.SUCCEEDED, None)
    assert said.total_refunded_minor == 2_000
    assert said.occurred_at == datetime(2026, 1, 15, 3, 0, 0, tzinfo=UTC)
    for number in ("o2__B1", "o1__C1", "o1", "console"):
        assert opened(trade_callback(refund_fee="20.00", out_biz_no=number)).request_no is None


CAPTURES = [
    ("TRADE_SUCCESS", {}, Outcome.SUCCEEDED),
    ("TRADE_FINISHED", {}, Outcome.SUCCEEDED),
    ("WAIT_BUYER_PAY", UNPAID, Outcome.PENDING),
    ("TRADE_CLOSED", UNPAID, Outcome.REJECTED),
    ("TRADE_CLOSED", {}, Outcome.SUCCEEDED),
]


@pytest.mark.parametrize(("status", "fields", "outcome"), CAPTURES)
def test_a_capture(status: str, fields: dict[str, str], outcome: Outcome) -> None:
    said = opened(trade_callback(out_trade_no="o1__C2", trade_status=status, total_amount="120.00", **fields))
    assert (said.order_id, said.request_no, said.outcome) == ("o1", "o1__C2", outcome)
    assert said.request_amount_minor == 12_000
    # It is one capture's; the totals of the order are for others to say.
    assert (said.trade, said.order_amount_minor, said.total_taken_minor) == (None, None, None)


def test_a_refund_of_a_capture() -> None:
    fields = {
        "out_trade_no": "o1__C1",
        "total_amount": "120.00",
        "refund_fee": "20.00",
        "out_biz_no": "o1__B1",
    }
    said = opened(trade_callback(**fields))
    assert (said.request_no, said.outcome, said.total_refunded_minor) == ("o1__B1", Outcome.SUCCEEDED, 2_000)
    assert said.request_amount_minor is None


def test_a_freeze() -> None:
    said = opened(freeze_callback(gmt_trans="2026-01-15 10:21:07"))
    assert said == WalletEvidence(
        event_id="n1",
        occurred_at=PAID_AT,
        source=EvidenceSource.CALLBACK,
        order_id="o1",
        trade=Trade.FROZEN,
        order_amount_minor=50_000,
        total_frozen_minor=50_000,
        total_taken_minor=0,
        total_released_minor=0,
        code="SUCCESS",
        auth_no="a1",
    )
    assert opened(freeze_callback(status="INIT")).trade is Trade.OPEN
    assert opened(freeze_callback(status="CLOSED")).trade is Trade.CLOSED


def test_a_release_of_ours_and_one_of_the_wallets_own() -> None:
    ours = opened(release_callback())
    assert (ours.request_no, ours.outcome, ours.request_amount_minor) == ("o1__R1", Outcome.SUCCEEDED, 38_000)
    assert (ours.total_frozen_minor, ours.total_taken_minor, ours.total_released_minor) == (
        50_000,
        12_000,
        38_000,
    )
    own = opened(release_callback(out_request_no="2026011500000001", total_unfreeze_amount="380.00"))
    assert (own.order_id, own.request_no, own.outcome, own.request_amount_minor) == ("o1", None, None, None)
    assert (own.trade, own.total_released_minor) == (None, 38_000)
    # Undone by a cancel it names the freeze.
    assert opened(release_callback(out_request_no="o1__F1")).request_no is None


def test_totals_that_are_not_said() -> None:
    bare = {"total_freeze_amount": "", "total_pay_amount": "", "rest_amount": ""}
    said = opened(freeze_callback(**bare))
    assert (said.total_frozen_minor, said.total_taken_minor, said.total_released_minor) == (None, None, None)
    assert (said.trade, said.order_amount_minor) == (Trade.FROZEN, 50_000)


def test_a_currency_where_it_is_said() -> None:
    assert opened(trade_callback(trans_currency="HKD")).currency == "HKD"
    assert "JPY" in refusal(called_back(trade_callback(trans_currency="JPY")))
    assert "XYZ" in refusal(called_back(trade_callback(trans_currency="XYZ")))


@pytest.mark.parametrize(
    "fields",
    [
        trade_callback(notify_type="open_app_auth_notify"),
        trade_callback(notify_type=""),
        trade_callback(out_trade_no="another-systems-number"),
        trade_callback(out_trade_no="o1__X1"),
        trade_callback(out_trade_no="o1__F1"),
        freeze_callback(out_order_no="a__b"),
        release_callback(out_order_no="a__b"),
    ],
)
def test_genuine_and_of_no_order_of_ours(fields: dict[str, str]) -> None:
    assert MALL.open_callback(called_back(fields)) is None


NOT_UNDERSTOOD = [
    (trade_callback(trade_status="TRADE_PONDERING"), "trade_status"),
    (trade_callback(trade_status=""), "trade_status"),
    (trade_callback(out_trade_no=""), "out_trade_no"),
    (trade_callback(total_amount="12.505"), "total_amount"),
    (trade_callback(total_amount="-1"), "total_amount"),
    (trade_callback(refund_fee="1e2"), "refund_fee"),
    (trade_callback(notify_id=""), "notify_id"),
    (trade_callback(notify_id="n" * 129), "notify_id"),
    (trade_callback(trade_no="t\0"), "NUL"),
    (freeze_callback(status="MAYBE"), "status"),
    (freeze_callback(out_order_no=""), "out_order_no"),
    (release_callback(status="MAYBE"), "status"),
    (release_callback(status=""), "status"),
]


# A NUL is taken by no database; without a number nobody knows the lane.
_WITHOUT_A_PLACE = {"NUL", "out_trade_no", "out_order_no"}


@pytest.mark.parametrize(("fields", "told"), NOT_UNDERSTOOD)
def test_genuine_and_not_understood(fields: dict[str, str], told: str) -> None:
    assert told in refusal(called_back(fields))


@pytest.mark.parametrize("fields", [fields for fields, told in NOT_UNDERSTOOD if told not in _WITHOUT_A_PLACE])
def test_what_is_not_understood_still_names_its_order(fields: dict[str, str]) -> None:
    assert MALL.order_of_callback(called_back(fields)) == "o1"


@pytest.mark.parametrize("fields", [fields for fields, told in NOT_UNDERSTOOD if told in _WITHOUT_A_PLACE])
def test_what_names_no_order_has_no_place_to_go(fields: dict[str, str]) -> None:
    with pytest.raises(CallbackRefusedError):
        MALL.order_of_callback(called_back(fields))


@pytest.mark.parametrize("notify_type", ["", "trade_pondered"])
def test_a_type_that_nobody_knows_is_of_no_order(notify_type: str) -> None:
    assert MALL.order_of_callback(called_back(trade_callback(notify_type=notify_type))) is None
    assert MALL.order_of_callback(called_back(trade_callback(out_trade_no="another-systems-number"))) is None
