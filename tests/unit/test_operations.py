"""Operations under way: attempted, unknown, given up, resolved by a person; and the timers beside them."""

from schemas.vocabulary import Disposition, Flag, OperationState, Outcome, State, Trigger
from statemachine.timers import wake_at
from tests.unit import builders as b
from tests.unit.builders import after, begun, decide, replied, sent


def test_an_attempt_is_stored_and_is_no_news() -> None:
    decision = decide(b.capturing(), b.attempted("C1"))
    assert not decision.entries
    (operation,) = decision.operations
    assert (operation.state, operation.attempts) == (OperationState.SUBMITTING, 1)
    assert not decide(b.capturing(), b.attempted("C2")).operations


def test_a_lost_answer_makes_the_operation_unknown_once() -> None:
    order = after(b.capturing(), b.attempted("C1"))
    first = decide(order, replied("C1", Outcome.UNKNOWN))
    assert [entry.trigger for entry in first.entries] == [Trigger.OPERATION_UNKNOWN]
    assert first.operations[0].state is OperationState.UNKNOWN
    tried_again = after(first.order, b.attempted("C1"))
    second = decide(tried_again, replied("C1", Outcome.UNKNOWN))
    assert not second.entries
    assert second.operations[0].state is OperationState.UNKNOWN
    assert after(second.order, replied("C1", Outcome.SUCCEEDED)).state is State.CAPTURED


def test_pending_is_no_news() -> None:
    order = after(b.capturing(), b.attempted("C1"))
    decision = decide(order, replied("C1", Outcome.PENDING))
    assert (decision.entries, decision.operations) == ([], [])


def test_an_operation_given_up_stays_and_is_looked_at() -> None:
    decision = decide(after(b.capturing(), b.attempted("C1")), b.given_up("C1"))
    assert decision.entries[0].disposition is Disposition.FLAGGED
    assert decision.order.flags == {Flag.NEEDS_REVIEW}
    assert decision.order.operation is not None
    assert decision.order.operation.state is OperationState.UNKNOWN
    assert not decide(decision.order, b.given_up("C1")).entries
    assert not decide(decision.order, b.given_up("C7")).entries
    assert after(decision.order, replied("C1", Outcome.SUCCEEDED)).flags == frozenset()


def test_a_person_can_say_what_became_of_it() -> None:
    order = after(b.capturing(100, 70), *sent("C1", replied("C1", Outcome.UNKNOWN)))
    decision = decide(order, b.resolved(order, Outcome.SUCCEEDED))
    assert [entry.trigger for entry in decision.entries] == [
        Trigger.OPERATOR_RESOLVED,
        Trigger.CAPTURE_SUCCEEDED,
    ]
    assert decision.entries[0].reason == "ann: looked at the console (evidence: ticket 7)"
    assert (decision.order.state, decision.order.taken_minor) == (State.CAPTURED, 70)
    assert begun(decision) == [b.release(30)]
    rejected = after(order, b.resolved(order, Outcome.REJECTED))
    assert rejected.state is State.AUTHORIZED
    closing = after(b.expiring(), *sent("V1", replied("V1", Outcome.UNKNOWN)))
    assert after(closing, b.resolved(closing, Outcome.SUCCEEDED)).state is State.EXPIRED


def test_a_person_can_clear_the_flags() -> None:
    order = after(b.capturing(), *sent("C1", replied("C1", Outcome.REJECTED)))
    decision = decide(order, b.resolved(order))
    assert decision.order.flags == frozenset()
    assert not decision.operations
    # A sweep that goes on keeps its flag; one that has ended does not.
    swept = after(b.expiring(), b.given_up("V1"))
    assert after(swept, b.resolved(swept)).flags == {Flag.CLOSE_UNCONFIRMED}


def test_a_resolution_that_does_not_fit_is_refused() -> None:
    live, resting = b.capturing(), b.paid_order()
    on_its_way = after(live, b.attempted("C1"))
    for order, resolution, why in (
        (
            live,
            b.resolved(live, Outcome.SUCCEEDED),
            "o1__C1 is reserved: only what is unknown needs a person's word",
        ),
        (
            on_its_way,
            b.resolved(on_its_way, Outcome.REJECTED),
            "o1__C1 is submitting: only what is unknown needs a person's word",
        ),
        (live, b.resolved(live, Outcome.SUCCEEDED, version=1), "the order is at version 4, not 1"),
        (live, b.resolved(live), "o1__C1 is under way: say whether it succeeded or was rejected"),
        (
            live,
            b.resolved(live, Outcome.PENDING),
            "o1__C1 is under way: say whether it succeeded or was rejected",
        ),
        (
            resting,
            b.resolved(resting, Outcome.SUCCEEDED),
            "no operation is under way that could have an outcome",
        ),
    ):
        (entry,) = decide(order, resolution).entries
        assert (entry.disposition, entry.reason) == (Disposition.REFUSED, f"refused because {why}")


def test_a_paying_order_is_asked_about_ever_more_rarely() -> None:
    order = b.paying(pay_timeout_s=86_400, pay_window_s=86_400)
    _, waits, entries = b.unanswered(order, 8)
    assert waits == [20, 40, 80, 160, 320, 600, 600, 600]
    assert not entries


def test_a_timer_that_comes_too_early_does_nothing() -> None:
    decision = decide(b.paying(), b.timer())
    assert not decision.entries
    assert not decision.query


def test_time_matters_only_where_something_is_planned() -> None:
    unissued, paying, authorized = b.unissued(), b.paying(), b.authorized()
    assert wake_at(unissued) == unissued.pay_deadline
    assert wake_at(paying) == paying.next_query_at
    assert wake_at(authorized) == authorized.next_query_at
    assert wake_at(b.capturing()) == authorized.authorization_deadline
    for order in (b.expiring(), b.paid_order(), b.refunding(), b.captured(), b.voiding(), b.closed()):
        assert wake_at(order) is None
    assert authorized.next_query_at is not None
    warned = after(authorized, b.timer(), now=authorized.next_query_at)
    assert wake_at(warned) == authorized.authorization_deadline
