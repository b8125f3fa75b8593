"""What a story is made of: what upstream, the buyer and the wallet do to one order; and who writes it."""

import random
from dataclasses import dataclass, field
from typing import Any

from schemas.vocabulary import Kind, State, Topic
from tests.simulation.wire import PROFILE


@dataclass(frozen=True)
class Act:
    """Something that upstream publishes: after so long, or so long after the order has come to `once_in`."""

    after_s: float
    topic: Topic
    value: dict[str, Any]
    once_in: State | None = None

    def __str__(self) -> str:
        told = {name: given for name, given in self.value.items() if name not in ("type", "event_id", "order_id")}
        return f"{self.value['type']} {self.value['order_id']} {told or ''}".rstrip()


@dataclass(frozen=True)
class Buyer:
    """What the buyer does with the order string, each after so long."""

    acts: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Temper:
    """How the wallet treats one order: what it is slow to do or refuses, and what it does after each capture.

    `after_capture`: after so long, one of capture, release and refund, of such a share of what there is.
    """

    slow: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    after_capture: tuple[tuple[float, str, float], ...] = ()
    # Whether questions about the order as a whole get no answer while everything fails.
    is_silent: bool = False
    # How long all that it says is on its way, answers and callbacks, while everything fails.
    tells_after_s: float = 0.0


@dataclass(frozen=True)
class OrderPlan:
    """One order's part of the story; the first act creates it, if any does."""

    order_id: str
    acts: tuple[Act, ...]
    buyer: Buyer = field(default_factory=Buyer)
    temper: Temper = field(default_factory=Temper)


class Author:
    """Writes one order's acts."""

    def __init__(self, dice: random.Random, order_id: str) -> None:
        self.dice = dice
        self.order_id = order_id
        self.amount_minor = dice.choice((1, 100, 100, 1000, 99_999))
        self.kind = dice.choice((Kind.PAYMENT, Kind.PREAUTH, Kind.PREAUTH))
        self._numbers = iter(range(1, 1000))

    def act(
        self, type_: str, after_s: float, *, topic: Topic = Topic.ORDERS, once_in: State | None = None, **given: Any
    ) -> Act:
        value = {
            "type": type_,
            "event_id": f"e{next(self._numbers)}",
            "order_id": self.order_id,
            "occurred_at": "2026-03-01T12:00:00Z",
            **given,
        }
        return Act(round(after_s, 3), topic, value, once_in)

    def created(self, after_s: float) -> Act:
        dice = self.dice
        terms = {
            "kind": self.kind,
            "amount_minor": self.amount_minor,
            "currency": "CNY",
            "profile": PROFILE,
            "subject": "a mug",
            "pay_timeout_s": dice.choice((5, 10, 30, 60)),
            "authorization_timeout_s": dice.choice((10, 30, 60)),
            "late_payment": dice.choice(("refund", "refund", "accept")),
            "issue": dice.random() < 0.8,
            "metadata": {"table": "7"},
        }
        return self.act("order.created", after_s, **terms)

    def completion(self, after_s: float, amount_minor: int, once_in: State, *, final: bool) -> Act:
        return self.act(
            "service.completed",
            after_s,
            topic=Topic.COMPLETIONS,
            once_in=once_in,
            completion_id=f"c{next(self._numbers)}",
            amount_minor=amount_minor,
            currency="CNY",
            final=final,
        )

    def some(self, most: int) -> range:
        return range(self.dice.choice((0, 0, 1, most)))

    def amount(self) -> int:
        whole = self.amount_minor
        return self.dice.choice((whole, whole, max(whole // 3, 1), max(whole // 2, 1), whole + 1, 1))
