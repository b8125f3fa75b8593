"""What a wallet says: compared first, booked once, absorbed when it is no news."""

from dataclasses import replace

import pytest

from schemas.vocabulary import Disposition, Flag, Outcome, State, Trigger
from statemachine.inputs import Trade, WalletEvidence
from statemachine.order import Order
from statemachine.seen import MAX_INPUTS_WITH_CLIENTS, MAX_UPSTREAM_INPUTS, REMEMBERED_CALLBACKS
from tests.unit import builders as b
from tests.unit.builders import after, callback, decide, queried, replied, sent


@pytest.mark.parametrize(
    ("order", "said", "why"),
    [
        (b.paying(200), b.paid(100), "the wallet says 1.00 CNY, the order is 2.00 CNY"),
        (b.paying(), callback(currency="USD"), "the wallet says USD, the order is in CNY"),
        (b.paying(), replace(b.paid(), order_id="o2"), "the wallet speaks of order o2"),
        (
            b.paying(),
            callback(total_taken_minor=50),
            "the wallet says 0.50 CNY was paid, the order is 1.00 CNY",
        ),
        (b.paying(), callback(total_taken_minor=-1), "the wallet says a negative total"),
        (
            b.paying(),
            callback(order_amount_minor=-1),
            "the wallet says -1 minor units of CNY, the order is 1.00 CNY",
        ),
        (
            b.paying(),
            callback(total_frozen_minor=100),
            "the wallet says that something was frozen or released, and the order is a payment",
        ),
        (
            b.paying_preauth(),
            callback(total_frozen_minor=50),
            "the wallet says 0.50 CNY is frozen, the order is 1.00 CNY",
        ),
        (
            b.authorized(),
            callback(total_taken_minor=70, total_released_minor=40),
            "the wallet's totals, 0.70 CNY captured and 0.40 CNY released, exceed what was frozen",
        ),
        (
            b.paid_order(),
            callback(total_refunded_minor=101),
            "the wallet says 1.01 CNY was refunded, more than was taken",
        ),
        (
            b.capturing(),
            callback(request_no="o1__C1", outcome=Outcome.SUCCEEDED, request_amount_minor=60),
            "the wallet says 0.60 CNY of o1__C1, which is over 0.70 CNY",
        ),
        (
            b.capturing(),
            callback(request_no="o1__C1", outcome=Outcome.SUCCEEDED, total_released_minor=100),
            "the wallet's totals, 0.70 CNY captured and 1.00 CNY released, exceed what was frozen",
        ),
        (
            b.voiding(),
            callback(request_no="o1__R1", outcome=Outcome.SUCCEEDED, total_taken_minor=1),
            "the wallet's totals, 0.01 CNY captured and 1.00 CNY released, exceed what was frozen",
        ),
    ],
)
def test_a_wrong_amount_is_flagged_and_not_booked(order: Order, said: WalletEvidence, why: str) -> None:
    decision = decide(order, said)
    (entry,) = decision.entries
    assert (entry.disposition, entry.reason) == (Disposition.FLAGGED, why)
    assert decision.order.flags == order.flags | {Flag.AMOUNT_MISMATCH}
    assert decision.order.state is order.state
    assert (entry.taken_minor, entry.frozen_minor) == (order.taken_minor, order.frozen_minor)


def test_a_mismatch_that_every_answer_repeats_is_journaled_once() -> None:
    said = queried(Trade.PAID, order_amount_minor=1)
    order = after(b.paying(), said)
    assert not decide(order, said).entries
    assert decide(order, callback(Trade.PAID, order_amount_minor=1)).entries


def test_the_wallets_references_are_kept() -> None:
    order = after(b.paying(), replace(b.paid(), trade_no="T1", auth_no="A1"))
    assert (order.wallet_trade_no, order.wallet_auth_no) == ("T1", "A1")
    assert after(order, callback(trade_no="T2")).wallet_trade_no == "T1"


@pytest.mark.parametrize(
    ("said", "trigger"),
    [
        (callback(request_no="o1__C9", outcome=Outcome.SUCCEEDED), Trigger.CAPTURE_SUCCEEDED),
        (callback(request_no="o1__R9", outcome=Outcome.REJECTED), Trigger.RELEASE_REJECTED),
        (callback(request_no="o1__B9", outcome=Outcome.PENDING), Trigger.OPERATION_UNKNOWN),
        (callback(request_no="o1__F1", total_frozen_minor=100), Trigger.AUTHORIZATION_GRANTED),
        (callback(total_refunded_minor=30), Trigger.WALLET_REFUNDED),
        (callback(total_released_minor=10), Trigger.WALLET_RELEASED),
        (callback(total_taken_minor=60), Trigger.CAPTURE_SUCCEEDED),
        (callback(Trade.FROZEN), Trigger.AUTHORIZATION_GRANTED),
        (callback(Trade.CLOSED), Trigger.WALLET_CLOSED),
        (callback(), Trigger.OPERATION_UNKNOWN),
    ],
)
def test_a_callback_that_is_no_news_is_absorbed_under_its_own_name(said: WalletEvidence, trigger: Trigger) -> None:
    known = callback(total_taken_minor=60, total_released_minor=10, total_refunded_minor=30)
    order = after(b.authorized(), known)
    decision = decide(order, replace(said))
    (entry,) = decision.entries
    assert (entry.trigger, entry.disposition) == (trigger, Disposition.ABSORBED)
    assert decision.order.state is order.state
    assert not decide(order, replace(queried(), request_no=said.request_no)).entries


def test_a_payment_that_is_no_news_is_absorbed() -> None:
    (entry,) = decide(b.paid_order(), callback(total_taken_minor=100)).entries
    assert entry.trigger is Trigger.PAYMENT_SUCCEEDED


def test_a_success_of_an_operation_that_has_ended_counts_nothing() -> None:
    order = b.partially_captured(100, 30)
    decision = decide(order, callback(request_no="o1__C1", outcome=Outcome.SUCCEEDED))
    assert decision.order.taken_minor == 30
    assert not decision.query


def test_a_success_that_contradicts_a_rejection_is_asked_about() -> None:
    order = after(b.capturing(), *sent("C1", replied("C1", Outcome.REJECTED)))
    decision = decide(order, callback(request_no="o1__C1", outcome=Outcome.SUCCEEDED))
    assert decision.order.taken_minor == 0
    assert decision.query


def test_a_callback_alone_rejects_nothing() -> None:
    order = after(b.capturing(), b.attempted("C1"))
    said = callback(request_no="o1__C1", outcome=Outcome.REJECTED)
    assert decide(order, said).order.operation == order.operation


def test_the_same_event_is_taken_once() -> None:
    for given in (b.cancel(), b.client_result(), b.completed(70), b.refund_of(1), b.issue(), b.created()):
        order = after(b.authorized(), given)
        again = decide(order, given)
        assert again.duplicate
        assert not again.entries
        assert again.order == order
    order = b.paying()
    resolution = b.resolved(order)
    assert decide(after(order, resolution), resolution).duplicate


def test_a_completion_is_taken_once_whatever_its_event_is_called() -> None:
    order = after(b.authorized(), b.completed(70, completion_id="c", final=False))
    assert decide(order, b.completed(70, completion_id="c", final=False)).duplicate


def test_a_callback_is_taken_once_and_an_old_one_does_no_harm() -> None:
    order = after(b.paying(), replace(b.paid(), event_id="first"))
    assert decide(order, replace(b.paid(), event_id="first")).duplicate
    order = after(order, *(b.paid() for _ in range(REMEMBERED_CALLBACKS)))
    assert sum(each.startswith("w:") for each in order.seen) == REMEMBERED_CALLBACKS
    repeated = decide(order, replace(b.paid(), event_id="first"))
    assert repeated.entries[0].disposition is Disposition.ABSORBED
    assert repeated.order.taken_minor == 100


def test_a_client_that_goes_round_in_circles_leaves_room_for_others() -> None:
    order = after(b.paying(), *(b.client_result() for _ in range(MAX_INPUTS_WITH_CLIENTS)))
    assert decide(order, b.client_result()).entries[0].reason == "refused because an order takes at most 100 events"
    assert decide(order, b.cancel()).order.state is not State.PAYING


def test_an_order_takes_only_so_much_from_upstream() -> None:
    order = after(b.paying(), *(b.refund_of(1) for _ in range(MAX_UPSTREAM_INPUTS - 1)))
    decision = decide(order, b.cancel())
    assert decision.entries[0].reason == "refused because an order takes at most 200 events"
    assert decision.order.state is State.PAYING
    # What a service cost must not be lost without a word.
    decision = decide(order, b.completed(70))
    assert decision.order.flags == {Flag.UNEXPECTED_COMPLETION}
    assert decision.entries[0].reason.endswith("is unexpected: the order has taken 200 events")
    assert decide(order, b.paid()).order.state is State.PAID
    assert decide(order, b.resolved(order)).entries[0].disposition is Disposition.APPLIED
