"""Whether consumers have seen what is committed: the topic, read_committed, against the journal, lane by lane."""

import asyncio
from dataclasses import dataclass, field

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.vocabulary import Topic
from service.kafka.access import KafkaAccess
from service.kafka.clients import PRODUCE_TIMEOUT_S, UNAVAILABLE, consumer, started, within
from service.troubles import reason
from service.verify.check import Check
from service.verify.stored import SHOWN

NAME = "consumers_see_every_entry_once"
POLL_MS = 200


@dataclass(slots=True)
class _Lane:
    """What one partition has shown. `events` are the ids by `lane_seq`, up to the snapshot's last."""

    last_seq: int
    published_low: int
    seen_to: int | None = None
    events: dict[int, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def is_read(self) -> bool:
        return (self.seen_to or 0) >= self.last_seq

    def see(self, lane: int, value: bytes) -> None:
        """One record. The first may have any number (retention), each other one the next."""
        event = orjson.loads(value)
        seq = event["lane_seq"]
        if self.seen_to is not None and seq != self.seen_to + 1:
            self.broken.append(f"lane {lane}: {seq} comes after {self.seen_to}")
        self.seen_to = seq
        if seq <= self.last_seq:
            self.events[seq] = event["event_id"]


async def check(connection: asyncpg.Connection, access: KafkaAccess, wait_s: float) -> tuple[int, Check]:
    """How many state events are published of the snapshot's, and whether they are those of the journal."""
    rows = await connection.fetch("select lane, lane_seq, published_seq from lanes order by lane")
    lanes = {row["lane"]: _Lane(row["lane_seq"], row["published_seq"]) for row in rows}
    try:
        await _read(access, lanes, wait_s)
    except UNAVAILABLE as error:
        return 0, Check(NAME, ok=False, detail=f"Kafka cannot be read: {reason(error)}")
    broken = [text for lane in lanes.values() for text in lane.broken]
    for number, lane in lanes.items():
        if not lane.is_read:
            broken.append(f"lane {number} is published up to {lane.seen_to or 0} of {lane.last_seq}")
        broken += await _differences(connection, number, lane)
    count = sum(len(lane.events) for lane in lanes.values())
    if broken:
        return count, Check(NAME, ok=False, detail="; ".join(broken[:SHOWN]))
    return count, Check(
        NAME, ok=True, detail=f"{count} state events, each once and in order, as the journal has them"
    )


async def _read(access: KafkaAccess, lanes: dict[int, _Lane], wait_s: float) -> None:
    """Reads every partition from its beginning until the snapshot is reached, or until nothing more comes."""
    async with started(consumer(access)) as reader:
        partitions = [TopicPartition(Topic.STATE_EVENTS, lane) for lane in lanes]
        reader.assign(partitions)
        for partition, begin in (await within(reader.beginning_offsets(partitions), PRODUCE_TIMEOUT_S)).items():
            reader.seek(partition, begin)
        loop = asyncio.get_running_loop()
        last_news = loop.time()
        while not await _is_done(reader, lanes) and loop.time() - last_news < wait_s:
            for partition, records in (await reader.getmany(timeout_ms=POLL_MS)).items():
                last_news = loop.time()
                for record in records:
                    lanes[partition.partition].see(partition.partition, record.value)


async def _is_done(reader: AIOKafkaConsumer, lanes: dict[int, _Lane]) -> bool:
    if not all(lane.is_read for lane in lanes.values()):
        return False
    # What was published twice would come after what was wanted: read to the end, as it now is.
    partitions = list(reader.assignment())
    ends = await within(reader.end_offsets(partitions), PRODUCE_TIMEOUT_S)
    for partition in partitions:
        if await within(reader.position(partition), PRODUCE_TIMEOUT_S) < ends[partition]:
            return False
    return True


async def _differences(connection: asyncpg.Connection, number: int, lane: _Lane) -> list[str]:
    differing: list[str] = []
    query = "select lane_seq, event->>'event_id' as event_id from journal where lane = $1 order by lane_seq"
    begin = min(lane.events, default=lane.published_low + 1)
    async for row in connection.cursor(query, number, prefetch=5_000):
        seq, event_id = row["lane_seq"], row["event_id"]
        published = lane.events.get(seq)
        if published is not None and published != event_id:
            differing.append(f"lane {number}: {seq} is published as {published}, and the journal has {event_id}")
        elif published is None and begin <= seq <= (lane.seen_to or 0):
            differing.append(f"lane {number}: {seq} is not published")
    return differing
