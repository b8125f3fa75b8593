"""Latency: input records at a constant rate, and when a read_committed consumer gets what came of each."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.vocabulary import Topic
from service.kafka.access import KafkaAccess
from service.kafka.clients import idempotent_producer
from tests.bench.workload import Given, Signer
from tests.bench.world import ENGINE, World, partitions, reading, send_all

TICK_S = 0.002
# An order is paid this long after it was created.
PAID_AFTER_S = 0.5
# Not counted: a broker whose Java is cold takes all that the processors have left to compile itself. It took a core
# at first, and half of one after a minute. So long as this many measurements.
WARM_UP_TIMES = 6
WARM_UP_RATE = 2_000
# The first second of each rate is not counted.
SETTLE_S = 1.0
DRAIN_S = 30.0
# The callback is the second version of an order that was created and not issued.
CREATED, PAID = 1, 2


@dataclass(frozen=True, slots=True)
class Latency:
    """One rate. Milliseconds, of all records after the first second."""

    lanes: int
    rate: int
    events: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


@dataclass(slots=True)
class Stamps:
    """When each input record was handed to the producer, and what its result took."""

    sent_at: dict[tuple[str, int], float] = field(default_factory=dict)
    took: list[tuple[float, float]] = field(default_factory=list)


async def run(world: World, signer: Signer, rates: Sequence[int], seconds: float) -> list[Latency]:
    """One engine, at each of these input rates in turn."""
    counts = [int(rate * seconds) // 2 for rate in rates]
    first = int(WARM_UP_TIMES * seconds * WARM_UP_RATE) // 2
    signer.prepare(sum(counts) + first)
    await world.fresh()
    results = []
    with world.running([ENGINE]):
        await world.shared_out(1)
        warm = signer.workload(range(first), issue=False)
        await _at_rate(world, warm.created, warm.paid, WARM_UP_RATE)
        for rate, count in zip(rates, counts, strict=True):
            workload = signer.workload(range(first, first + count), issue=False)
            first += count
            try:
                stamps = await _at_rate(world, workload.created, workload.paid, rate)
            except TimeoutError:
                print(f"{rate:,} events/s is more than this machine keeps up with now")
                break
            results.append(_summary(world, rate, stamps))
    return results


async def _at_rate(world: World, created: list[Given], paid: list[Given], rate: int) -> Stamps:
    stamps = Stamps()
    producer = idempotent_producer(KafkaAccess(world.kafka.bootstrap))
    await producer.start()
    try:
        async with reading(world.kafka.bootstrap) as reader:
            reader.assign(partitions([Topic.STATE_EVENTS], world.lanes))
            await reader.seek_to_end()
            for at in reader.assignment():
                await reader.position(at)
            listening = asyncio.create_task(_listen(reader, stamps, len(created) + len(paid)))
            await _produce(producer, stamps, created, paid, rate)
            async with asyncio.timeout(DRAIN_S):
                await listening
    finally:
        await producer.stop()
    return stamps


async def _produce(
    producer: AIOKafkaProducer, stamps: Stamps, created: list[Given], paid: list[Given], rate: int
) -> None:
    """Every tick, what is due by then; half of the rate are creations, half callbacks."""
    per_s, began = rate / 2, time.perf_counter()
    created_up_to = paid_up_to = 0
    while paid_up_to < len(paid):
        elapsed = time.perf_counter() - began
        new, old = int(elapsed * per_s), int(max(elapsed - PAID_AFTER_S, 0) * per_s)
        due = [(given, CREATED) for given in created[created_up_to:new]]
        due += [(given, PAID) for given in paid[paid_up_to:old]]
        created_up_to, paid_up_to = max(new, created_up_to), max(old, paid_up_to)
        now = time.perf_counter()
        for given, version in due:
            stamps.sent_at[given.key.decode(), version] = now
        place = attrgetter("topic", "partition")
        for (topic, partition), group in groupby(sorted((given for given, _ in due), key=place), key=place):
            await send_all(producer, topic, partition, list(group))
        await asyncio.sleep(max(0.0, began + elapsed + TICK_S - time.perf_counter()))


async def _listen(reader: AIOKafkaConsumer, stamps: Stamps, expected: int) -> None:
    while len(stamps.took) < expected:
        fetched = await reader.getmany(timeout_ms=100)
        now = time.perf_counter()
        for records in fetched.values():
            for record in records:
                event = orjson.loads(record.value)
                sent_at = stamps.sent_at.pop((event["order_id"], event["version"]))
                stamps.took.append((sent_at, now - sent_at))


def _summary(world: World, rate: int, stamps: Stamps) -> Latency:
    first = min(sent_at for sent_at, _ in stamps.took) + SETTLE_S
    ordered = sorted(took * 1000 for sent_at, took in stamps.took if sent_at >= first)
    return Latency(
        world.lanes,
        rate,
        len(ordered),
        ordered[len(ordered) // 2],
        ordered[len(ordered) * 99 // 100],
        ordered[-1],
    )
