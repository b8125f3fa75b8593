"""What the order API does: publishes events like any upstream, waits for what becomes of them, makes order strings.

It writes nothing of an order itself. Everything that may be repeated is safe to repeat: the ids of an event are
written down before it is published, and a lane takes an event id once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from schemas.identifiers import InvalidOrderIdError, check_order_id
from schemas.vocabulary import State, Topic
from service.http.polling import Poll
from service.http.problems import ProblemError, problem, unavailable
from service.kafka.partition import lane_of
from service.state_events import rfc3339
from service.store.following import OrderRows
from service.store.idempotency import Answer, Event
from service.wallets.adapter import BuilderRefusedError, WalletAdapter
from statemachine.order import Order
from statemachine.seen import EVENT, creation_of, is_seen

log = structlog.get_logger()

# How long POST /v1/orders waits for its order. Mini programs wait 30 s, their servers often less.
ORDER_LIMIT_S: Final = 8.0
PUBLISH_LIMIT_S: Final = 8.0
# A round costs one query of a few rows, however many wait.
POLL_EVERY_S: Final = 0.004

Publish = Callable[[str, str, bytes, list[tuple[str, bytes]]], Awaitable[int]]
# Why a lane would not take a record: the topic, the order's id, the record.
Refusal = Callable[[Topic, str, bytes], str | None]
Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds."""

    order_s: float = ORDER_LIMIT_S
    publish_s: float = PUBLISH_LIMIT_S


class Ordering:
    """Makes orders, and hands on what is asked of them. Made inside the loop that uses it."""

    def __init__(
        self,
        rows: OrderRows,
        adapters: Mapping[str, WalletAdapter],
        publish: Publish,
        refusal: Refusal,
        limits: Limits | None = None,
    ) -> None:
        self._rows = rows
        self._adapters = adapters
        self._publish = publish
        self._refusal = refusal
        self._limits = limits or Limits()
        self._passed: Poll[int] = Poll(lambda lanes: rows.passed_offsets(Topic.ORDERS, lanes), POLL_EVERY_S)

    async def create(self, event: Event, headers: Headers) -> Answer:
        """Publishes `order.created`, unless that was done, and waits for the order.

        201 with the order, without its order string; 202 when it takes too long; 422 when the record became a
        dead letter. Raises ProblemError: 409 another event made this order, 422 the terms, 503.
        """
        order = await self._rows.load(event.order_id)
        if order is None:
            self._check(Topic.ORDERS, event)
            offset = await self._send(Topic.ORDERS, event, headers)
            await self._passed.reaches(lane_of(event.order_id, self._rows.lanes), offset, self._limits.order_s)
            order = await self._rows.load(event.order_id)
            if order is None:
                return await self._unmade(event, offset)
        if creation_of(order) != event.event_id:
            raise ProblemError(409, "order-exists", f"the order {event.order_id} exists already")
        return Answer(201, made(order))

    async def _unmade(self, event: Event, offset: int) -> Answer:
        reason = await self._rows.death_of(Topic.ORDERS, event.order_id, offset)
        if reason is not None:
            return Answer(422, problem(422, "order-refused", reason))
        nothing = {"state": None, "version": 0, "expires_at": None}
        return Answer(202, {"order_id": event.order_id, **nothing})

    async def tell(self, topic: Topic, event: Event, identity: tuple[str, str] | None, headers: Headers) -> Answer:
        """Publishes an event about an order, unless that was done. 202 with the event's id.

        `identity` is the source and the id under which an order takes such an event once, whatever its event id:
        `taken_before` says that it has, and that nothing was published. Raises ProblemError: 404 no such order,
        422 a lane would not take it, 503.
        """
        order = await self.known(event.order_id)
        was_published = is_seen(order, EVENT, event.event_id)
        taken_before = not was_published and identity is not None and is_seen(order, *identity)
        if not was_published:
            self._check(topic, event)
            if not taken_before:
                await self._send(topic, event, headers)
        said = {"order_id": event.order_id, "event_id": event.event_id, "taken_before": taken_before}
        return Answer(202, said)

    async def known(self, order_id: str) -> Order:
        """The order. Raises ProblemError 404."""
        try:
            order = await self._rows.load(check_order_id(order_id))
        except InvalidOrderIdError:
            order = None
        if order is None:
            raise no_such_order()
        return order

    async def order_str(self, order: Order) -> str | None:
        """The order's string, the same bytes each time; None unless the order is `paying`."""
        adapter = self._adapters.get(order.profile)
        if adapter is None or order.state is not State.PAYING:
            return None
        try:
            # RSA-2048 takes most of a millisecond, and releases the interpreter's lock.
            return await asyncio.to_thread(adapter.order_string, order)
        except BuilderRefusedError as error:
            # The terms were checked when the order came: the profile has changed since.
            log.error("order_string_refused", order_id=order.order_id, error=str(error))
            return None

    async def close(self) -> None:
        """Stops asking the database."""
        await self._passed.close()

    def _check(self, topic: Topic, event: Event) -> None:
        reason = self._refusal(topic, event.order_id, event.record)
        if reason is not None:
            raise ProblemError(422, "order-refused" if topic is Topic.ORDERS else "event-refused", reason)

    async def _send(self, topic: Topic, event: Event, headers: Headers) -> int:
        try:
            async with asyncio.timeout(self._limits.publish_s):
                return await self._publish(topic.value, event.order_id, event.record, headers)
        # The top of a request: whatever the publisher could not do, the caller is to come again.
        except Exception as error:  # noqa: BLE001
            log.warning("event_not_published", order_id=event.order_id, error=repr(error))
            raise unavailable("the event could not be published: come again with the same ids") from None


def no_such_order(why: str = "") -> ProblemError:
    """404, with the reason where one is known."""
    return ProblemError(404, "no-such-order", why or "there is no such order")


def made(order: Order) -> dict[str, Any]:
    """The body of an order that was made; its string is added when it is sent."""
    return {
        "order_id": order.order_id,
        "state": order.state,
        "version": order.version,
        "expires_at": expires_at(order),
    }


def expires_at(order: Order) -> str | None:
    """Until when the wallet lets the buyer pay."""
    if order.issued_at is None:
        return None
    return rfc3339(order.issued_at + timedelta(seconds=order.pay_window_s))
