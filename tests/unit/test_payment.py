"""Payments: created, issued, paid, closed, late."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from schemas.vocabulary import Disposition, Flag, LatePayment, OperationState, Outcome, State, Trigger
from statemachine import decide as deciding
from statemachine.decision import Policy
from statemachine.inputs import Trade
from statemachine.order import Order
from statemachine.timers import wake_at
from tests.unit import builders as b
from tests.unit.builders import after, begun, callback, decide, queried, replied, sent


def test_an_order_is_created_and_issued_at_once() -> None:
    first, second = decide(None, b.created(100)).entries
    assert (first.version, first.trigger, first.previous_state, first.state) == (1, "create", None, "created")
    assert (second.version, second.trigger, second.previous_state, second.state) == (
        2,
        "issue",
        "created",
        "paying",
    )


def test_an_order_can_be_created_first_and_issued_later() -> None:
    decision = decide(None, b.created(100, issue=False))
    assert [entry.state for entry in decision.entries] == [State.CREATED]
    issued = decide(decision.order, b.issue(), now=b.later(60)).order
    assert issued.state is State.PAYING
    assert issued.pay_deadline == b.later(60 + 900 + b.POLICY.pay_grace_s)
    assert issued.next_query_at == b.later(60 + b.POLICY.first_query_s)


def test_only_its_creation_can_come_before_an_order() -> None:
    with pytest.raises(AssertionError, match="cannot come before"):
        decide(None, b.issue())


def test_an_order_is_created_once() -> None:
    (entry,) = decide(b.paying(), b.created()).entries
    assert entry.disposition is Disposition.REFUSED
    assert entry.reason == "refused because the order exists already"


@pytest.mark.parametrize(
    ("order", "why"),
    [(b.paying(), "the order has been issued already"), (b.paid_order(), "the order is already paid")],
)
def test_an_order_is_issued_once(order: Order, why: str) -> None:
    (entry,) = decide(order, b.issue()).entries
    assert entry.reason == f"refused because {why}"


def test_a_payment_is_booked_as_the_wallets_total() -> None:
    decision = decide(b.paying(), b.paid())
    (entry,) = decision.entries
    assert (entry.trigger, entry.state, entry.taken_minor) == (Trigger.PAYMENT_SUCCEEDED, State.PAID, 100)
    assert decision.order.next_query_at is None
    again = decide(decision.order, b.paid())
    assert [entry.disposition for entry in again.entries] == [Disposition.ABSORBED]
    assert again.order.taken_minor == 100


def test_a_payment_can_be_known_before_the_issue() -> None:
    assert after(b.unissued(), b.paid()).state is State.PAID


def test_a_status_is_worth_the_amount_that_it_is_said_of() -> None:
    assert after(b.paying(), callback(Trade.PAID, order_amount_minor=100)).taken_minor == 100
    unsaid = decide(b.paying(), callback(Trade.PAID))
    assert unsaid.order.state is State.PAYING
    assert unsaid.query
    assert not decide(b.paying(), queried(Trade.PAID)).query


def test_what_a_client_says_proves_nothing() -> None:
    decision = decide(b.paying(), b.client_result("9000"))
    assert decision.query
    assert decision.order.state is State.PAYING
    assert decision.entries[0].reason == "the buyer's client says 9000"
    late = decide(b.paid_order(), b.client_result())
    assert late.entries[0].disposition is Disposition.ABSORBED
    assert not late.query


def test_a_failed_payment_is_journaled_and_asked_about() -> None:
    decision = decide(b.paying(), callback(Trade.FAILED))
    assert decision.query
    assert decision.order.state is State.PAYING
    # An answer to that very question must not ask again.
    answer = decide(b.paying(), queried(Trade.FAILED))
    assert not answer.query
    assert not answer.entries


def test_nothing_has_to_be_confirmed_for_an_order_that_never_went_out() -> None:
    assert after(b.unissued(), b.cancel()).state is State.CLOSED
    order = b.unissued()
    assert after(order, b.timer(), now=b.past_pay_deadline(order)).state is State.EXPIRED


def test_a_timer_closes_first_and_expires_then() -> None:
    order = b.paying()
    decision = decide(order, b.timer(), now=b.past_pay_deadline(order))
    assert decision.order.state is State.EXPIRING
    assert begun(decision) == [b.CLOSE]
    assert decision.entries[0].operation == decision.order.operation
    assert decision.entries[0].reason == "by timer"
    assert after(decision.order, *sent("V1")).state is State.EXPIRED


def test_a_cancel_closes_first_and_is_closed_then() -> None:
    decision = decide(b.paying(), b.cancel("changed my mind"))
    assert begun(decision) == [b.CLOSE]
    assert decision.entries[0].reason == "by cancel: changed my mind"
    assert after(decision.order, *sent("V1")).state is State.CLOSED
    (entry,) = decide(decision.order, b.cancel()).entries
    assert entry.reason == "refused because the order is being closed already"


def test_a_payment_supersedes_the_close() -> None:
    decision = decide(b.expiring(), b.paid())
    assert decision.order.state is State.PAID
    assert [each.state for each in decision.operations] == [OperationState.SUPERSEDED]
    assert not decision.order.flags


def test_a_close_that_finds_it_paid_books_the_payment() -> None:
    order = after(b.expiring(), b.attempted("V1"))
    said = replied("V1", Outcome.REJECTED, trade=Trade.PAID, order_amount_minor=100)
    assert after(order, said).state is State.PAID


def test_the_wallet_can_close_by_itself() -> None:
    assert after(b.paying(), callback(Trade.CLOSED)).state is State.CLOSED
    assert after(b.expiring(), callback(Trade.CLOSED)).state is State.EXPIRED
    assert after(after(b.paying(), b.cancel()), callback(Trade.CLOSED)).state is State.CLOSED


def test_no_such_trade_proves_nothing_before_the_deadline() -> None:
    order = after(b.paying(), b.cancel(), b.attempted("V1"))
    said = replied("V1", Outcome.REJECTED, trade=Trade.MISSING)
    assert not decide(order, said).entries
    deadline = b.past_pay_deadline(order)
    assert after(order, said, now=deadline).state is State.CLOSED
    assert after(order, queried(Trade.MISSING), now=deadline).state is State.CLOSED
    assert after(order, queried(Trade.MISSING, request_no="o1__F1"), now=deadline).state is State.CLOSED
    assert not decide(order, queried(Trade.MISSING, request_no="o1__C1"), now=deadline).entries
    assert not decide(b.paying(), queried(Trade.MISSING), now=deadline).entries


def test_an_answer_from_before_the_deadline_proves_nothing_after_it() -> None:
    order = after(b.paying(), b.cancel(), b.attempted("V1"))
    deadline = b.past_pay_deadline(order)
    asked_at = deadline - timedelta(seconds=1)
    late = replace(queried(Trade.MISSING), occurred_at=asked_at)
    # The real one: the helper has wallets asked at the moment of deciding. The buyer may have paid in between.
    decision = deciding.decide(order, late, now=deadline + timedelta(seconds=5), policy=b.POLICY)
    assert decision.order.state is State.EXPIRING
    in_time = replace(late, occurred_at=deadline)
    assert deciding.decide(order, in_time, now=deadline, policy=b.POLICY).order.state is State.CLOSED


def test_a_rejected_close_is_asked_about_and_tried_again() -> None:
    order = after(b.expiring(), b.attempted("V1"))
    now = b.past_pay_deadline(order)
    decision = decide(order, replied("V1", Outcome.REJECTED, code="BUSY"), now=now)
    assert decision.query
    assert decision.order.state is State.EXPIRING
    assert decision.entries[0].reason == "the wallet says BUSY"
    # The question asked at once may only find out that it was paid; the later one begins anew.
    assert not decide(decision.order, queried(Trade.OPEN), now=now).entries
    assert decision.order.next_query_at is not None
    asked = decide(decision.order, b.timer(), now=decision.order.next_query_at)
    assert asked.query
    again = decide(asked.order, queried(Trade.OPEN))
    assert begun(again) == [b.CLOSE]
    assert again.order.operation is not None
    assert again.order.operation.id == "o1__V2"


def test_a_close_is_not_tried_for_ever() -> None:
    policy = Policy(close_sweeps=1)
    order = after(b.expiring(), b.attempted("V1"), replied("V1", Outcome.REJECTED))
    asking = replace(order, queries=1)
    assert after(asking, queried(Trade.OPEN), policy=policy).flags == {Flag.CLOSE_UNCONFIRMED}
    assert order.next_query_at is not None
    never_answered = after(order, b.timer(), now=order.next_query_at, policy=policy)
    assert (never_answered.state, never_answered.flags) == (State.EXPIRED, {Flag.CLOSE_UNCONFIRMED})


def test_a_close_that_nobody_confirms_is_flagged_and_swept() -> None:
    expiring = b.expiring()
    order = after(expiring, b.attempted("V1"), b.given_up("V1"), now=b.past_pay_deadline(expiring))
    assert (order.state, order.flags) == (State.EXPIRED, {Flag.CLOSE_UNCONFIRMED})
    sweeps = 0
    while order.next_query_at is not None:
        decision = decide(order, b.timer(), now=order.next_query_at)
        assert decision.query
        assert not decision.entries
        order, sweeps = decision.order, sweeps + 1
    assert sweeps == b.POLICY.close_sweeps
    confirmed = decide(order, callback(Trade.CLOSED)).order
    assert (confirmed.state, confirmed.flags) == (State.EXPIRED, frozenset())


def test_a_cancelled_order_is_asked_about_until_the_buyer_can_pay_no_more() -> None:
    order = after(b.paying(pay_window_s=7200), b.cancel(), b.attempted("V1"), b.given_up("V1"))
    assert (order.state, order.flags) == (State.CLOSED, {Flag.CLOSE_UNCONFIRMED})
    asked_at = []
    while (wake := wake_at(order)) is not None:
        # The wallet would not close it: it can be paid, and each answer is true only for its moment.
        order = after(order, b.timer(), queried(Trade.OPEN, order_amount_minor=100, total_taken_minor=0), now=wake)
        asked_at.append(wake)
    deadline = b.past_pay_deadline(order)
    # Then as often as about one that its timer has ended.
    after_it = [moment for moment in asked_at if moment >= deadline]
    assert (after_it[0], len(after_it)) == (deadline, b.POLICY.close_sweeps)
    assert max(later - earlier for earlier, later in pairwise(asked_at)) <= timedelta(minutes=10)


def test_late_money_goes_back() -> None:
    decision = decide(b.expired(), b.paid())
    assert decision.order.state is State.REFUNDING
    assert begun(decision) == [b.refund(100)]
    assert decision.entries[-1].operation == decision.order.operation
    assert decision.order.flags == {Flag.LATE_PAYMENT}
    assert after(decision.order, *sent("B1")).state is State.REFUNDED


def test_late_money_is_kept_where_the_order_says_so() -> None:
    order = after(b.closed(late_payment=LatePayment.ACCEPT), b.paid())
    assert (order.state, order.flags) == (State.PAID, {Flag.LATE_PAYMENT})


def test_a_trade_told_of_only_as_closed_and_refunded_had_been_paid() -> None:
    said = callback(Trade.CLOSED, order_amount_minor=100, total_refunded_minor=100)
    decision = decide(b.paying(), said)
    assert [entry.trigger for entry in decision.entries] == [
        Trigger.PAYMENT_SUCCEEDED,
        Trigger.WALLET_REFUNDED,
    ]
    assert decision.order.state is State.REFUNDED
