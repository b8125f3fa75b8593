"""Every order that a small world can bring about, from every input in every order, honest and not.

It goes on until nothing new comes up. Orders that differ only in ids, versions and absolute times are one.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import product

from schemas.vocabulary import (
    LIVE_OPERATION_STATES,
    Disposition,
    Flag,
    Kind,
    LatePayment,
    OperationKind,
    Outcome,
    State,
)
from statemachine.check import check
from statemachine.decide import decide
from statemachine.decision import Decision, Policy
from statemachine.inputs import EvidenceSource, Input, OrderCreated, Trade, WalletEvidence
from statemachine.lifecycle import HOLDING, RELEASING, UNPAID
from statemachine.order import Operation, Order
from statemachine.timers import wake_at
from tests.unit import builders as b

# Small bounds, so that giving up is near.
POLICY = Policy(close_sweeps=2)
_GIVING_UP = (State.EXPIRING, State.EXPIRED, State.CLOSED)
_MATTERING = frozenset({Flag.RELEASE_REJECTED, Flag.CLOSE_UNCONFIRMED, Flag.CAPTURE_PAST_AUTHORIZATION})


@dataclass
class World:
    """One set of terms, and what was found in it."""

    name: str
    terms: OrderCreated
    # What services cost here, and how many completions may queue up.
    costs: tuple[int, ...] = ()
    queue: int = 0
    orders: dict[tuple[object, ...], Order] = field(default_factory=dict)
    moves: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    tried: int = 0


def worlds() -> list[World]:
    """A payment under both policies; pre-authorizations with any cost, a queue, and several captures."""
    return [
        _world(Kind.PAYMENT, 2, late=LatePayment.REFUND, costs=(0, 1)),
        _world(Kind.PAYMENT, 2, late=LatePayment.ACCEPT),
        _world(Kind.PREAUTH, 2, costs=(0, 1, 2, 3), queue=1),
        _world(Kind.PREAUTH, 2, costs=(0, 1), queue=2),
        _world(Kind.PREAUTH, 3, costs=(1, 4)),
    ]


def _world(
    kind: Kind,
    amount: int,
    *,
    late: LatePayment = LatePayment.REFUND,
    costs: tuple[int, ...] = (),
    queue: int = 0,
) -> World:
    terms = b.created(amount, kind, issue=False, late_payment=late)
    return World(f"{kind} of {amount}, costs {costs}, queue {queue}, late: {late}", terms, costs, queue)


def canonical(order: Order) -> tuple[object, ...]:
    """What can matter to the future of an order where it stands, without names and absolute times."""
    state, live, counts = order.state, order.operation, order.request_counts
    asks = order.next_query_at is not None
    asks_later = asks and state not in (State.PAYING, *HOLDING, State.CAPTURING)
    return (
        state,
        *facts(order),
        order.flags & _MATTERING,
        None if live is None else _operation(order, live),
        min(counts.get("V", 0), 2) if state is State.EXPIRING else 0,
        min(counts.get("R", 0), 2) if state in RELEASING and order.held_minor else 0,
        tuple((each.amount_minor, each.final) for each in order.waiting),
        order.ending if state in (State.EXPIRING, State.EXPIRED, State.CLOSED, State.VOIDING) else None,
        order.final and state in (*UNPAID, *HOLDING, State.CAPTURING),
        asks,
        min(order.queries, 2 if state in _GIVING_UP else 1) if asks_later else 0,
    )


def _operation(order: Order, live: Operation) -> tuple[object, ...]:
    if live.kind is OperationKind.CAPTURE:
        accounted = order.captured_by_us_minor
    elif live.kind is OperationKind.RELEASE:
        accounted = order.released_by_us_minor
    else:
        accounted = order.refunded_by_us_minor
    return (live.kind, live.amount_minor, live.complete, live.attempts > 0, bool(live.reason), accounted)


def explore(world: World) -> None:
    first = decide(None, world.terms, now=b.NOW, policy=POLICY).order
    queue = deque([first])
    world.orders[canonical(first)] = first
    while queue:
        order = queue.popleft()
        before = replace(order)
        for given, now in inputs(world, order):
            found = tried(world, order, given, now)
            key = canonical(found)
            if key not in world.orders:
                world.orders[key] = found
                queue.append(found)
        assert order == before, "decide changed an order that it was given"


def tried(world: World, order: Order, given: Input, now: datetime) -> Order:
    """One decision, with everything that must hold of every decision."""
    world.tried += 1
    decision = decide(order, given, now=now, policy=POLICY)
    try:
        assert_lawful(order, given, decision)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{given}\non {order}\ngave {decision}") from error
    for entry in decision.entries:
        if entry.disposition is Disposition.APPLIED and entry.previous_state is not None:
            world.moves[entry.trigger, entry.previous_state, entry.state] += 1
    return decision.order


def assert_lawful(order: Order, given: Input, decision: Decision) -> None:
    found = decision.order
    check(found)
    assert found.version == order.version + len(decision.entries), "versions are not dense"
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
        assert booked == facts(found), "the journal and the facts disagree"
        assert last.flags == found.flags, "a flag changed after its entry"
    else:
        assert facts(order) == facts(found), "a fact changed without an entry"
        assert order.flags == found.flags, "a flag changed without an entry"
    assert all(was <= now for was, now in zip(facts(order), facts(found), strict=True)), "a fact decreased"
    assert_operations(order, decision)
    assert_answered(given, decision)


def facts(order: Order) -> tuple[int, int, int, int]:
    return (order.frozen_minor, order.taken_minor, order.released_minor, order.refunded_minor)


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
    assert again.order == decision.order


# --- inputs


def inputs(world: World, order: Order) -> Iterator[tuple[Input, datetime]]:
    """Everything that can reach an order; what time matters to, on both sides of the deadline."""
    assert order.pay_deadline is not None
    early, late = order.pay_deadline - timedelta(seconds=1), order.pay_deadline
    for given in [
        *requests(world, order),
        *mismatches(order),
        *reports(order),
        *totals(order),
        *outcomes(order),
    ]:
        yield given, early
    for given in statuses(order):
        yield given, early
        yield given, late
    for moment in (b.NOW, late, order.authorization_deadline, wake_at(order)):
        if moment is not None:
            yield b.timer(), moment


def requests(world: World, order: Order) -> Iterator[Input]:
    yield b.created()
    yield b.issue()
    yield b.cancel()
    yield b.client_result()
    for amount in range(1, order.amount_minor + 2):
        yield b.refund_of(amount)
    yield b.refund_of(1, currency="USD")
    yield b.completed(1, currency="USD")
    holds = order.state in HOLDING and order.operation is None
    if holds or len(order.waiting) < world.queue or order.state not in (*UNPAID, State.CAPTURING):
        for amount, final in product(world.costs, (True, False)):
            yield b.completed(amount, final=final)


def mismatches(order: Order) -> Iterator[Input]:
    amount = order.amount_minor
    yield b.callback(Trade.PAID, order_amount_minor=amount + 1)
    yield b.queried(Trade.FROZEN, order_amount_minor=amount - 1)
    yield b.callback(Trade.PAID, currency="USD", total_taken_minor=amount)
    yield b.callback(total_refunded_minor=-1)
    yield b.callback(total_frozen_minor=amount - 1)
    yield replace(b.paid(amount), order_id="o2")


def reports(order: Order) -> Iterator[Input]:
    live = "X9" if order.operation is None else order.operation.id.rpartition("__")[2]
    for each in {live, "C9"}:
        yield b.attempted(each)
        yield b.given_up(each)
    for outcome in (None, *Outcome):
        yield b.resolved(order, outcome)
    yield b.resolved(order, Outcome.SUCCEEDED, version=order.version + 1)


def totals(order: Order) -> Iterator[Input]:
    """What a query can say of the money, possible or not."""
    each = range(order.amount_minor + 1)
    frozen = (0, order.amount_minor) if order.kind is Kind.PREAUTH else (0,)
    released = each if order.kind is Kind.PREAUTH else (0, 1)
    for n, (h, c, r, f) in enumerate(product(frozen, each, released, each)):
        if f > c + 1 or c + r > order.amount_minor + 1:
            continue
        said = b.callback if n % 2 else b.queried
        yield said(total_frozen_minor=h, total_taken_minor=c, total_released_minor=r, total_refunded_minor=f)


def outcomes(order: Order) -> Iterator[Input]:
    """How operations went: the live one, one that has ended, one that was never made."""
    live = None if order.operation is None else order.operation.id
    for source, outcome, trade in product(EvidenceSource, Outcome, (None, Trade.MISSING, Trade.CLOSED)):
        if trade and source is EvidenceSource.CALLBACK:
            continue
        for request_no in (live, "o1__C1") if trade else (live, "o1__C1", "o1__R7", "o1__F1", "o1"):
            if request_no is not None:
                yield evidence(source, trade, request_no=request_no, outcome=outcome)
    if live is not None:
        for c, r, f in product((0, 1, order.amount_minor), repeat=3):
            yield evidence(
                EvidenceSource.REPLY,
                None,
                request_no=live,
                outcome=Outcome.REJECTED if (c + r + f) % 2 else Outcome.SUCCEEDED,
                total_taken_minor=c,
                total_released_minor=r,
                total_refunded_minor=f,
            )
        for amount in range(1, order.amount_minor + 1):
            yield b.queried(request_no=live, outcome=Outcome.SUCCEEDED, request_amount_minor=amount)


def statuses(order: Order) -> Iterator[Input]:
    live = None if order.operation is None else order.operation.id
    for source, trade in product(EvidenceSource, Trade):
        yield evidence(source, trade)
        yield evidence(source, trade, order_amount_minor=order.amount_minor)
        if live is not None:
            yield evidence(source, trade, request_no=live, outcome=Outcome.PENDING)


def evidence(source: EvidenceSource, trade: Trade | None, **said: object) -> WalletEvidence:
    """Only a callback has an identity of its own."""
    given = b.callback(trade, **said)
    return given if source is EvidenceSource.CALLBACK else replace(given, source=source, event_id=None)
