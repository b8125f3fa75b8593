"""An order that is told anew from its published events is the order that published them."""

import random
from dataclasses import replace
from typing import Any

import pytest

from schemas.state_events import StateEvent
from schemas.vocabulary import Flag, Kind, Outcome, Topic
from service.state_events import Cause, rfc3339, state_event, to_json
from statemachine.adoption import CannotAdoptError, Told, adopt
from statemachine.decision import Policy
from statemachine.inputs import Input, ServiceCompleted, Trade, WalletEvidence
from statemachine.operations import GIVEN_UP
from statemachine.order import Order
from tests.unit import builders as b
from tests.unit import everything
from tests.unit.exploration import POLICY

WALKS = 400
STEPS = 14
COSTS = (0, 1, 2, 3)
SEEDS = range(WALKS)


def _topic(given: Input) -> Topic | None:
    if isinstance(given, WalletEvidence):
        return Topic.CALLBACKS if given.event_id else None
    if isinstance(given, ServiceCompleted):
        return Topic.COMPLETIONS
    return Topic.ORDERS if getattr(given, "event_id", None) else None


def _told(order: Order, entry: Any, given: Input, now: Any) -> Told:
    """As it is published, and read again."""
    topic = _topic(given)
    cause = Cause("test", getattr(given, "event_id", None), given.occurred_at, topic, 0, 0)
    event = state_event(order, entry, cause, event_id="e", lane=0, lane_seq=entry.version, recorded_at=rfc3339(now))
    return Told(StateEvent.model_validate_json(to_json(event)), given)


def _walk(rng: random.Random, kind: Kind) -> list[tuple[Order, list[Told], Any]]:
    """An order's life under anything that can reach it: the order after each input, and what was published."""
    now = b.NOW
    given: Input = b.created(3, kind, issue=rng.random() < 0.9)
    decision = b.decide(None, given, now=now, policy=POLICY)
    life = [(decision.order, [_told(decision.order, entry, given, now) for entry in decision.entries], now)]
    for _ in range(STEPS):
        order = decision.order
        choices = list(everything.inputs(order, COSTS, (COSTS, COSTS)))
        # Half of them something that leads on, of which there are few among all that can be said.
        live = order.operation
        if live is not None and rng.random() < 0.5:
            given, now = b.replied(live.id.rpartition("__")[2], rng.choice(list(b.Outcome))), max(now, b.NOW)
        elif rng.random() < 0.3:
            given = b.granted(3) if kind is Kind.PREAUTH else b.paid(3)
        else:
            given, moment = rng.choice(choices)
            now = max(now, moment)
        if getattr(given, "event_id", None):
            given = replace(given, event_id=f"{given.event_id}x{rng.getrandbits(30)}")  # type: ignore[type-var,call-arg]
        decision = b.decide(order, given, now=now, policy=POLICY)
        life.append((decision.order, [_told(decision.order, e, given, now) for e in decision.entries], now))
    return life


def _essence(order: Order) -> dict[str, Any]:
    """All but how far its questions are, and how often its operation was tried."""
    live = order.operation
    return {
        "terms": replace(
            order, operation=None, queries=0, next_query_at=None, doubt=None, seen=(), captured_by_us_minor=0,
            released_by_us_minor=0, refunded_by_us_minor=0,
        ),
        "seen": frozenset(order.seen),
        "live": live and (live.id, live.kind, live.amount_minor, live.complete, live.reason == GIVEN_UP),
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(Kind))
def test_it_is_the_order_that_published_them(kind: Kind) -> None:
    adopted_lives = 0
    for seed in SEEDS:
        life = _walk(random.Random(seed), kind)
        for cut in range(len(life)):
            before = None if cut == 0 else life[cut - 1][0]
            told = [each for _, published, _ in life[cut:] for each in published]
            if not told:
                continue
            order, _, now = life[-1]
            adopted = adopt(before, told, now=now, policy=POLICY)
            assert _essence(adopted.order) == _essence(order), f"seed {seed}, cut {cut}"
            live = adopted.order.operation
            assert live is None or live.attempts > 0
            adopted_lives += 1
    assert adopted_lives > WALKS


def test_an_order_that_nobody_can_know_is_not_made_up() -> None:
    given = b.created()
    decision = b.decide(None, given)
    told = [_told(decision.order, entry, given, b.NOW) for entry in decision.entries]
    lost = [replace(each, given=None) for each in told]
    with pytest.raises(CannotAdoptError, match=r"order o1: test e\d+ of orders.events\[0\]@0 is needed; it is not"):
        adopt(None, lost, now=b.NOW, policy=Policy())
    unknown = replace(told[0], given=None, why_not="no wallet profile is named")
    with pytest.raises(CannotAdoptError, match="is needed; no wallet profile is named"):
        adopt(None, [unknown], now=b.NOW, policy=Policy())
    with pytest.raises(CannotAdoptError, match="is at version 0, and was published on from 2"):
        adopt(None, told[1:], now=b.NOW, policy=Policy())
    with pytest.raises(CannotAdoptError, match="what was published begins with version 2"):
        adopt(None, [replace(told[1], given=None)], now=b.NOW, policy=Policy())


@pytest.mark.parametrize(
    ("before", "given"),
    [
        (b.paying_preauth(), b.completed(70)),
        (b.authorized(), b.completed(70)),
        (b.captured(), b.refund_of(20)),
    ],
)
def test_what_a_service_cost_and_what_was_to_go_back_are_not_left_out(before: Order, given: Input) -> None:
    decision = b.decide(before, given)
    told = [_told(decision.order, entry, given, b.NOW) for entry in decision.entries]
    assert adopt(before, told, now=b.NOW, policy=Policy()).order.seen == decision.order.seen
    with pytest.raises(CannotAdoptError, match="is needed; it is not there any more: have it sent again"):
        adopt(before, [replace(each, given=None) for each in told], now=b.NOW, policy=Policy())


def test_what_waits_for_a_person_is_let_go_when_the_wallet_answers_after_all() -> None:
    """As without the loss: the flag is the operation's, and comes down with its answer."""
    before, given = b.capturing(), b.given_up("C1")
    decision = b.decide(before, given)
    told = [_told(decision.order, entry, given, b.NOW) for entry in decision.entries]
    adopted = adopt(before, told, now=b.NOW, policy=Policy()).order
    assert adopted.flags == {Flag.NEEDS_REVIEW}
    assert b.decide(adopted, b.replied("C1", Outcome.SUCCEEDED)).order.flags == frozenset()


def test_what_is_flagged_for_want_of_an_answer_is_let_go_by_one() -> None:
    policy = Policy(close_sweeps=1)
    before = b.after(b.refunding(100, 30), *b.sent("B1"), b.callback(total_refunded_minor=20))
    asked, _, _ = b.unanswered(before, 1, policy)
    order, _, entries = b.unanswered(asked, 1, policy)
    told = [_told(order, entry, b.timer(), b.NOW) for entry in entries]
    adopted = adopt(asked, told, now=b.NOW, policy=policy).order
    assert adopted.flags == {Flag.NEEDS_REVIEW}
    answer = b.queried(Trade.PAID, total_taken_minor=100, total_refunded_minor=30)
    assert b.after(adopted, answer).flags == frozenset()


def test_an_order_that_was_not_told_of_whole_is_not_adopted() -> None:
    before = b.authorized()
    given = b.completed(70)
    decision = b.decide(before, given)
    (told,) = [_told(decision.order, entry, given, b.NOW) for entry in decision.entries]
    half = replace(told, event=told.event.model_copy(update={"operation_id": None}))
    with pytest.raises(CannotAdoptError, match="does not tell all of order o1 in capturing"):
        adopt(before, [half], now=b.NOW, policy=Policy())
