"""The orders of the load: what upstream and the buyer do with each, and where it must end.

Whatever is killed meanwhile, an order's end is the same: faults may cost time, never money.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.vocabulary import State, Topic

AMOUNT_MINOR = 10_000
PART_MINOR = 7_000
SOON_S = 5


class Desk(Protocol):
    """What a story can do with its order."""

    async def create(self, kind: str, **terms: Any) -> None: ...
    async def send(self, topic: Topic, type_: str, **fields: Any) -> None: ...
    async def buyer(self, action: str = "confirm", *, force: bool = False) -> None: ...
    async def reaches(self, *states: State) -> None: ...
    async def sees(self, trigger: str) -> None: ...
    async def refund(self, amount_minor: int) -> None: ...
    async def complete(self, amount_minor: int, *, final: bool = True, number: int = 1) -> None: ...
    async def cancel(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Story:
    """Its `end` with the totals: what is taken, and what of it is given back. `or_end` where time may win.

    `waits` for the end of the wallet's pay window, which has whole minutes.
    """

    run: Callable[[Desk], Awaitable[None]]
    end: State
    taken_minor: int = 0
    refunded_minor: int = 0
    weight: int = 2
    or_end: State | None = None
    waits: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__.lstrip("_")


async def _pays(desk: Desk) -> None:
    await desk.create("payment")
    await desk.buyer()


async def _pays_and_the_client_says_so(desk: Desk) -> None:
    await desk.create("payment")
    await desk.buyer()
    await desk.send(Topic.ORDERS, "order.client_result", result_code="9000")


async def _never_pays(desk: Desk) -> None:
    await desk.create("payment", pay_timeout_s=SOON_S)


async def _pays_late(desk: Desk) -> None:
    await desk.create("payment", pay_timeout_s=SOON_S)
    await desk.reaches(State.EXPIRED)
    await desk.buyer(force=True)


async def _pays_late_and_is_taken(desk: Desk) -> None:
    await desk.create("payment", pay_timeout_s=SOON_S, late_payment="accept")
    await desk.reaches(State.EXPIRED)
    await desk.buyer(force=True)


async def _is_refunded(desk: Desk) -> None:
    await desk.create("payment")
    await desk.buyer()
    await desk.reaches(State.PAID)
    await desk.refund(AMOUNT_MINOR)


async def _is_refunded_in_part(desk: Desk) -> None:
    await desk.create("payment")
    await desk.buyer()
    await desk.reaches(State.PAID)
    await desk.refund(PART_MINOR)


async def _is_cancelled(desk: Desk) -> None:
    await desk.create("payment", pay_timeout_s=SOON_S)
    await desk.cancel()


async def _walks_away(desk: Desk) -> None:
    await desk.create("payment", pay_timeout_s=SOON_S)
    await desk.buyer("cancel")
    await desk.send(Topic.ORDERS, "order.client_result", result_code="6001")
    await desk.cancel()


async def _rents(desk: Desk) -> None:
    await desk.create("preauth")
    await desk.buyer()
    await desk.reaches(State.AUTHORIZED)
    await desk.complete(AMOUNT_MINOR)


async def _rents_for_less(desk: Desk) -> None:
    await desk.create("preauth")
    await desk.buyer()
    await desk.reaches(State.AUTHORIZED)
    await desk.complete(PART_MINOR)


async def _rents_for_nothing(desk: Desk) -> None:
    await desk.create("preauth")
    await desk.buyer()
    await desk.reaches(State.AUTHORIZED)
    await desk.complete(0)


async def _rents_in_two_parts(desk: Desk) -> None:
    await desk.create("preauth")
    await desk.buyer()
    await desk.reaches(State.AUTHORIZED)
    await desk.complete(AMOUNT_MINOR - PART_MINOR, final=False)
    await desk.complete(PART_MINOR, number=2)


async def _returns_before_it_is_authorized(desk: Desk) -> None:
    await desk.create("preauth")
    await desk.complete(PART_MINOR)
    await desk.sees("service_completed")
    await desk.buyer()


async def _returns_before_the_order_is_known(desk: Desk) -> None:
    await desk.complete(PART_MINOR)
    await desk.create("preauth")
    await desk.buyer()


async def _changes_the_mind(desk: Desk) -> None:
    await desk.create("preauth")
    await desk.buyer()
    await desk.reaches(State.AUTHORIZED)
    await desk.cancel()


async def _never_authorizes(desk: Desk) -> None:
    await desk.create("preauth", pay_timeout_s=SOON_S)


async def _complains_of_the_fee(desk: Desk) -> None:
    await desk.create("preauth")
    await desk.buyer()
    await desk.reaches(State.AUTHORIZED)
    await desk.complete(PART_MINOR)
    await desk.reaches(State.CAPTURED)
    await desk.refund(PART_MINOR // 2)


STORIES = (
    Story(_pays, State.PAID, AMOUNT_MINOR, weight=6),
    Story(_pays_and_the_client_says_so, State.PAID, AMOUNT_MINOR),
    Story(_never_pays, State.EXPIRED, waits=True),
    Story(_pays_late, State.REFUNDED, AMOUNT_MINOR, AMOUNT_MINOR, waits=True),
    Story(_pays_late_and_is_taken, State.PAID, AMOUNT_MINOR, weight=1, waits=True),
    Story(_is_refunded, State.REFUNDED, AMOUNT_MINOR, AMOUNT_MINOR),
    Story(_is_refunded_in_part, State.PARTIALLY_REFUNDED, AMOUNT_MINOR, PART_MINOR),
    Story(_is_cancelled, State.CLOSED, or_end=State.EXPIRED, waits=True),
    Story(_walks_away, State.CLOSED, or_end=State.EXPIRED, waits=True),
    Story(_rents, State.CAPTURED, AMOUNT_MINOR, weight=4),
    Story(_rents_for_less, State.CAPTURED, PART_MINOR, weight=4),
    Story(_rents_for_nothing, State.VOIDED),
    Story(_rents_in_two_parts, State.CAPTURED, AMOUNT_MINOR),
    Story(_returns_before_it_is_authorized, State.CAPTURED, PART_MINOR),
    Story(_returns_before_the_order_is_known, State.CAPTURED, PART_MINOR),
    Story(_changes_the_mind, State.VOIDED),
    Story(_never_authorizes, State.EXPIRED, waits=True),
    Story(_complains_of_the_fee, State.PARTIALLY_REFUNDED, PART_MINOR, PART_MINOR // 2),
)


def plan(orders: int, rng: random.Random, *, patient: bool = True) -> dict[str, Story]:
    """So many orders with a story each; every story comes up before any is drawn again.

    Without patience only those that do not wait for the end of a pay window: they end within seconds.
    """
    stories = [story for story in STORIES if patient or not story.waits]
    drawn = [*stories, *rng.choices(stories, [story.weight for story in stories], k=orders)][:orders]
    rng.shuffle(drawn)
    return {f"f{number}": story for number, story in enumerate(drawn)}
