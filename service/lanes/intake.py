"""One consumer a process, manual assignment, bounded queues: records flow to the lanes that are owned here.

Positions come from the lane rows. A lane whose queue is full has its partitions paused; nothing is dropped.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata

from schemas.vocabulary import INPUT_TOPICS
from service.kafka.clients import PRODUCE_TIMEOUT_S, UNAVAILABLE, abandon, consumer, started, within
from service.store.lanes import Fingerprint, LaneRow

log = structlog.get_logger()

# A lane's queue is filled to the first and refilled below the second: memory is bounded, the lane never idles.
QUEUE_HIGH = 4_000
QUEUE_LOW = 1_000
FETCH_MAX_RECORDS = 4_000
# aiokafka can stop fetching after a broker's restart without a sign (aiokafka #1154): no advance for this
# long although there is something to read, and the client is thrown away.
STUCK_AFTER_S = 8.0
# A client that has lost its broker says nothing and returns nothing: after so long without records it is asked
# where the topics end, which a broker that is there answers at once.
LOOK_EVERY_S = 2.0
LOOK_TIMEOUT_S = 2.0
# A broker that is slow for a moment is no reason for a new client; one that is silent so often is.
MAX_SILENT_LOOKS = 3
ADVISORY_COMMIT_EVERY_S = 2.0
RETRY_S = 0.5


def _time() -> float:
    """The event loop's time: the simulator's in a simulation."""
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class LaneQueue:
    """What has been read for a lane and not been taken by it yet. `positions` follows INPUT_TOPICS."""

    lane: int
    positions: list[int]
    on_lost_position: Callable[[str], None]
    records: deque[ConsumerRecord] = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    committed: list[int] | None = None

    def take(self, limit: int) -> list[ConsumerRecord]:
        """Up to `limit` records, in the order in which each partition has them."""
        records = self.records
        taken = [records.popleft() for _ in range(min(limit, len(records)))]
        if not records:
            self.ready.clear()
        return taken


class Intake:
    """Feeds the queues of the lanes that this process owns."""

    def __init__(self, bootstrap: str, group_id: str) -> None:
        self._bootstrap = bootstrap
        self._group_id = group_id
        self._queues: dict[int, LaneQueue] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._changed = asyncio.Event()
        self._paused: set[TopicPartition] = set()
        # When each partition last advanced, and at which position it was then found to be behind.
        self._advanced_at: dict[TopicPartition, float] = {}
        self._behind_at: dict[TopicPartition, int] = {}
        self._silent_looks = 0
        self._advising: asyncio.Task[None] | None = None

    def open(self, lane: int, positions: list[int], on_lost_position: Callable[[str], None]) -> LaneQueue:
        """Begins to read a lane at these offsets."""
        queue = LaneQueue(lane, list(positions), on_lost_position)
        self._queues[lane] = queue
        self._changed.set()
        return queue

    def close(self, queue: LaneQueue) -> None:
        """Stops reading a lane, unless it has been opened anew since."""
        if self._queues.get(queue.lane) is queue:
            del self._queues[queue.lane]
            self._changed.set()

    async def run(self) -> None:
        """Reads until cancelled; a broker that is gone is waited for."""
        while True:
            try:
                await self._read()
            except UNAVAILABLE as error:
                log.warning("kafka_unavailable", doing="reading input topics", error=repr(error))
            finally:
                if self._advising is not None:
                    self._advising.cancel()
                gone, self._consumer = self._consumer, None
                await abandon(gone)
            await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        reader = self._consumer = consumer(self._bootstrap, self._group_id)
        await within(reader.start(), PRODUCE_TIMEOUT_S)
        self._assign(reader)
        self._silent_looks = 0
        looked_at = committed_at = _time()
        while True:
            if self._changed.is_set():
                self._assign(reader)
            if not self._queues:
                await self._changed.wait()
                continue
            try:
                fetched = await reader.getmany(timeout_ms=100, max_records=FETCH_MAX_RECORDS)
            except OffsetOutOfRangeError as error:
                self._lose_positions(error)
                continue
            if not self._changed.is_set():
                self._distribute(fetched)
            self._pause_and_resume(reader)
            now = _time()
            if now - committed_at > ADVISORY_COMMIT_EVERY_S:
                committed_at = now
                self._advise(reader)
            if now - looked_at > LOOK_EVERY_S:
                looked_at = now
                await self._look_for_stuck(reader)

    def _assign(self, reader: AIOKafkaConsumer) -> None:
        # No await between assign and seek: a partition without a position would look for one by itself.
        self._changed.clear()
        self._paused.clear()
        positions = {
            TopicPartition(topic, queue.lane): queue.positions[index]
            for queue in self._queues.values()
            for index, topic in enumerate(INPUT_TOPICS)
        }
        reader.assign(list(positions))
        for partition, position in positions.items():
            reader.seek(partition, position)
        self._advanced_at = dict.fromkeys(positions, _time())
        self._behind_at.clear()

    def _distribute(self, fetched: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        for partition, records in fetched.items():
            queue = self._queues.get(partition.partition)
            if queue is None or not records:
                continue
            queue.records.extend(records)
            queue.positions[INPUT_TOPICS.index(partition.topic)] = records[-1].offset + 1
            queue.ready.set()
            self._advanced_at[partition] = _time()

    def _pause_and_resume(self, reader: AIOKafkaConsumer) -> None:
        for queue in self._queues.values():
            partitions = [TopicPartition(topic, queue.lane) for topic in INPUT_TOPICS]
            paused = partitions[0] in self._paused
            if not paused and len(queue.records) >= QUEUE_HIGH:
                reader.pause(*partitions)
                self._paused.update(partitions)
            elif paused and len(queue.records) <= QUEUE_LOW:
                reader.resume(*partitions)
                self._paused.difference_update(partitions)
                self._advanced_at.update(dict.fromkeys(partitions, _time()))

    def _lose_positions(self, error: OffsetOutOfRangeError) -> None:
        for partition, offset in error.args[0].items():
            queue = self._queues.pop(partition.partition, None)
            if queue is not None:
                queue.on_lost_position(f"{partition.topic} has no offset {offset} any more")
        self._changed.set()

    def _advise(self, reader: AIOKafkaConsumer) -> None:
        """Tells Kafka how far we are, for lag tools only: never read back, and nothing waits for it."""
        offsets = {
            TopicPartition(topic, queue.lane): OffsetAndMetadata(queue.committed[index], "")
            for queue in self._queues.values()
            if queue.committed is not None
            for index, topic in enumerate(INPUT_TOPICS)
        }
        if offsets and (self._advising is None or self._advising.done()):
            self._advising = asyncio.create_task(_commit_advisory(reader, offsets))

    async def _look_for_stuck(self, reader: AIOKafkaConsumer) -> None:
        """Raises when the broker does not answer, or a partition that has something to read does not move."""
        now = _time()
        quiet = [
            partition
            for partition in reader.assignment()
            if partition not in self._paused and now - self._advanced_at.get(partition, now) >= LOOK_EVERY_S
        ]
        if not quiet:
            return
        try:
            ends = await within(reader.end_offsets(quiet), LOOK_TIMEOUT_S)
        except UNAVAILABLE as error:
            self._silent_looks += 1
            if self._silent_looks >= MAX_SILENT_LOOKS:
                raise
            log.warning("kafka_unavailable", doing="reading input topics", error=repr(error))
            return
        self._silent_looks = 0
        for partition, end in ends.items():
            if partition not in reader.assignment():
                continue
            # The client's own position: it passes over transaction markers, which are no records.
            position = await within(reader.position(partition), LOOK_TIMEOUT_S)
            if position >= end:
                self._behind_at.pop(partition, None)
                self._advanced_at[partition] = now
            elif self._behind_at.get(partition) != position:
                # A record may have come this very moment: it has until a later look to be fetched.
                self._behind_at[partition] = position
            elif now - self._advanced_at[partition] >= STUCK_AFTER_S:
                raise TimeoutError(f"{partition.topic}[{partition.partition}] has not moved for {STUCK_AFTER_S} s")


async def _commit_advisory(reader: AIOKafkaConsumer, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
    try:
        await within(reader.commit(offsets), PRODUCE_TIMEOUT_S)
    except UNAVAILABLE as error:
        log.debug("advisory_commit_failed", error=repr(error))


async def check_topics(bootstrap: str, row: LaneRow) -> tuple[list[int], str | None]:
    """Where to begin to read a lane, and a reason to halt it, when its topics are not those it knew.

    The offsets are the beginnings for a lane that was never owned, else those of its row.
    """
    async with started(consumer(bootstrap)) as reader:
        partitions = [TopicPartition(topic, row.lane) for topic in INPUT_TOPICS]
        begins = await within(reader.beginning_offsets(partitions), PRODUCE_TIMEOUT_S)
        if row.next_offsets is None:
            return [begins[partition] for partition in partitions], None
        ends = await within(reader.end_offsets(partitions), PRODUCE_TIMEOUT_S)
        for partition, position in zip(partitions, row.next_offsets, strict=True):
            why_not = _out_of_reach(partition, position, begins[partition], ends[partition])
            known = row.fingerprints.get(partition.topic)
            if why_not is None and known is not None and known.offset >= begins[partition]:
                why_not = await _is_another(reader, partition, known)
            if why_not is not None:
                return row.next_offsets, why_not
        return row.next_offsets, None


def _out_of_reach(partition: TopicPartition, position: int, begin: int, end: int) -> str | None:
    where = f"{partition.topic}[{partition.partition}]"
    if position > end:
        return (
            f"{where} ends at offset {end}, and the lane has read up to {position}:"
            " the topic was recreated or has lost records"
        )
    if position < begin:
        return (
            f"{where} begins at offset {begin}, and the lane has read up to {position} only:"
            " records were deleted before they were read"
        )
    return None


async def _is_another(reader: AIOKafkaConsumer, partition: TopicPartition, known: Fingerprint) -> str | None:
    if await _fingerprint_at(reader, partition, known.offset) == known:
        return None
    return (
        f"the record at offset {known.offset} of {partition.topic}[{partition.partition}] is not the one that"
        " the lane has read: the topic was recreated"
    )


async def _fingerprint_at(reader: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> Fingerprint | None:
    reader.assign([partition])
    reader.seek(partition, offset)
    async with asyncio.timeout(PRODUCE_TIMEOUT_S):
        while await reader.position(partition) <= offset:
            for record in (await reader.getmany(partition, timeout_ms=100, max_records=1)).get(partition, []):
                return fingerprint(record) if record.offset == offset else None
    return None


def fingerprint(record: ConsumerRecord) -> Fingerprint:
    """What is kept of the last record of a topic.

    The CRC is of key and value, computed here: the client does not show the batch's own.
    """
    crc = zlib.crc32(record.value or b"", zlib.crc32(record.key or b""))
    return Fingerprint(record.offset, record.timestamp, crc)
