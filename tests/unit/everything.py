"""Everything that can reach an order of a small world, honest or not, and on both sides of its deadline.

Ids are made once and used for every order, none of which has seen one: see `exploration.explore`.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import product

from schemas.vocabulary import Kind, Outcome, State
from statemachine.inputs import EvidenceSource, Input, Trade, WalletEvidence
from statemachine.lifecycle import HOLDING, UNPAID
from statemachine.order import Order
from statemachine.timers import wake_at
from tests.unit import builders as b

# What services cost.
Costs = tuple[int, ...]


def inputs(order: Order, costs: Costs, queue: tuple[Costs, ...]) -> Iterator[tuple[Input, datetime]]:
    """`costs` of services that are captured at once or not at all; `queue`: of those that wait, by their place."""
    assert order.pay_deadline is not None
    early, late = order.pay_deadline - timedelta(seconds=1), order.pay_deadline
    live = None if order.operation is None else order.operation.id
    for given in requests(order.amount_minor):
        yield given, early
    for given in completions(costs_here(order, costs, queue)):
        yield given, early
    for given in said(order.kind, order.amount_minor, live):
        yield given, early
    for outcome in (None, *Outcome):
        yield b.resolved(order, outcome), early
    yield b.resolved(order, Outcome.SUCCEEDED, version=order.version + 1), early
    for given in statuses(order.amount_minor, live):
        # Whether a missing trade proves something depends on when the wallet was asked.
        yield _asked(given, early), early
        yield _asked(given, late), late
        yield _asked(given, early), late
    for moment in (b.NOW, late, order.authorization_deadline, wake_at(order)):
        if moment is not None:
            yield b.timer(), moment


@cache
def _asked(given: Input, moment: datetime) -> Input:
    """Made once, as all of them are."""
    return replace(given, occurred_at=moment) if isinstance(given, WalletEvidence) else given


@cache
def requests(amount: int) -> tuple[Input, ...]:
    return (
        b.created(),
        b.issue(),
        b.cancel(),
        b.client_result(),
        *(b.refund_of(each) for each in range(1, amount + 2)),
        b.refund_of(1, currency="USD"),
        b.completed(1, currency="USD"),
    )


def costs_here(order: Order, costs: Costs, queue: tuple[Costs, ...]) -> Costs:
    """No more completions wait than the world is large enough for."""
    at_once = order.state in HOLDING and order.operation is None
    if at_once or order.state not in (*UNPAID, State.CAPTURING):
        return costs
    place = len(order.waiting)
    return queue[place] if place < len(queue) else ()


@cache
def completions(costs: Costs) -> tuple[Input, ...]:
    return tuple(b.completed(amount, final=final) for amount, final in product(costs, (True, False)))


@cache
def said(kind: Kind, amount: int, live: str | None) -> tuple[Input, ...]:
    """All that wallets and dispatchers say for which the time does not matter."""
    return (*mismatches(amount), *reports(live), *totals(kind, amount), *outcomes(amount, live))


def mismatches(amount: int) -> Iterator[Input]:
    yield b.callback(Trade.PAID, order_amount_minor=amount + 1)
    yield b.queried(Trade.FROZEN, order_amount_minor=amount - 1)
    yield b.callback(Trade.PAID, currency="USD", total_taken_minor=amount)
    yield b.callback(total_refunded_minor=-1)
    yield b.callback(total_frozen_minor=amount - 1)
    yield replace(b.paid(amount), order_id="o2")


def reports(live: str | None) -> Iterator[Input]:
    for each in dict.fromkeys((live or "o1__X9", "o1__C9")):
        operation = each.rpartition("__")[2]
        yield b.attempted(operation)
        yield b.given_up(operation)


def totals(kind: Kind, amount: int) -> Iterator[Input]:
    """What a query can say of the money, possible or not."""
    each = range(amount + 1)
    frozen = (0, amount) if kind is Kind.PREAUTH else (0,)
    released = each if kind is Kind.PREAUTH else (0, 1)
    for n, (h, c, r, f) in enumerate(product(frozen, each, released, each)):
        if f > c + 1 or c + r > amount + 1:
            continue
        speaks = b.callback if n % 2 else b.queried
        yield speaks(total_frozen_minor=h, total_taken_minor=c, total_released_minor=r, total_refunded_minor=f)


def outcomes(amount: int, live: str | None) -> Iterator[Input]:
    """How operations went: the live one, one that has ended, one that was never made."""
    others = ("o1__C1", "o1__R7", "o1__F1", "o1")
    for source, outcome, trade in product(EvidenceSource, Outcome, (None, Trade.MISSING, Trade.CLOSED)):
        if trade and source is EvidenceSource.CALLBACK:
            continue
        for request_no in dict.fromkeys((live, *(others[:1] if trade else others))):
            if request_no is not None:
                yield evidence(source, trade, request_no=request_no, outcome=outcome)
    if live is not None:
        for c, r, f in product((0, 1, amount), repeat=3):
            yield evidence(
                EvidenceSource.REPLY,
                None,
                request_no=live,
                outcome=Outcome.REJECTED if (c + r + f) % 2 else Outcome.SUCCEEDED,
                total_taken_minor=c,
                total_released_minor=r,
                total_refunded_minor=f,
            )
        for each in range(1, amount + 1):
            yield b.queried(request_no=live, outcome=Outcome.SUCCEEDED, request_amount_minor=each)


@cache
def statuses(amount: int, live: str | None) -> tuple[Input, ...]:
    return tuple(
        evidence(source, trade, **more)
        for source, trade in product(EvidenceSource, Trade)
        for more in (
            {},
            {"order_amount_minor": amount},
            *([] if live is None else [{"request_no": live, "outcome": Outcome.PENDING}]),
        )
    )


def evidence(source: EvidenceSource, trade: Trade | None, **said: object) -> WalletEvidence:
    """Only a callback has an identity of its own."""
    given = b.callback(trade, **said)
    return given if source is EvidenceSource.CALLBACK else replace(given, source=source, event_id=None)
