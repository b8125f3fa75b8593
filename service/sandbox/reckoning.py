"""The wallet's ledger against our orders: whether the same has happened to the money on both sides."""

from collections.abc import Iterable, Mapping
from typing import Any

FACTS = ("frozen_minor", "taken_minor", "released_minor", "refunded_minor")
_NOTHING = dict.fromkeys(FACTS, 0)


def differences(ledger: Iterable[Mapping[str, Any]], orders: Iterable[Mapping[str, Any]]) -> list[str]:
    """What the wallet's ledger and the orders do not agree about; empty when they are equal.

    Both are rows with `order_id` and the four totals. An order that the wallet never saw moved no money.
    """
    theirs = {row["order_id"]: row for row in ledger}
    ours = {row["order_id"]: row for row in orders}
    found = []
    for order_id in sorted(theirs.keys() | ours.keys()):
        their, our = theirs.get(order_id, _NOTHING), ours.get(order_id, _NOTHING)
        found += [
            f"order {order_id}: {fact} is {our[fact]} here, and {their[fact]} at the wallet"
            for fact in FACTS
            if our[fact] != their[fact]
        ]
    return found
