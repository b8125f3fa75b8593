"""Every order that a small world can bring about, from every input in every order, honest and not.

It goes on until nothing new comes up. Orders that differ only in ids, versions, absolute times and what no
longer matters to them are one.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import wraps
from operator import le
from typing import ParamSpec, TypeVar

from schemas.vocabulary import LIVE_OPERATION_STATES, Disposition, Kind, LatePayment, OperationKind
from statemachine.check import check
from statemachine.decide import decide
from statemachine.decision import Decision, Policy
from statemachine.inputs import Input, OrderCreated
from statemachine.order import Order
from tests.unit import builders as b
from tests.unit.everything import Costs, inputs
from tests.unit.sameness import canonical, facts

# Small bounds, so that giving up is near.
POLICY = Policy(close_sweeps=2)

P = ParamSpec("P")
R = TypeVar("R")
# A row that was walked: trigger, source, destination.
Move = tuple[str, str, str]
# Where one input leads, and by which moves.
Step = tuple[tuple[object, ...], tuple[Move, ...]]


@dataclass
class World:
    """One set of terms, and what was found in it."""

    name: str
    terms: OrderCreated
    # What services cost here, and by its place in the queue what one costs that has to wait.
    costs: Costs = ()
    queue: tuple[Costs, ...] = ()
    # By what is canonical of them: the first order that was found, where it leads, and the last other order
    # that came to be the same.
    orders: dict[tuple[object, ...], Order] = field(default_factory=dict)
    steps: dict[tuple[object, ...], set[Step]] = field(default_factory=dict)
    twins: dict[tuple[object, ...], Order] = field(default_factory=dict)
    tried: int = 0


def worlds() -> list[World]:
    """A payment under both policies; pre-authorizations with any cost, a queue, and several captures."""
    return [
        _world(Kind.PAYMENT, 2, late=LatePayment.REFUND, costs=(0, 1)),
        _world(Kind.PAYMENT, 2, late=LatePayment.ACCEPT),
        _world(Kind.PREAUTH, 2, costs=(0, 1, 2, 3), queue=((0, 1, 2, 3), (0, 1))),
        _world(Kind.PREAUTH, 3, costs=(1, 4)),
    ]


def _world(
    kind: Kind,
    amount: int,
    *,
    late: LatePayment = LatePayment.REFUND,
    costs: Costs = (),
    queue: tuple[Costs, ...] = (),
) -> World:
    terms = b.created(amount, kind, issue=False, late_payment=late)
    return World(f"{kind} of {amount}, costs {costs}, queue {queue}, late: {late}", terms, costs, queue)


def untraced(work: Callable[P, R]) -> Callable[P, R]:
    """Keeps coverage from counting what is walked here; it would take four times as long.

    Nothing is lost: a line that only an exploration reaches has no test that says what it is for.
    """

    @wraps(work)
    def at_full_speed(*args: P.args, **kwargs: P.kwargs) -> R:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return work(*args, **kwargs)
        finally:
            sys.settrace(tracer)

    return at_full_speed


@untraced
def explore(world: World) -> None:
    first = decide(None, world.terms, now=b.NOW, policy=POLICY).order
    here = canonical(first)
    queue = deque([here])
    world.orders[here] = replace(first, seen=())
    while queue:
        here = queue.popleft()
        world.steps[here] = set()
        for there, found, moves in steps_from(world, world.orders[here]):
            world.steps[here].add((there, moves))
            if there not in world.orders:
                # As ids are no difference, an order may forget them, and inputs need no new ones for it.
                world.orders[there] = replace(found, seen=())
                queue.append(there)
            elif there != here:
                world.twins[there] = found


def steps_from(world: World, order: Order) -> Iterator[tuple[tuple[object, ...], Order, tuple[Move, ...]]]:
    """Every input tried on an order: what it makes of it, and by which moves."""
    before = replace(order)
    for given, now in inputs(order, world.costs, world.queue):
        decision = tried(order, given, now)
        moves = tuple(
            (entry.trigger, entry.previous_state, entry.state)
            for entry in decision.entries
            if entry.disposition is Disposition.APPLIED and entry.previous_state is not None
        )
        world.tried += 1
        yield canonical(decision.order), decision.order, moves
    assert order == before, "decide changed an order that it was given"


def tried(order: Order, given: Input, now: datetime) -> Decision:
    """One decision, with everything that must hold of every decision."""
    decision = decide(order, given, now=now, policy=POLICY)
    try:
        assert_lawful(order, given, decision)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{given}\non {order}\ngave {decision}") from error
    return decision


def assert_lawful(order: Order, given: Input, decision: Decision) -> None:
    found = decision.order
    check(found)
    assert found.version == order.version + len(decision.entries), "versions are not dense"
    before, after = facts(order), facts(found)
    state, version = order.state, order.version
    for entry in decision.entries:
        version += 1
        assert entry.version == version, "versions are not dense"
        assert entry.previous_state is state, "the chain of states is broken"
        state = entry.state
    assert state is found.state, "a state changed without an entry"
    if decision.entries:
        last = decision.entries[-1]
        booked = (last.frozen_minor, last.taken_minor, last.released_minor, last.refunded_minor)
        assert booked == after, "the journal and the facts disagree"
        assert last.flags == found.flags, "a flag changed after its entry"
    else:
        assert before == after, "a fact changed without an entry"
        assert order.flags == found.flags, "a flag changed without an entry"
    assert before == after or all(map(le, before, after)), "a fact decreased"
    if decision.operations or found.operation is not order.operation:
        assert_operations(order, decision)
    assert_answered(given, decision)


def assert_operations(order: Order, decision: Decision) -> None:
    found = decision.order
    moved = {each.id: each for each in decision.operations}
    live = [each for each in decision.operations if each.state in LIVE_OPERATION_STATES]
    assert len(live) <= 1, "more than one operation is live"
    assert not live or found.operation == live[0], "a live operation is not the order's"
    was = order.operation
    if was is not None and found.operation != was:
        now = moved.get(was.id)
        assert now is not None, "an operation changed and is not stored"
        fixed = (now.kind, now.amount_minor, now.complete) == (was.kind, was.amount_minor, was.complete)
        assert fixed, "an operation's kind, amount or completeness changed"
    begun = [each for each in moved.values() if was is None or each.id != was.id]
    for each in begun:
        letter, n = each.id.rpartition("__")[2][0], int(each.id.rpartition("__")[2][1:])
        assert n > order.request_counts.get(letter, 0), "an operation that had ended came to life"
        assert each.amount_minor > 0 or each.kind is OperationKind.CLOSE, "an operation over nothing"
    assert len(moved) == len(decision.operations), "an operation is listed twice"


def assert_answered(given: Input, decision: Decision) -> None:
    event_id = getattr(given, "event_id", None)
    if event_id is None:
        return
    assert decision.entries, "an input has no answer in the journal"
    again = decide(decision.order, given, now=b.NOW, policy=POLICY)
    assert again.duplicate, "the same id again is not a duplicate"
    assert not again.entries
    assert again.order is decision.order
