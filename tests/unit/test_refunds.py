"""Refunds: ours, one at a time, and the wallet's own."""

from dataclasses import replace

import pytest

from schemas.vocabulary import Disposition, Flag, OperationState, Outcome, State
from statemachine.decide import decide as deciding
from statemachine.inputs import RefundRequested
from statemachine.order import Order
from statemachine.timers import wake_at
from tests.unit import builders as b
from tests.unit.builders import after, begun, callback, decide, queried, refund, refund_of, replied, sent


def test_a_refund_goes_back_in_part_or_in_full() -> None:
    decision = decide(b.paid_order(100), refund_of(30))
    assert begun(decision) == [refund(30)]
    assert decision.entries[0].operation == decision.order.operation
    order = after(decision.order, *sent("B1"))
    assert (order.state, order.refunded_minor) == (State.PARTIALLY_REFUNDED, 30)
    order = after(order, refund_of(70), *sent("B2"))
    assert (order.state, order.refunded_minor) == (State.REFUNDED, 100)


def test_a_captured_order_can_be_refunded() -> None:
    assert after(b.captured(100), refund_of(100), *sent("B1")).state is State.REFUNDED


@pytest.mark.parametrize(
    ("order", "asked", "why"),
    [
        (b.paying(), refund_of(10), "the order is waiting for the buyer to pay"),
        (b.authorized(), refund_of(10), "the order is authorized and nothing has been captured"),
        (b.paid_order(), refund_of(101), "1.00 CNY can be refunded, not 1.01"),
        (b.paid_order(), refund_of(10, currency="USD"), "the order is in CNY, not in USD"),
        (b.refunding(), refund_of(1), "the refund o1__B1 is under way; ask again when it has ended"),
        (
            b.releasing_remainder(),
            refund_of(1),
            "the release o1__R1 is under way; ask again when it has ended",
        ),
        (after(b.refunding(), *sent("B1")), refund_of(1), "the order has been refunded"),
    ],
)
def test_a_refund_that_cannot_be_is_refused_with_a_reason(order: Order, asked: RefundRequested, why: str) -> None:
    decision = decide(order, asked)
    (entry,) = decision.entries
    assert (entry.disposition, entry.reason) == (Disposition.REFUSED, f"refused because {why}")
    assert not decision.operations


def test_a_refused_refund_may_be_asked_for_again() -> None:
    order = after(b.refunding(100, 10), refund_of(20, "again"), *sent("B1"))
    assert begun(decide(order, refund_of(20, "again"))) == [refund(20)]


def test_a_refund_is_made_once() -> None:
    order = after(b.paid_order(100), refund_of(30, "r"), *sent("B1"))
    again = decide(order, refund_of(30, "r"))
    assert again.duplicate
    assert not again.entries


def test_a_rejected_refund_leaves_the_order_where_it_was() -> None:
    rejected = replied("B1", Outcome.REJECTED)
    order = after(b.refunding(), *sent("B1", rejected))
    assert (order.state, order.flags) == (State.PAID, {Flag.REFUND_REJECTED})
    assert after(b.captured(), refund_of(1), *sent("B1", rejected)).state is State.CAPTURED
    part = after(b.refunding(100, 30), *sent("B1"), refund_of(20), *sent("B2", replied("B2", Outcome.REJECTED)))
    assert part.state is State.PARTIALLY_REFUNDED


def test_the_wallet_can_refund_by_itself() -> None:
    order = after(b.paid_order(), callback(total_refunded_minor=30))
    assert (order.state, order.flags) == (State.PARTIALLY_REFUNDED, {Flag.REFUND_BY_WALLET})
    assert after(order, callback(total_refunded_minor=100)).state is State.REFUNDED
    assert after(b.captured(), callback(total_refunded_minor=100)).state is State.REFUNDED


def test_a_total_that_may_be_older_than_our_own_refund_is_asked_about() -> None:
    # The wallet had given back 30 before we gave back 20, and its callback was late: 50 have gone back, not 30.
    order = after(b.refunding(100, 20), *sent("B1"))
    decision = decide(order, callback(total_refunded_minor=30))
    assert decision.order.refunded_minor == 30
    assert decision.query
    told = decide(decision.order, queried(total_taken_minor=100, total_refunded_minor=50))
    assert (told.order.refunded_minor, told.query) == (50, False)
    # Less than ours is no news either way, and yet it may come on top of ours.
    assert decide(order, callback(total_refunded_minor=10)).query
    # As much as ours may be ours, or the wallet's own of before: two of 20.
    assert decide(order, callback(total_refunded_minor=20)).query
    # Where nothing of ours is counted in it, there is nothing to ask.
    assert not decide(b.paid_order(), callback(total_refunded_minor=30)).query


def test_a_refund_by_the_wallet_leaves_no_room_for_ours() -> None:
    decision = decide(b.refunding(100, 80), callback(total_refunded_minor=50))
    assert decision.order.state is State.PARTIALLY_REFUNDED
    assert [each.state for each in decision.operations] == [OperationState.SUPERSEDED]


def test_a_refund_that_had_been_sent_is_seen_in_the_totals() -> None:
    order = after(b.refunding(), b.attempted("B1"))
    decision = decide(order, queried(total_refunded_minor=100))
    assert (decision.order.state, decision.order.flags) == (State.REFUNDED, frozenset())
    small = after(b.refunding(100, 30), b.attempted("B1"), queried(total_refunded_minor=30))
    assert small.state is State.REFUNDING
    assert after(small, replied("B1", Outcome.SUCCEEDED)).refunded_minor == 30


def test_an_answer_from_before_a_refund_does_not_end_the_doubt_that_the_refund_left() -> None:
    # 1 by us, 30 by the wallet, whose callback was late, and 33 by us, beside which the question was answered.
    order = after(b.refunding(100, 1), *sent("B1"), refund_of(33), b.attempted("B2"))
    doubted = after(order, callback(total_refunded_minor=30))
    refunded = decide(doubted, replied("B2", Outcome.SUCCEEDED), now=b.later(2))
    assert (refunded.order.refunded_minor, refunded.query) == (63, True)
    meanwhile = replace(queried(total_taken_minor=100, total_refunded_minor=31), occurred_at=b.later(1))
    told = deciding(refunded.order, meanwhile, now=b.later(3), policy=b.POLICY).order
    assert (told.refunded_minor, told.doubt) == (63, refunded.order.doubt)
    now = after(told, queried(total_taken_minor=100, total_refunded_minor=64), now=b.later(4))
    assert (now.refunded_minor, now.doubt) == (64, None)


def test_a_refund_that_was_refused_does_not_end_the_asking_about_what_is_still_held() -> None:
    rejected = replied("R1", Outcome.REJECTED)
    held = after(b.releasing_remainder(100, 70), *sent("R1", rejected))
    order = after(held, refund_of(10), *sent("B1", replied("B1", Outcome.REJECTED)))
    assert (order.state, order.held_minor) == (State.CAPTURED, 30)
    assert wake_at(order) == wake_at(held) is not None


def test_a_refund_before_everything_was_captured_shows_afterwards() -> None:
    order = after(b.partially_captured(100, 30), callback(total_refunded_minor=30))
    assert order.state is State.PARTIALLY_CAPTURED
    ended = after(order, b.completed(0), *sent("R1"))
    assert ended.state is State.REFUNDED


def test_a_capture_that_shows_after_the_refund_makes_it_partial() -> None:
    order = after(b.releasing_remainder(100, 70), callback(total_refunded_minor=70))
    assert order.state is State.REFUNDED
    later = after(order, callback(total_taken_minor=90))
    assert (later.state, later.held_minor) == (State.PARTIALLY_REFUNDED, 10)
    assert after(later, *sent("R2")).held_minor == 0
