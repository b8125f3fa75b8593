"""Pre-authorizations: frozen, captured, released."""

from dataclasses import replace

import pytest

from schemas.vocabulary import Disposition, Flag, Kind, OperationState, Outcome, State, Trigger
from statemachine.decision import Policy
from statemachine.inputs import Trade, WalletEvidence
from statemachine.order import Order
from tests.unit import builders as b
from tests.unit.builders import (
    after,
    authorized,
    begun,
    callback,
    capture,
    completed,
    decide,
    granted,
    queried,
    release,
    replied,
    sent,
)


def test_a_grant_waits_for_the_service() -> None:
    order = authorized(100)
    assert (order.state, order.held_minor) == (State.AUTHORIZED, 100)
    assert order.authorization_deadline == b.later(86_400)
    assert after(b.paying_preauth(100), callback(Trade.FROZEN, order_amount_minor=100)).held_minor == 100


def test_a_completion_is_captured() -> None:
    decision = decide(authorized(100), completed(70))
    assert begun(decision) == [capture(70)]
    assert decision.entries[0].operation == decision.order.operation
    assert decision.order.operation is not None
    assert decision.order.operation.complete


def test_a_completion_beyond_what_is_held_captures_what_is_held() -> None:
    decision = decide(authorized(100), completed(120))
    assert begun(decision) == [capture(100)]
    assert decision.order.flags == {Flag.SHORTFALL}
    assert decision.entries[0].reason == "20 more than is held"


def test_how_much_is_missing_is_said_of_a_completion_that_had_waited_too() -> None:
    """It came before the buyer's authorization, or while another was being captured."""
    early = after(b.paying(100, Kind.PREAUTH), completed(120))
    decision = decide(early, granted(100))
    assert (decision.order.state, decision.order.flags) == (State.CAPTURING, {Flag.SHORTFALL})
    assert decision.entries[-1].reason == "20 more than is held"
    queued = after(b.capturing(100, 30, final=False), completed(80), b.attempted("C1"))
    decision = decide(queued, replied("C1", Outcome.SUCCEEDED))
    assert decision.entries[-1].reason == "a completion had been waiting; 10 more than is held"


def test_a_capture_that_a_message_begins_is_not_the_one_that_it_speaks_of() -> None:
    early = after(b.paying_preauth(100), completed(60, final=False))
    strange = callback(
        total_frozen_minor=100, total_released_minor=60, request_no="o1__C1", outcome=Outcome.SUCCEEDED
    )
    order = decide(early, strange).order
    assert (order.taken_minor, order.released_minor) == (0, 60)


def test_the_remainder_is_released_after_the_final_capture() -> None:
    decision = decide(after(b.capturing(100, 70), b.attempted("C1")), replied("C1", Outcome.SUCCEEDED))
    assert decision.order.state is State.CAPTURED
    assert begun(decision) == [release(30)]
    (entry,) = decision.entries
    assert entry.operation is not None
    assert (entry.operation.id, entry.operation.state) == ("o1__C1", OperationState.SUCCEEDED)
    order = after(decision.order, *sent("R1"))
    assert (order.state, order.held_minor, order.released_minor) == (State.CAPTURED, 0, 30)


def test_the_remainder_is_not_released_where_the_wallet_did_so_already() -> None:
    decision = decide(b.capturing(100, 70), replied("C1", Outcome.SUCCEEDED, total_released_minor=30))
    assert begun(decision) == []
    assert decision.order.held_minor == 0


def test_several_captures_follow_one_another() -> None:
    order = b.partially_captured(100, 30)
    assert (order.state, order.held_minor) == (State.PARTIALLY_CAPTURED, 70)
    decision = decide(order, completed(70))
    assert begun(decision) == [capture(70)]
    order = after(decision.order, *sent("C2"))
    assert (order.state, order.taken_minor) == (State.CAPTURED, 100)


def test_completions_queue_while_a_capture_is_under_way() -> None:
    order = after(b.capturing(100, 30, final=False), completed(20, final=False), completed(10))
    assert [each.amount_minor for each in order.waiting] == [20, 10]
    decision = decide(order, replied("C1", Outcome.SUCCEEDED))
    assert [entry.trigger for entry in decision.entries] == [
        Trigger.CAPTURE_SUCCEEDED,
        Trigger.SERVICE_COMPLETED,
    ]
    assert begun(decision) == [capture(20)]
    last = decide(decision.order, replied("C2", Outcome.SUCCEEDED))
    assert begun(last) == [capture(10)]
    assert begun(decide(last.order, replied("C3", Outcome.SUCCEEDED))) == [release(40)]


def test_what_waits_when_nothing_is_left_is_told() -> None:
    order = after(b.capturing(100, 100, final=False), completed(20, final=False), completed(0))
    decision = decide(order, replied("C1", Outcome.SUCCEEDED))
    assert decision.order.state is State.CAPTURED
    assert decision.order.flags == {Flag.SHORTFALL}
    assert [entry.disposition for entry in decision.entries[1:]] == [
        Disposition.FLAGGED,
        Disposition.ABSORBED,
    ]


@pytest.mark.parametrize("order", [b.unissued(100, Kind.PREAUTH), b.paying_preauth(100)])
def test_a_completion_may_come_before_the_grant(order: Order) -> None:
    waiting = decide(order, completed(70))
    assert waiting.entries[0].reason == "it waits"
    decision = decide(waiting.order, granted(100))
    assert decision.order.state is State.CAPTURING
    assert begun(decision) == [capture(70)]


def test_a_service_that_cost_nothing_gives_everything_back() -> None:
    early = decide(after(b.paying_preauth(100), completed(0)), granted(100))
    assert (early.order.state, begun(early)) == (State.VOIDING, [release(100)])
    assert early.entries[0].operation == early.order.operation
    later = decide(authorized(100), completed(0))
    assert (later.order.state, begun(later)) == (State.VOIDING, [release(100)])
    assert after(later.order, *sent("R1")).state is State.VOIDED
    rest = decide(b.partially_captured(100, 30), completed(0))
    assert begun(rest) == [release(70)]
    assert after(rest.order, *sent("R1")).state is State.CAPTURED


def test_a_free_part_of_a_service_changes_nothing() -> None:
    (entry,) = decide(authorized(), completed(0, final=False)).entries
    assert (entry.disposition, entry.reason) == (Disposition.ABSORBED, "there is nothing to capture")


@pytest.mark.parametrize(
    "order",
    [
        b.captured(),
        b.capturing(),
        b.voiding(),
        b.paid_order(),
        b.expiring(100, Kind.PREAUTH),
        after(b.paying_preauth(), completed(70)),
    ],
)
def test_a_completion_that_nobody_expects_is_flagged(order: Order) -> None:
    decision = decide(order, completed(10))
    assert decision.entries[0].disposition is Disposition.FLAGGED
    assert Flag.UNEXPECTED_COMPLETION in decision.order.flags
    assert decision.order.waiting == order.waiting


def test_a_completion_in_another_currency_is_flagged_and_may_be_corrected() -> None:
    order = after(authorized(), completed(70, currency="USD", completion_id="c"))
    assert order.flags == {Flag.AMOUNT_MISMATCH}
    assert begun(decide(order, completed(70, completion_id="c"))) == [capture(70)]


def test_a_rejected_capture_waits_for_a_person_and_for_another_completion() -> None:
    order = after(b.capturing(), b.attempted("C1"), replied("C1", Outcome.REJECTED, code="AUTH_NO_ERROR"))
    assert (order.state, order.flags) == (State.AUTHORIZED, {Flag.CAPTURE_REJECTED})
    assert begun(decide(order, completed(50))) == [capture(50)]
    second = after(b.partially_captured(), completed(10), *sent("C2", replied("C2", Outcome.REJECTED)))
    assert second.state is State.PARTIALLY_CAPTURED


def test_a_cancel_and_the_end_of_the_authorization_give_everything_back() -> None:
    by_cancel = decide(authorized(), b.cancel())
    assert (begun(by_cancel), by_cancel.order.state) == ([release(100)], State.VOIDING)
    assert after(by_cancel.order, *sent("R1")).state is State.VOIDED
    by_timer = decide(authorized(), b.timer(), now=b.later(86_400))
    assert (begun(by_timer), by_timer.entries[0].reason) == ([release(100)], "by timer")
    assert after(by_timer.order, *sent("R1")).state is State.EXPIRED


def test_an_authorization_is_warned_about_near_its_end() -> None:
    order = authorized()
    assert order.next_query_at == b.later(86_400 * 0.9)
    decision = decide(order, b.timer(), now=order.next_query_at)
    assert decision.query
    assert decision.order.flags == {Flag.AUTHORIZATION_EXPIRING}
    assert after(decision.order, b.cancel()).flags == frozenset()


def test_a_capture_under_way_decides_about_an_authorization_that_ended() -> None:
    decision = decide(b.capturing(), b.timer(), now=b.later(86_400))
    assert decision.order.state is State.CAPTURING
    assert decision.order.flags == {Flag.CAPTURE_PAST_AUTHORIZATION}
    assert not decide(decision.order, b.timer(), now=b.later(86_401)).entries


def test_a_late_grant_is_released() -> None:
    for order in (b.expired(100, Kind.PREAUTH), b.closed(100, Kind.PREAUTH), b.expiring(100, Kind.PREAUTH)):
        decision = decide(order, granted())
        assert (decision.order.state, begun(decision)) == (State.VOIDING, [release(100)])
        assert decision.order.flags == {Flag.LATE_AUTHORIZATION}


def test_a_grant_after_a_cancel_ends_voided() -> None:
    order = after(b.paying_preauth(), b.cancel(), granted())
    assert after(order, *sent("R1")).state is State.VOIDED


def test_the_wallet_can_release_by_itself() -> None:
    def said(released: int) -> WalletEvidence:
        return callback(total_released_minor=released)

    assert after(authorized(), said(100)).state is State.EXPIRED
    assert after(authorized(), said(40)).held_minor == 60
    assert after(b.partially_captured(100, 30), said(70)).state is State.CAPTURED
    assert after(b.voiding(), said(100)).state is State.VOIDED


def test_a_release_that_had_been_sent_is_seen_in_the_totals() -> None:
    decision = decide(after(b.voiding(), b.attempted("R1")), queried(total_released_minor=100))
    assert decision.order.state is State.VOIDED
    assert [each.state for each in decision.operations] == [OperationState.SUCCEEDED]
    unsent = decide(b.voiding(), queried(total_released_minor=100))
    assert [each.state for each in unsent.operations] == [OperationState.SUPERSEDED]


def test_a_release_that_no_longer_fits_is_made_anew() -> None:
    decision = decide(b.voiding(), callback(total_released_minor=40))
    assert begun(decision) == [release(60)]
    assert [each.state for each in decision.operations] == [
        OperationState.SUPERSEDED,
        OperationState.RESERVED,
    ]
    order = after(decision.order, *sent("R2"))
    assert (order.state, order.released_minor) == (State.VOIDED, 100)


@pytest.mark.parametrize(
    ("released", "state"), [(100, State.EXPIRED), (50, State.AUTHORIZED), (30, State.CAPTURING)]
)
def test_a_capture_that_is_no_longer_covered_ends(released: int, state: State) -> None:
    order = after(b.capturing(100, 70), callback(total_released_minor=released))
    assert order.state is state
    assert (Flag.CAPTURE_REJECTED in order.flags) is (state is not State.CAPTURING)


def test_a_rejected_release_is_asked_about_and_tried_again() -> None:
    decision = decide(after(b.voiding(), b.attempted("R1")), replied("R1", Outcome.REJECTED))
    order = decision.order
    assert decision.query
    assert (order.state, order.flags) == (State.VOIDING, {Flag.RELEASE_REJECTED})
    assert not decide(order, queried(Trade.FROZEN)).operations
    assert order.next_query_at is not None
    asked = after(order, b.timer(), now=order.next_query_at)
    again = decide(asked, queried(Trade.FROZEN))
    assert begun(again) == [release(100)]
    assert again.order.flags == frozenset()
    assert after(asked, callback(total_released_minor=100)).flags == frozenset()


def test_a_release_is_not_tried_for_ever() -> None:
    policy = Policy(close_sweeps=1)
    order = after(b.voiding(), *sent("R1", replied("R1", Outcome.REJECTED)))
    refused = after(replace(order, queries=1), queried(Trade.FROZEN), policy=policy)
    assert refused.flags == {Flag.RELEASE_REJECTED, Flag.NEEDS_REVIEW}
    assert order.next_query_at is not None
    unanswered = after(order, b.timer(), now=order.next_query_at, policy=policy)
    assert unanswered.flags == {Flag.RELEASE_REJECTED, Flag.NEEDS_REVIEW}
    # What is the buyer's is not forgotten because the wallet does not answer.
    assert unanswered.next_query_at is not None
    assert refused.next_query_at is None
    # Somebody who clears the queue has it asked about again.
    cleared = after(refused, b.resolved(refused))
    assert cleared.flags == {Flag.RELEASE_REJECTED}
    assert cleared.next_query_at is not None
    assert cleared.operation is None


def test_a_capture_past_us_counts_and_is_looked_at() -> None:
    order = after(authorized(), callback(total_taken_minor=40))
    assert (order.state, order.taken_minor, order.flags) == (
        State.PARTIALLY_CAPTURED,
        40,
        {Flag.NEEDS_REVIEW},
    )
    assert after(authorized(), callback(total_taken_minor=100)).state is State.CAPTURED
    assert begun(decide(b.voiding(), callback(total_taken_minor=40))) == [release(60)]
    assert after(b.voiding(), callback(total_taken_minor=100)).state is State.CAPTURED


def test_a_capture_seen_in_the_totals_awaits_its_own_answer_while_it_may_be_another() -> None:
    order = after(b.capturing(100, 30), b.attempted("C1"))
    seen = decide(order, queried(total_taken_minor=30))
    assert (seen.order.state, seen.order.taken_minor) == (State.CAPTURING, 30)
    assert seen.entries[0].disposition is Disposition.ABSORBED
    done = decide(seen.order, replied("C1", Outcome.SUCCEEDED))
    assert (done.order.state, done.order.taken_minor) == (State.CAPTURED, 30)
    # It may have been somebody else's all the same: only the wallet knows the sum.
    assert done.query


@pytest.mark.parametrize("at_once", [True, False])
def test_a_final_capture_whose_callbacks_come_before_its_answer_is_done(at_once: bool) -> None:
    order = after(b.capturing(100, 30), b.attempted("C1"))
    if not at_once:
        order = after(order, callback(total_taken_minor=30))
    decision = decide(order, callback(total_taken_minor=30, total_released_minor=70))
    order = decision.order
    assert (order.state, order.taken_minor, order.released_minor) == (State.CAPTURED, 30, 70)
    assert (order.flags, order.operation) == (frozenset(), None)
    assert [each.state for each in decision.operations] == [OperationState.SUCCEEDED]
    assert after(order, replied("C1", Outcome.SUCCEEDED)).taken_minor == 30


def test_a_capture_beside_ours_is_not_taken_for_it() -> None:
    unsent = after(b.capturing(100, 30), callback(total_taken_minor=30), *sent("C1"))
    assert unsent.taken_minor == 60
    smaller = after(b.capturing(100, 30), b.attempted("C1"), callback(total_taken_minor=10))
    assert after(smaller, replied("C1", Outcome.SUCCEEDED)).taken_minor == 40
    larger = after(b.capturing(100, 30), b.attempted("C1"), callback(total_taken_minor=50))
    assert after(larger, replied("C1", Outcome.SUCCEEDED)).taken_minor == 50
