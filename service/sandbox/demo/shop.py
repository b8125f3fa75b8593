"""The merchant's side of the demo: makes orders, over HTTP or by publishing, and follows what becomes of them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx2
import orjson
from aiokafka import TopicPartition

from schemas.vocabulary import State, Topic
from service.clock import Clock, Ids
from service.kafka.broker import Kafka
from service.kafka.clients import consumer, started
from service.kafka.forwarder import Forwarder
from service.sandbox.demo.world import World
from service.state_events import rfc3339

# An order of the demo that has not come to where it should within this time never will.
PATIENCE_S = 40.0
PROFILE = "sandbox"
CURRENCY = "CNY"


class NotSettledError(Exception):
    """An order did not come to where it should; the message says where it is."""


@dataclass(slots=True)
class Shop:
    """Publishes, pays as the buyer, and waits for states."""

    world: World
    publisher: Forwarder
    wallet: httpx2.AsyncClient
    api: httpx2.AsyncClient
    clock: Clock
    ids: Ids
    on_event: Callable[[dict[str, Any]], None]
    events: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    order_strings: dict[str, str] = field(default_factory=dict)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def order(self, order_id: str, kind: str, amount_minor: int, subject: str, **terms: Any) -> str:  # noqa: ANN401
        """Makes an order through `POST /v1/orders`, as a mini program's server does; answers its orderStr."""
        body = {"order_id": order_id, "kind": kind, "amount_minor": amount_minor, "subject": subject, **terms}
        answer = await self.api.post("/v1/orders", json={"currency": CURRENCY, "profile": PROFILE, **body})
        made = answer.json()
        if answer.status_code != HTTPStatus.CREATED or made["order_str"] is None:
            raise NotSettledError(f"POST /v1/orders answered {answer.status_code}: {answer.text[:300]}")
        return str(made["order_str"])

    async def create(self, order_id: str, kind: str, amount_minor: int, subject: str, **terms: Any) -> str:  # noqa: ANN401
        """Publishes `order.created`; answers the orderStr that paystate signed."""
        await self.publish(
            Topic.ORDERS,
            order_id,
            "order.created",
            kind=kind,
            amount_minor=amount_minor,
            currency=CURRENCY,
            profile=PROFILE,
            subject=subject,
            **terms,
        )
        await self._until(order_id, lambda: order_id in self.order_strings, "its order string")
        return self.order_strings[order_id]

    async def complete(self, order_id: str, amount_minor: int) -> None:
        """Publishes `service.completed`: the service was used, and this is what it cost."""
        await self.publish(
            Topic.COMPLETIONS,
            order_id,
            "service.completed",
            completion_id=f"{order_id}-used",
            amount_minor=amount_minor,
            currency=CURRENCY,
        )

    async def publish(self, topic: Topic, order_id: str, type_: str, **fields: Any) -> None:  # noqa: ANN401
        """Publishes one event."""
        record = {
            "type": type_,
            "event_id": self.ids.uuid7(),
            "order_id": order_id,
            "occurred_at": rfc3339(self.clock.now()),
            **fields,
        }
        await self.publisher.publish(topic, order_id, orjson.dumps(record))

    async def buyer_confirms(self, order_str: str, callback: str = "send", *, force: bool = False) -> None:
        """The buyer pays or authorizes at the wallet's cashier. `force`: although the wallet had closed it."""
        wish = {"order_str": order_str, "action": "confirm", "callback": callback, "force": force}
        answer = await self.wallet.post("/sandbox/pay", json=wish)
        answer.raise_for_status()

    async def wallet_goes_wrong(self, **rates: float) -> None:
        """From now on; without rates all goes right again."""
        (await self.wallet.put("/sandbox/faults", json=rates)).raise_for_status()

    async def ledger(self) -> list[dict[str, Any]]:
        """What the wallet knows to have happened to the money."""
        answer = await self.wallet.get("/sandbox/ledger")
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()
        return rows

    async def state(self, order_id: str, state: State) -> None:
        """Returns when the order has come to this state, with nothing of it under way at the wallet."""
        await self._until(order_id, lambda: self._is_at(order_id, state), f"to be {state}")

    async def seen(self, order_id: str, trigger: str) -> None:
        """Returns when this has happened to the order."""
        await self._until(
            order_id, lambda: any(event["trigger"] == trigger for event in self.events[order_id]), trigger
        )

    def _is_at(self, order_id: str, state: State) -> bool:
        if not self.events[order_id]:
            return False
        last = self.events[order_id][-1]
        held = last["frozen_minor"] - last["taken_minor"] - last["released_minor"]
        return last["state"] == state and (state is State.AUTHORIZED or last["kind"] == "payment" or held == 0)

    async def _until(self, order_id: str, come: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S), self._news:
                await self._news.wait_for(come)
        except TimeoutError:
            last = self.events[order_id][-1]["state"] if self.events[order_id] else "not known"
            raise NotSettledError(
                f"order {order_id} is {last} after {PATIENCE_S:.0f} s; waited for {what}"
            ) from None

    async def follow(self) -> None:
        """Reads state events and order strings until cancelled."""
        config = self.world.config
        async with started(consumer(config.kafka)) as reader:
            topics = (Topic.STATE_EVENTS, Topic.ORDER_STRINGS)
            reader.assign(
                [TopicPartition(topic, lane) for topic in topics for lane in range(config.settings.lanes)]
            )
            await reader.seek_to_beginning()
            while True:
                for partition, records in (await reader.getmany(timeout_ms=100)).items():
                    async with self._news:
                        for record in records:
                            self._take(partition.topic, orjson.loads(record.value))
                        self._news.notify_all()

    def _take(self, topic: str, value: dict[str, Any]) -> None:
        if topic == Topic.ORDER_STRINGS:
            self.order_strings[value["order_id"]] = value["order_str"]
        else:
            self.events[value["order_id"]].append(value)
            self.on_event(value)


@contextlib.asynccontextmanager
async def open_shop(
    world: World, clock: Clock, ids: Ids, on_event: Callable[[dict[str, Any]], None]
) -> AsyncIterator[Shop]:
    """A shop that follows its orders while the context lasts."""
    publisher = Forwarder(Kafka(world.config.kafka), world.config.settings.lanes)
    async with (
        httpx2.AsyncClient(base_url=world.wallet_url, timeout=10.0, trust_env=False) as wallet,
        httpx2.AsyncClient(base_url=world.bridge_url, timeout=15.0, trust_env=False) as api,
    ):
        shop = Shop(world, publisher, wallet, api, clock, ids, on_event)
        following = asyncio.create_task(shop.follow())
        try:
            yield shop
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await publisher.close()
