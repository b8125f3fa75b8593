"""The load: many orders at once, through Kafka, with a buyer at the wallet's cashier.

Runs in a thread of its own, so that whoever breaks things may block. It outlives every fault: what cannot be
published is published again under the same id, what cannot be read is read later.
"""

import asyncio
import contextlib
import gc
import logging
import random
import threading
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson
from aiokafka import TopicPartition

from schemas.vocabulary import Disposition, State, Topic
from service.clock import RandomIds, SystemClock
from service.kafka.access import KafkaAccess
from service.kafka.broker import Kafka
from service.kafka.clients import UNAVAILABLE, consumer, started
from service.kafka.forwarder import Forwarder
from service.kafka.partition import lane_of
from service.state_events import rfc3339
from tests.faults.stories import AMOUNT_MINOR, Story
from tests.faults.watch import Watch
from tests.faults.world import LANES, World

# An order waits so long for what must come; longer than a whole run of one fault.
PATIENCE_S = 600.0
TWICE = 0.15
RETRY_S = 0.3
GAP_S = 0.03
# A client can stop fetching after a broker's restart: without news it is made anew.
NO_NEWS_S = 5.0
REFUND_TRIES = 40
INSIST_S = 5.0
TRICKLE_S = 0.3
_OPEN = {State.CREATED, State.PAYING, State.EXPIRING, State.EXPIRED}


class NotComeError(Exception):
    """An order waited in vain; the message says for what."""


@dataclass(slots=True)
class Told:
    """What the topics have told about one order."""

    order_str: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Load(threading.Thread):
    """`allow` says how many orders may have begun; `failures` is what went wrong for the load itself."""

    def __init__(self, world: World, orders: dict[str, Story], rng: random.Random) -> None:
        super().__init__(name="load", daemon=True)
        # It tells of every refused connection of every retry.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        self.orders = orders
        self.begun = self.ended = 0
        self.failures: list[str] = []
        self.watch = Watch(world.postgres.dsn)
        # How often each state event was seen by a read_committed consumer.
        self.seen: Counter[str] = Counter()
        self._brokers = world.broker.bootstrap
        self._wallet_url = world.wallet_url
        self._rng = rng
        self._allowed = 0
        self._first_of_lane: dict[int, tuple[str, dict[str, Any]]] = {}
        self._told: defaultdict[str, Told] = defaultdict(Told)
        self._positions = {
            TopicPartition(topic, lane): 0
            for topic in (Topic.STATE_EVENTS, Topic.ORDER_STRINGS)
            for lane in range(LANES)
        }
        self._over = threading.Event()

    def allow(self, part: float) -> None:
        """Lets this part (0 to 1) of all orders begin."""
        self._allowed = max(self._allowed, round(part * len(self.orders)))

    def finish(self) -> None:
        """The books are closed: whatever is still under way is dropped."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """The thread."""
        # Clients of a broker that died are thrown away unclosed, as the service does it; their remains are swept
        # up here, where nobody takes them for leaks.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            # Not on uvloop: its `close` was seen to wait for ever, in a thread, for connections to such a broker.
            asyncio.run(self._main())
            gc.collect()

    async def _main(self) -> None:
        self._publisher = Forwarder(Kafka(KafkaAccess(self._brokers)), LANES)
        async with httpx2.AsyncClient(base_url=self._wallet_url, timeout=20.0, trust_env=False) as self._wallet:
            tasks = [
                asyncio.create_task(job()) for job in (self._tell_all, self._trickle, self._follow, self.watch.run)
            ]
            while not self._over.is_set():
                await asyncio.sleep(GAP_S)
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    self.failures.append(f"the load itself failed: {ended!r}")
        await self._publisher.close()

    async def _tell_all(self) -> None:
        async with asyncio.TaskGroup() as stories:
            for order_id, story in self.orders.items():
                while self.begun >= self._allowed:
                    await asyncio.sleep(GAP_S)
                self.begun += 1
                stories.create_task(self._tell(order_id, story))
                await asyncio.sleep(self._rng.uniform(0, 2 * GAP_S))

    async def _trickle(self) -> None:
        """A record for every lane now and then, whatever the orders do: so a lane that does not read shows."""
        while True:
            for order_id, record in list(self._first_of_lane.values()):
                await self.publish(Topic.ORDERS, order_id, record)
            await asyncio.sleep(TRICKLE_S)

    async def _tell(self, order_id: str, story: Story) -> None:
        try:
            await story.run(_Desk(self, order_id))
        except (NotComeError, httpx2.HTTPError) as error:
            self.failures.append(f"{order_id} ({story.name}): {error!r}")
        self.ended += 1

    async def _follow(self) -> None:
        while True:
            try:
                async with started(consumer(KafkaAccess(self._brokers))) as reader:
                    reader.assign(list(self._positions))
                    for partition, position in self._positions.items():
                        reader.seek(partition, position)
                    await self._read(reader)
            except UNAVAILABLE:
                await asyncio.sleep(RETRY_S)

    async def _read(self, reader: Any) -> None:
        loop = asyncio.get_running_loop()
        news_at = loop.time()
        while loop.time() - news_at < NO_NEWS_S:
            for partition, records in (await reader.getmany(timeout_ms=100)).items():
                news_at = loop.time()
                for record in records:
                    self._positions[partition] = record.offset + 1
                    self._take(partition.topic, orjson.loads(record.value))

    def _take(self, topic: str, value: dict[str, Any]) -> None:
        told = self._told[value["order_id"]]
        if topic == Topic.ORDER_STRINGS:
            told.order_str = value["order_str"]
        else:
            self.seen[value["event_id"]] += 1
            told.events.append(value)
        told.news.set()

    async def publish(self, topic: Topic, order_id: str, record: dict[str, Any]) -> None:
        """Once, and now and then twice."""
        if record["type"] == "order.created":
            self._first_of_lane.setdefault(lane_of(order_id, LANES), (order_id, record))
        for _ in range(2 if self._rng.random() < TWICE else 1):
            while True:
                try:
                    await self._publisher.publish(topic, order_id, orjson.dumps(record))
                    break
                except UNAVAILABLE:
                    await asyncio.sleep(RETRY_S)

    async def pay(self, wish: dict[str, Any]) -> dict[str, Any]:
        """What the cashier says."""
        answer = await self._wallet.post("/sandbox/pay", json=wish)
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said

    async def until(self, order_id: str, come: Any, what: str) -> None:
        """Returns when `come(told)` is true."""
        told = self._told[order_id]
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not come(told):
                    told.news.clear()
                    await told.news.wait()
        except TimeoutError:
            last = told.events[-1]["state"] if told.events else "not known"
            raise NotComeError(f"is {last} after {PATIENCE_S:.0f} s, waited for {what}") from None


def _is_open(told: Told) -> bool:
    # Its order string may be seen before its state events, which are on another topic.
    return not told.events or told.events[-1]["state"] in _OPEN


class _Desk:
    """One order's story at work."""

    def __init__(self, load: Load, order_id: str) -> None:
        self.load = load
        self.order_id = order_id
        self._ids = RandomIds()
        self._clock = SystemClock()

    async def create(self, kind: str, **terms: Any) -> None:
        await self.send(
            Topic.ORDERS,
            "order.created",
            kind=kind,
            amount_minor=AMOUNT_MINOR,
            currency="CNY",
            profile="sandbox",
            subject="A thing",
            **terms,
        )

    async def send(self, topic: Topic, type_: str, **fields: Any) -> str:
        event_id = self._ids.uuid7()
        record = {
            "type": type_,
            "event_id": event_id,
            "order_id": self.order_id,
            "occurred_at": rfc3339(self._clock.now()),
            **fields,
        }
        await self.load.publish(topic, self.order_id, record)
        return event_id

    async def buyer(self, action: str = "confirm", *, force: bool = False) -> None:
        await self.load.until(self.order_id, lambda told: told.order_str is not None, "its order string")
        order_str = self.load._told[self.order_id].order_str
        said = await self.load.pay({"order_str": order_str, "action": action, "force": force})
        if action == "confirm" and said["result_code"] != "9000":
            raise NotComeError(f"the buyer could not pay: {said}")
        if action == "confirm":
            await self._insists()

    async def reaches(self, *states: State) -> None:
        await self.load.until(
            self.order_id, lambda told: any(event["state"] in states for event in told.events), f"to be {states}"
        )

    async def sees(self, trigger: str) -> None:
        await self.load.until(
            self.order_id, lambda told: any(event["trigger"] == trigger for event in told.events), trigger
        )

    async def complete(self, amount_minor: int, *, final: bool = True, number: int = 1) -> None:
        await self.send(
            Topic.COMPLETIONS,
            "service.completed",
            completion_id=f"c{number}",
            amount_minor=amount_minor,
            currency="CNY",
            final=final,
        )

    async def cancel(self) -> None:
        await self.send(Topic.ORDERS, "order.cancel_requested", reason="no longer wanted")

    async def _insists(self) -> None:
        """The client says that it is paid until that is heard, as an app would that shows the order as open."""
        told = self.load._told[self.order_id]
        while _is_open(told):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INSIST_S):
                    await self.load.until(self.order_id, lambda told: not _is_open(told), "to be paid")
                    return
            await self.send(Topic.ORDERS, "order.client_result", result_code="9000")

    async def refund(self, amount_minor: int) -> None:
        """Asks until it is taken: refused while another operation is under way."""
        for _ in range(REFUND_TRIES):
            event_id = await self.send(
                Topic.ORDERS,
                "refund.requested",
                refund_id="r1",
                amount_minor=amount_minor,
                currency="CNY",
                reason="a complaint",
            )

            def answered(told: Told, asked: str = event_id) -> list[dict[str, Any]]:
                return [event for event in told.events if event["cause_event_id"] == asked]

            await self.load.until(self.order_id, answered, "an answer to a refund")
            answer = answered(self.load._told[self.order_id])[0]
            if answer["disposition"] != Disposition.REFUSED:
                return
            await asyncio.sleep(RETRY_S)
        raise NotComeError(f"the refund is always refused: {answer['reason']}")
