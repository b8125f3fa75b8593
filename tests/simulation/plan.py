"""What a seed's story is about: orders, what upstream and the buyer do to them, and how much goes wrong.

A plan is plain and can be made smaller: `shrink` takes orders, acts and faults out of it.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from schemas.vocabulary import Kind, State, Topic
from tests.simulation.authors import Act, Author, Buyer, OrderPlan, Temper
from tests.simulation.faults import rates_of
from tests.simulation.limits import limits_of
from tests.simulation.scenes import SCENES

# How long everything fails, seconds.
TROUBLED_S = 60.0


@dataclass(frozen=True)
class Plan:
    """The whole story. `without`: faults that are taken out of it."""

    seed: int
    orders: tuple[OrderPlan, ...]
    rates: dict[str, float]
    without: frozenset[str] = frozenset()
    # How many workers run at once.
    workers: int = 2
    lanes: int = 2
    # Those that are narrower than production's.
    limits: Mapping[str, int] = field(default_factory=dict)


def plan_of(seed: int) -> Plan:
    """The seed's story."""
    dice = random.Random(f"{seed}:plan")
    count = dice.choice((1, 2, 3, 5, 6, 8))
    orders = tuple(_order(dice, f"o{seed}x{n}") for n in range(count))
    workers, lanes = dice.choice((1, 2, 2, 2, 3)), dice.choice((1, 2, 2, 3))
    return Plan(seed, orders, rates_of(seed), workers=workers, lanes=lanes, limits=limits_of(seed))


def _order(dice: random.Random, order_id: str) -> OrderPlan:
    if dice.random() < 0.2:
        return dice.choice(SCENES)(Author(dice, order_id))
    author = Author(dice, order_id)
    created = author.created(dice.uniform(0, 20))
    # An order that nobody creates: what is said of it waits for ever.
    acts = [] if dice.random() < 0.03 else [created]
    start_s = created.after_s
    if not created.value["issue"] or dice.random() < 0.1:
        acts.append(author.act("order.issue_requested", start_s + dice.uniform(-1, 20)))
    if dice.random() < 0.05:
        acts.append(author.created(start_s + dice.uniform(0, 30)))
    acts += _wishes(author, start_s)
    acts += _reactions(author)
    if dice.random() < 0.25:
        # All at the same few moments: they come in one batch.
        acts = [replace(act, after_s=round(act.after_s / 15) * 15.0) for act in acts]
    return OrderPlan(order_id, tuple(acts), _buyer(dice, created), _temper(dice))


def _wishes(author: Author, start_s: float) -> Iterator[Act]:
    dice = author.dice
    for _ in author.some(2):
        yield author.act("order.cancel_requested", start_s + dice.uniform(-1, 60), reason="no longer wanted")
    for _ in author.some(2):
        yield author.act(
            "order.client_result", start_s + dice.uniform(0, 60), result_code=dice.choice(("9000", "6001"))
        )
    for _ in author.some(2):
        yield _refund(author, start_s + dice.uniform(0, 60))
    for _ in author.some(2 if author.kind is Kind.PREAUTH else 1):
        yield _completion(author, start_s + dice.uniform(-1, 60))


def _reactions(author: Author) -> Iterator[Act]:
    """What people do because of where the order stands."""
    dice = author.dice
    soon = (0, 0.02, 0.5, 8)
    for state in (State.PAID, State.CAPTURED, State.PARTIALLY_REFUNDED, State.REFUNDED):
        for _ in author.some(1):
            yield _refund(author, dice.choice(soon), state)
    for state in (State.AUTHORIZED, State.AUTHORIZED, State.CAPTURING, State.PARTIALLY_CAPTURED, State.VOIDING):
        for _ in author.some(2):
            yield _completion(author, dice.choice(soon), state)
    if dice.random() < 0.5:
        wished = dice.choice(
            ("order.cancel_requested", "order.issue_requested", "order.created", "order.client_result")
        )
        state = dice.choice(tuple(State))
        if wished == "order.created":
            yield Act(dice.choice(soon), Topic.ORDERS, author.created(0).value, state)
        else:
            more = {"result_code": "9000"} if wished == "order.client_result" else {}
            yield author.act(wished, dice.choice(soon), once_in=state, **more)


def _refund(author: Author, after_s: float, once_in: State | None = None) -> Act:
    n = author.dice.randrange(1, 5)
    currency = author.dice.choice(("CNY",) * 9 + ("USD",))
    return author.act(
        "refund.requested",
        after_s,
        once_in=once_in,
        refund_id=f"r{n}",
        amount_minor=author.amount(),
        currency=currency,
    )


def _completion(author: Author, after_s: float, once_in: State | None = None) -> Act:
    dice = author.dice
    return author.act(
        "service.completed",
        after_s,
        topic=Topic.COMPLETIONS,
        once_in=once_in,
        completion_id=f"c{dice.randrange(1, 5)}",
        amount_minor=dice.choice((0, 1, author.amount(), author.amount(), author.amount() // 2)),
        currency=dice.choice(("CNY",) * 9 + ("USD",)),
        final=dice.random() < 0.5,
    )


def _buyer(dice: random.Random, created: Act) -> Buyer:
    acts: list[tuple[float, str]] = []
    if dice.random() < 0.2:
        acts.append((dice.uniform(0, 5), "open"))
    if dice.random() < 0.2:
        acts.append((dice.uniform(0, 10), "fail"))
    if dice.random() < 0.1:
        acts.append((dice.uniform(0, 30), "close"))
    if dice.random() < 0.85:
        # At once, in time, at the very end, and too late.
        pay_timeout_s = created.value["pay_timeout_s"]
        when = dice.choice((0.0, dice.uniform(0, 3), dice.uniform(0, 70), pay_timeout_s + dice.uniform(-3, 12)))
        acts.append((when, "pay"))
    return Buyer(tuple((round(after_s, 3), does) for after_s, does in acts))


def _temper(dice: random.Random) -> Temper:
    """Mostly an even one; else one that makes things cross that seldom meet."""
    if dice.random() < 0.7:
        return Temper()
    kinds = ("close", "capture", "release", "release", "refund")
    return Temper(
        frozenset(dice.sample(kinds, dice.randrange(3))),
        frozenset(dice.sample(kinds, dice.randrange(2))),
        tuple(
            (dice.choice((0.05, 0.5, 5.0)), dice.choice(("capture", "release", "refund")), dice.choice((0.3, 1.0)))
            for _ in range(dice.randrange(4))
        ),
    )
