"""A person who looks at the wallet's own console, and says what became of an operation that is unknown."""

from itertools import count
from typing import TYPE_CHECKING

from schemas.vocabulary import Flag, OperationKind, OperationState, Topic
from statemachine.order import Operation, Order
from tests.simulation.accounts import DONE, REFUSED, Account
from tests.simulation.authors import Act
from tests.simulation.checks import FACTS
from tests.simulation.plan import TROUBLED_S

if TYPE_CHECKING:
    from tests.simulation.world import World

LOOK_EVERY_S = 1.0
# How often it is the version of a moment ago, or the word of one who has not looked well what it is about.
STALE = 0.1
# Without these the ledgers may differ, and nobody would be told any more.
_STAY = frozenset({Flag.CLOSE_UNCONFIRMED, Flag.REFUND_BY_WALLET})


class Person:
    """Says only what is certain there: what has been carried out or refused, never what has not come."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._numbers = count(1)

    def plan(self) -> None:
        for n in range(1, int(TROUBLED_S / LOOK_EVERY_S)):
            self._world.at(n * LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        world = self._world
        for (_, order_id), order in list(world.judge.orders.items()):
            account = world.wallet.accounts.get(order_id)
            live = order.operation
            if live is None:
                facts = tuple(getattr(order, fact) for fact in FACTS)
                truth = (0, 0, 0, 0) if account is None else account.facts
                if order.flags and not order.flags & _STAY and facts == truth:
                    self._speak(order, None)
            elif (
                account is not None
                and live.state is OperationState.UNKNOWN
                and (became := _became(account, live)) is not None
            ):
                self._speak(order, became)

    def _speak(self, order: Order, outcome: str | None) -> None:
        faults = self._world.faults
        if not faults.happens("person_speaks"):
            return
        dice = faults.dice("person_speaks")
        event = {
            "type": "operator.resolved",
            "event_id": f"p{next(self._numbers)}",
            "order_id": order.order_id,
            "occurred_at": "2026-03-01T12:00:00Z",
            "actor": "ann",
            "reason": "looked at the console",
            "evidence": "ticket 7",
            "expected_version": max(1, order.version - (dice.random() < STALE)),
            "outcome": None if dice.random() < STALE else outcome,
        }
        # Some look, and write it down later: by then it may be another operation that is unknown.
        self._world.at(dice.choice((0, 0, 0, 5)), self._world.traffic.publish, Act(0, Topic.ORDERS, event))


def _became(account: Account, live: Operation) -> str | None:
    if live.kind is OperationKind.CLOSE:
        if account.frozen or account.taken:
            return REFUSED
        return DONE if account.closed else None
    request = account.requests.get(live.id)
    return request.status if request is not None and request.status in (DONE, REFUSED) else None
