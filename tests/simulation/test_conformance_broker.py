"""The simulated broker against a real one: the same random traces of producers and readers, the same results."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.vocabulary import Topic
from service.dev.kafka import EmbeddedKafka
from service.kafka.access import KafkaAccess
from service.kafka.broker import Broker as Port
from service.kafka.broker import Kafka, tail
from service.kafka.clients import PRODUCE_TIMEOUT_S, abandon, started, within
from service.kafka.topics import create_topics
from tests.simulation.broker import Broker
from tests.simulation.clients import SimulatedBroker
from tests.simulation.faults import Faults, rates_of
from tests.simulation.loop import SimulatedLoop
from tests.simulation.server import Troubles

pytestmark = pytest.mark.integration

SEEDS = 6
STEPS = 30
# Markers reach the partition some time after a commit has been answered.
STILL_S = 0.1
STILL_LOOKS = 3


@dataclass
class Trace:
    """Two transactional ids and a plain producer on one partition, as relays and forwarders use them."""

    broker: Port
    partition: TopicPartition
    dice: random.Random
    producers: dict[int, Any] = field(default_factory=dict)
    # Fenced, or with a transaction that was never ended.
    left: list[Any] = field(default_factory=list)
    written: int = 0

    async def run(self) -> list[str]:
        noted = []
        for _ in range(STEPS):
            step = self.dice.choices(
                (self.open, self.publish, self.leave_open, self.come_back, self.forward, self.look),
                (2, 6, 2, 1, 2, 3),
            )[0]
            noted.append(f"{step.__name__}: {await step()}")
        for producer in (*self.producers.values(), *self.left):
            await abandon(producer)
        return noted

    async def open(self) -> object:
        """A new producer of an id; it ends its predecessor's transaction."""
        n = self.dice.randrange(2)
        if n in self.producers:
            self.left.append(self.producers[n])
        self.producers[n] = self.broker.transactional_producer(f"{self.partition.partition}-conformance-{n}")
        await self.producers[n].start()
        return n

    async def publish(self) -> object:
        n = self.dice.randrange(2)
        if n not in self.producers:
            return "none"
        await self._send(self.producers[n])
        await self.producers[n].commit_transaction()
        self.producers[n].is_left_open = False
        return n

    async def leave_open(self) -> object:
        n = self.dice.randrange(2)
        if n not in self.producers:
            return "none"
        producer = self.producers.pop(n)
        self.left.append(producer)
        await self._send(producer)
        return n

    async def come_back(self) -> object:
        """One that was left goes on: as long as nobody has opened its id again, it may."""
        if not self.left:
            return "none"
        producer = self.left.pop(self.dice.randrange(len(self.left)))
        try:
            if not getattr(producer, "is_left_open", False):
                await within(self._send(producer), PRODUCE_TIMEOUT_S)
            await within(producer.commit_transaction(), PRODUCE_TIMEOUT_S)
        except KafkaError:
            await abandon(producer)
            return "fenced"
        await abandon(producer)
        return "done"

    async def _send(self, producer: Any) -> None:
        await producer.begin_transaction()
        for _ in range(self.dice.randrange(1, 3)):
            batch = producer.create_batch()
            for _ in range(self.dice.randrange(1, 4)):
                batch.append(key=b"k", value=self._value(), timestamp=None, headers=[])
            await (await producer.send_batch(batch, self.partition.topic, partition=self.partition.partition))
        producer.is_left_open = True

    async def forward(self) -> object:
        # Once no marker is under way: whether one comes before the record or after it is chance.
        await self._ends()
        async with started(self.broker.idempotent_producer()) as producer:
            sent = await producer.send_and_wait(
                self.partition.topic,
                self._value(),
                key=b"k",
                partition=self.partition.partition,
                headers=[("a", b"b")],
            )
        return sent.offset

    def _value(self) -> bytes:
        self.written += 1
        return b"%d" % self.written

    async def look(self) -> object:
        """Where the partition ends, for whom, and what is seen of it, from anywhere."""
        stable, end = await self._ends()
        depth = self.dice.choice((2, 5, 1_000))
        seen = await tail(self.broker, self.partition, stable, depth) if stable else ()
        return stable, end, depth, list(seen)

    async def _ends(self) -> tuple[int, int]:
        found: list[tuple[int, int]] = []
        while len(found) < STILL_LOOKS or len(set(found[-STILL_LOOKS:])) > 1:
            async with started(self.broker.consumer()) as committed:
                stable = (await committed.end_offsets([self.partition]))[self.partition]
            async with started(self.broker.consumer(isolation_level="read_uncommitted")) as everything:
                end = (await everything.end_offsets([self.partition]))[self.partition]
            found.append((stable, end))
            await asyncio.sleep(STILL_S)
        return found[-1]


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """A broker of these tests' own: the lanes of the shared one have an engine."""
    with EmbeddedKafka() as server:
        yield server.bootstrap


def _simulated(seed: int) -> list[str]:
    loop = SimulatedLoop()
    faults = Faults(seed, rates_of(seed), are_over=True)
    broker = Broker(SEEDS, Troubles(loop, faults, lambda _: None), lambda _log: None)
    partition = TopicPartition(str(Topic.STATE_EVENTS), seed)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(Trace(SimulatedBroker(broker), partition, random.Random(seed)).run())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_the_simulated_broker_does_what_a_broker_does(bootstrap: str, seed: int) -> None:
    await create_topics(KafkaAccess(bootstrap), SEEDS)
    partition = TopicPartition(str(Topic.STATE_EVENTS), seed)
    real = await Trace(Kafka(KafkaAccess(bootstrap)), partition, random.Random(seed)).run()
    simulated = await asyncio.to_thread(_simulated, seed)
    for number, (theirs, ours) in enumerate(zip(real, simulated, strict=True)):
        assert ours == theirs, f"step {number} of seed {seed}: {simulated[:number]}"


def test_the_traces_come_by_fences_and_by_open_transactions() -> None:
    noted = [line for seed in range(SEEDS) for line in _simulated(seed)]
    assert "come_back: fenced" in noted
    assert "come_back: done" in noted
    looks = [line.removeprefix("look: (").split(", ") for line in noted if line.startswith("look: (")]
    assert any(int(stable) < int(end) for stable, end, *_ in looks)
