"""Scenes: what chance alone seldom brings together."""

from dataclasses import replace
from typing import Any

from schemas.vocabulary import Kind, State
from tests.simulation.authors import Author, Buyer, OrderPlan, Temper


def remainder(author: Author) -> OrderPlan:
    """The wallet gives everything back, or takes more, while the rest is still being released."""
    dice = author.dice
    author.kind, author.amount_minor = Kind.PREAUTH, 1000
    acts = (
        author.created(dice.uniform(0, 10)),
        author.completion(0, 400, State.AUTHORIZED, final=True),
        author.completion(5, 100, State.CAPTURED, final=True),
    )
    whats = (("refund", 1.0), ("refund", 1.0), ("refund", 0.4), ("capture", 0.5))
    after = tuple((dice.choice((0.05, 3.0)), *dice.choice(whats)) for _ in range(2))
    release = frozenset({"release"})
    slow, refuses = dice.choice(((release, frozenset()), (frozenset(), release)))
    return OrderPlan(author.order_id, acts, Buyer(((0.0, "pay"),)), Temper(slow, refuses, after))


def crossing(author: Author) -> OrderPlan:
    """The wallet releases or captures past a capture that is under way."""
    dice = author.dice
    author.kind, author.amount_minor = Kind.PREAUTH, 1000
    acts = (
        author.created(dice.uniform(0, 10)),
        author.completion(0, 300, State.AUTHORIZED, final=False),
        author.completion(0, 700, State.PARTIALLY_CAPTURED, final=dice.random() < 0.5),
        # What makes no sense any more, too.
        author.act(
            dice.choice(("order.issue_requested", "order.cancel_requested")), 0, once_in=State.PARTIALLY_CAPTURED
        ),
        replace(author.created(0), once_in=State.PARTIALLY_CAPTURED),
    )
    after = tuple(
        (dice.choice((0.05, 1.0, 20.0)), dice.choice(("release", "capture")), dice.choice((0.3, 1.0)))
        for _ in range(2)
    )
    slow = frozenset({"capture"}) if dice.random() < 0.7 else frozenset()
    return OrderPlan(author.order_id, acts, Buyer(((0.0, "pay"),)), Temper(slow, frozenset(), after))


def beside(author: Author) -> OrderPlan:
    """The wallet gives money back by itself while we do, slowly: only a question tells how much that is in all.

    What is to go back is said twice, by two events.
    """
    dice = author.dice
    author.kind, author.amount_minor = Kind.PREAUTH, 1000
    refund: dict[str, Any] = {"refund_id": "r1", "amount_minor": 100, "currency": "CNY"}
    acts = (
        author.created(dice.uniform(0, 10)),
        author.completion(0, 1000, State.AUTHORIZED, final=True),
        author.act("refund.requested", dice.choice((0, 0.05)), once_in=State.CAPTURED, **refund),
        author.act("refund.requested", dice.choice((0.05, 1.0)), once_in=State.PARTIALLY_REFUNDED, **refund),
    )
    after = ((dice.choice((0.5, 3.0)), "refund", dice.choice((0.2, 0.4))),)
    temper = Temper(frozenset({"refund"}), frozenset(), after, is_silent=dice.random() < 0.7)
    return OrderPlan(author.order_id, acts, Buyer(((0.0, "pay"),)), temper)


def late(author: Author) -> OrderPlan:
    """The wallet will not close it, until we give up; and then the buyer pays."""
    dice = author.dice
    created = author.created(dice.uniform(0, 5))
    created.value.update(pay_timeout_s=60, issue=True)
    acts = [created]
    if dice.random() < 0.8:
        acts.append(author.act("order.cancel_requested", created.after_s + dice.uniform(0, 3)))
    temper = Temper(frozenset(), frozenset({"close"}))
    return OrderPlan(author.order_id, tuple(acts), Buyer(((0.0, "open"), (dice.uniform(20, 58), "pay"))), temper)


def last_moment(author: Author) -> OrderPlan:
    """It is to be closed, and is paid just before it cannot be any more; all that the wallet says comes late."""
    dice = author.dice
    created = author.created(dice.uniform(0, 10))
    created.value.update(pay_timeout_s=10, issue=True)
    cancelled = author.act("order.cancel_requested", created.after_s + dice.uniform(3, 9))
    buyer = Buyer(((dice.uniform(8.5, 10), "pay"),))
    return OrderPlan(author.order_id, (created, cancelled), buyer, Temper(tells_after_s=dice.uniform(1.5, 6)))


SCENES = (remainder, remainder, remainder, crossing, late, last_moment, last_moment, beside, beside)
