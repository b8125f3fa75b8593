"""The wallet may know of more than we do: it is asked until it has answered, whatever is lost on the way."""

import json
from dataclasses import replace

from schemas.vocabulary import Disposition, Flag, Outcome, State, Trigger
from service.store.orders import detail as stored_detail
from service.store.orders import from_row
from service.store.views import order_document
from statemachine.decision import Policy
from statemachine.inputs import Trade
from statemachine.order import Order
from statemachine.timers import wake_at
from tests.unit import builders as b
from tests.unit.builders import after, callback, decide, queried, sent, unanswered


def doubted() -> Order:
    """Refunded in part by us; then a callback tells of another total, and does not say what it counts."""
    ours = after(b.refunding(100, 30), *sent("B1", b.replied("B1", Outcome.SUCCEEDED)))
    assert wake_at(ours) is None
    decision = decide(ours, callback(total_refunded_minor=20))
    assert decision.query
    return decision.order


def test_a_doubt_about_an_order_that_rests_is_asked_about_until_it_is_answered() -> None:
    order, waits, entries = unanswered(doubted(), 4)
    assert waits == [20, 40, 80, 160]
    assert not entries
    now = b.later(sum(waits))
    answered = after(order, queried(Trade.PAID, total_taken_minor=100, total_refunded_minor=50), now=now)
    assert (answered.state, answered.refunded_minor) == (State.PARTIALLY_REFUNDED, 50)
    assert wake_at(answered) is None


def test_an_answer_that_tells_nothing_new_ends_it_too() -> None:
    answered = decide(doubted(), queried(Trade.PAID, total_taken_minor=100, total_refunded_minor=30))
    assert not answered.entries
    assert wake_at(answered.order) is None


def test_an_answer_to_an_earlier_question_does_not_end_it() -> None:
    order = doubted()
    earlier = queried(Trade.PAID, total_taken_minor=100, total_refunded_minor=30)
    assert after(order, earlier, now=b.later(-1)).doubt == order.doubt


def test_only_an_answer_about_the_order_ends_it() -> None:
    order = doubted()
    assert after(order, callback(total_refunded_minor=30)).doubt is not None
    about_a_request = queried(request_no="o1__B1", outcome=Outcome.SUCCEEDED)
    assert after(order, about_a_request).doubt == order.doubt


def test_a_person_looks_when_it_stays_unanswered_and_the_asking_goes_on() -> None:
    order, _, entries = unanswered(doubted(), 2, Policy(close_sweeps=2))
    assert not entries
    order, _, (entry,) = unanswered(order, 4, Policy(close_sweeps=2))
    assert (entry.trigger, entry.disposition) == (Trigger.OPERATION_UNKNOWN, Disposition.FLAGGED)
    assert Flag.NEEDS_REVIEW in entry.flags
    assert wake_at(order) is not None
    # An answer takes the order out of the queue, whether it tells news or not.
    for total in (30, 50):
        (entry, *_) = decide(order, queried(Trade.PAID, total_taken_minor=100, total_refunded_minor=total)).entries
        assert Flag.NEEDS_REVIEW not in entry.flags


def test_what_a_person_has_cleared_is_not_flagged_again() -> None:
    order, *_ = unanswered(doubted(), 3, Policy(close_sweeps=2))
    cleared = after(order, b.resolved(order))
    assert not cleared.flags
    *_, entries = unanswered(cleared, 3, Policy(close_sweeps=2))
    assert not entries


def test_the_answer_takes_the_flag_down_that_an_earlier_doubt_had_put_up() -> None:
    order, *_ = unanswered(doubted(), 3, Policy(close_sweeps=2))
    assert order.flags == {Flag.NEEDS_REVIEW}
    anew = after(order, callback(total_refunded_minor=10))
    assert anew.doubt != order.doubt
    assert not after(anew, queried(Trade.PAID, total_taken_minor=100, total_refunded_minor=30)).flags
    # One that a person had cleared is put up again by a new doubt.
    cleared = after(order, b.resolved(order), callback(total_refunded_minor=10))
    flagged, *_ = unanswered(cleared, 3, Policy(close_sweeps=2))
    assert flagged.flags == {Flag.NEEDS_REVIEW}


def test_a_flag_that_something_else_put_up_stays() -> None:
    flagged = replace(doubted(), flags=frozenset({Flag.NEEDS_REVIEW}))
    order, _, entries = unanswered(flagged, 3, Policy(close_sweeps=1))
    assert not entries
    answered = decide(order, queried(Trade.PAID, total_taken_minor=100, total_refunded_minor=30))
    assert not answered.entries
    assert answered.order.flags == {Flag.NEEDS_REVIEW}


def test_a_doubt_waits_while_something_is_under_way_and_is_not_forgotten() -> None:
    ours = after(b.capturing(100, 30, final=False), *sent("C1", b.replied("C1", Outcome.SUCCEEDED)))
    order = after(ours, callback(total_taken_minor=20))
    assert order.doubt is not None
    # While more may be captured, the authorization's own times matter.
    assert wake_at(order) == ours.next_query_at
    capturing = after(order, b.completed(70))
    assert wake_at(capturing) == capturing.authorization_deadline
    captured = after(capturing, *sent("C2", b.replied("C2", Outcome.SUCCEEDED)))
    assert captured.state is State.CAPTURED
    assert wake_at(captured) == order.doubt.ask_at


def test_a_doubt_beside_a_planned_question_is_asked_about_with_it() -> None:
    rejected = after(b.voiding(), *sent("R1", b.replied("R1", Outcome.REJECTED)))
    order = after(rejected, callback(request_no="o1__R1", outcome=Outcome.SUCCEEDED))
    assert order.doubt is not None
    assert wake_at(order) == order.doubt.ask_at == order.next_query_at
    asked = decide(order, b.timer(), now=order.doubt.ask_at)
    assert asked.query
    assert asked.order.queries == 1
    assert asked.order.doubt is not None
    assert asked.order.doubt.questions == 1


def test_an_order_in_doubt_can_be_shown_as_json() -> None:
    document = json.loads(json.dumps(order_document(doubted())))
    assert document["doubt"] == {
        "since": "2026-03-01T12:00:00Z",
        "ask_at": "2026-03-01T12:00:20Z",
        "questions": 0,
        "is_flagged": False,
    }
    assert document["created_at"] == "2026-03-01T12:00:00Z"


def test_a_doubt_is_stored_with_its_order() -> None:
    order = doubted()
    columns = ("order_id", "kind", "profile", "currency", "amount_minor", "state", "version", "flags")
    facts = ("frozen_minor", "taken_minor", "released_minor", "refunded_minor")
    row = {name: getattr(order, name) for name in (*columns, *facts)}
    assert from_row(row | {"detail": stored_detail(order)}) == order  # type: ignore[arg-type]


def test_a_capture_that_was_refused_is_doubted_until_a_question_confirms_it() -> None:
    """The call may have been a repeat of one that went through, whose answer was lost."""
    refused = decide(b.capturing(), b.attempted("C1")).order
    decision = decide(refused, b.replied("C1", Outcome.REJECTED, code="AUTH_AMOUNT_NOT_ENOUGH"))
    assert (decision.order.state, decision.query) == (State.AUTHORIZED, True)
    assert decision.order.doubt is not None
    confirmed = after(decision.order, queried(Trade.FROZEN, total_frozen_minor=100, total_taken_minor=0))
    assert (confirmed.state, confirmed.doubt) == (State.AUTHORIZED, None)
    denied = after(decision.order, queried(Trade.FROZEN, total_frozen_minor=100, total_taken_minor=70))
    assert (denied.taken_minor, denied.doubt) == (70, None)
    # A question that says so has been asked already.
    asked = decide(refused, queried(request_no="o1__C1", outcome=Outcome.REJECTED))
    assert (asked.order.state, asked.order.doubt) == (State.AUTHORIZED, None)
