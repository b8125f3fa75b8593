"""Whether consumers have seen what is committed: the topic, read_committed, against the journal, lane by lane.

A topic is as long as its retention, so nothing of it is kept: what is fetched is compared, and forgotten.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.vocabulary import Topic
from service.kafka.access import KafkaAccess
from service.kafka.clients import MAX_BATCH_BYTES, PRODUCE_TIMEOUT_S, UNAVAILABLE, consumer, started, within
from service.store.connection import Database
from service.troubles import reason
from service.verify.check import Check
from service.verify.stored import SHOWN

NAME = "consumers_see_every_entry_once"
POLL_MS = 200
# Records that are compared at once. A partition has up to a megabyte of them waiting, or one that is larger.
MOST_AT_ONCE = 1_000

_ENTRIES = """
    select lane_seq, event->>'event_id' as event_id from journal
    where lane = $1 and lane_seq between $2 and $3 order by lane_seq
"""


class _UnreadableError(Exception):
    """Kafka cannot be read; the message says why. Not that of Postgres, which is asked in between."""


@dataclass(slots=True)
class _Lane:
    """What one partition has shown of what the snapshot has: `count` events, up to `seen_to`.

    `published_low` is how far the lane's own row knows to be published. It counts where retention has emptied the
    partition, as it does for a relay; where anything is left, that is the end of what was published.
    """

    number: int
    last_seq: int
    published_low: int
    seen_to: int = 0
    count: int = 0
    broken: list[str] = field(default_factory=list)
    _newest: int | None = None

    @property
    def published_to(self) -> int:
        return self.seen_to or self.published_low

    @property
    def is_read(self) -> bool:
        return self.published_to >= self.last_seq

    async def see(self, connection: asyncpg.Connection, values: Sequence[bytes]) -> None:
        """The records that come next. The first ever may have any number (retention), each other one the next."""
        events = [(event["lane_seq"], event.get("event_id")) for event in map(orjson.loads, values)]
        first = events[0][0]
        # What is not in order may lie elsewhere, and is told of for that.
        last = min(first + len(events) - 1, self.last_seq)
        rows = await connection.fetch(_ENTRIES, self.number, first, last)
        entries = {row["lane_seq"]: row["event_id"] for row in rows}
        for seq, event_id in events:
            if self._newest is not None and seq != self._newest + 1:
                self._tell(f"lane {self.number}: {seq} comes after {self._newest}")
            if entries.get(seq, event_id) != event_id:
                self._tell(
                    f"lane {self.number}: {seq} is published as {event_id}, and the journal has {entries[seq]}"
                )
            if self.seen_to < seq <= self.last_seq:
                self.count += 1
            self._newest = seq
            self.seen_to = max(self.seen_to, seq)

    def _tell(self, text: str) -> None:
        if len(self.broken) < SHOWN:
            self.broken.append(text)


async def check(
    database: Database, connection: asyncpg.Connection, access: KafkaAccess, wait_s: float
) -> tuple[int, Check]:
    """How many state events are published of the snapshot's, and whether they are those of the journal.

    `connection` has the snapshot, and `database` what has been committed since.
    """
    rows = await connection.fetch("select lane, lane_seq, published_seq from lanes order by lane")
    lanes = {row["lane"]: _Lane(*row) for row in rows}
    try:
        async with aclosing(_batches(access, lanes, wait_s)) as batches:
            async for number, values in batches:
                await lanes[number].see(connection, values)
    except _UnreadableError as error:
        return 0, Check(NAME, ok=False, detail=f"Kafka cannot be read: {error}", answered=False)
    broken = await _beyond(database, lanes, wait_s)
    broken += [text for lane in lanes.values() for text in lane.broken]
    broken += [
        f"lane {lane.number} is published up to {lane.published_to} of {lane.last_seq}"
        for lane in lanes.values()
        if not lane.is_read
    ]
    count = sum(lane.count for lane in lanes.values())
    if broken:
        return count, Check(NAME, ok=False, detail="; ".join(broken[:SHOWN]))
    return count, Check(
        NAME, ok=True, detail=f"{count} state events, each once and in order, as the journal has them"
    )


async def _beyond(database: Database, lanes: dict[int, _Lane], wait_s: float) -> list[str]:
    """Lanes of which more is published than is committed even now; the topic is rightly ahead of the snapshot.

    A replica may be behind, and has as long to follow as the topic has.
    """
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    while True:
        async with database.acquire() as connection:
            rows = await connection.fetch("select lane, lane_seq from lanes order by lane")
        beyond = [
            f"lane {lane}: consumers have been told up to {lanes[lane].seen_to}, and the database knows only up to"
            f" {lane_seq}: Postgres went back in time, or is a replica that is behind"
            for lane, lane_seq in rows
            if lanes[lane].seen_to > lane_seq
        ]
        if not beyond or loop.time() - began_at >= wait_s:
            return beyond
        await asyncio.sleep(POLL_MS / 1000)


async def _batches(
    access: KafkaAccess, lanes: dict[int, _Lane], wait_s: float
) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """Reads every partition from its beginning until the snapshot is reached, or until nothing more comes.

    Raises _UnreadableError.
    """
    try:
        async with started(consumer(access, partition_bytes=MAX_BATCH_BYTES)) as reader:
            partitions = [TopicPartition(Topic.STATE_EVENTS, lane) for lane in lanes]
            reader.assign(partitions)
            begins = await within(reader.beginning_offsets(partitions), PRODUCE_TIMEOUT_S)
            for partition, begin in begins.items():
                reader.seek(partition, begin)
            loop = asyncio.get_running_loop()
            last_news = loop.time()
            while not await _is_done(reader, lanes) and loop.time() - last_news < wait_s:
                fetched = await reader.getmany(timeout_ms=POLL_MS, max_records=MOST_AT_ONCE)
                for partition, records in fetched.items():
                    yield partition.partition, [record.value for record in records]
                    last_news = loop.time()
    except UNAVAILABLE as error:
        raise _UnreadableError(reason(error)) from error


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
