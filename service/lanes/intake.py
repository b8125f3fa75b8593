"""One consumer a process, manual assignment, bounded queues: records flow to the lanes that are owned here.

Positions come from the lane rows. A lane whose queue is full has its partitions paused; nothing is dropped.

A lane takes the records of its topics in the order of their timestamps, as far as they have been read. That
is only a courtesy, any order is right; but after an outage callbacks would else overtake the creations of
their orders by thousands, and each would be parked and replayed. So a fetch brings little of each partition
and something of all of them.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata

from schemas.vocabulary import INPUT_TOPICS
from service.kafka.broker import Broker
from service.kafka.clients import PRODUCE_TIMEOUT_S, UNAVAILABLE, abandon, start, within
from service.kafka.topics import wrong_count
from service.lanes.errors import LaneHaltedError
from service.lanes.lane_queue import LaneQueue
from service.lanes.unreadable import UNDECODABLE, read_singly
from service.store.lanes import LaneMovedError

log = structlog.get_logger()

# A lane's queue is filled to the first and refilled below the second: memory is bounded, the lane never idles.
QUEUE_HIGH = 4_000
QUEUE_LOW = 1_000
# Of one partition in one answer of the broker (a larger record comes alone, KIP-74), and of all together: a
# few thousand records, which are parsed without a pause.
PARTITION_FETCH_BYTES = 262_144
FETCH_BYTES = 8_388_608
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


class Intake:
    """Feeds the queues of the lanes that this process owns."""

    def __init__(self, broker: Broker, group_id: str, lanes: int) -> None:
        self._broker = broker
        self._group_id = group_id
        self._lanes = lanes
        self._queues: dict[int, LaneQueue] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._changed = asyncio.Event()
        self._paused: set[TopicPartition] = set()
        # When each partition last advanced, and at which position it was then found to be behind.
        self._advanced_at: dict[TopicPartition, float] = {}
        self._behind_at: dict[TopicPartition, int] = {}
        self._silent_looks = 0
        self._advising: asyncio.Task[None] | None = None

    def open(self, lane: int, positions: list[int], on_lost: Callable[[Exception], None]) -> LaneQueue:
        """Begins to read a lane at these offsets."""
        queue = LaneQueue(lane, list(positions), on_lost)
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
        reader = self._consumer = self._broker.consumer(
            self._group_id, partition_bytes=PARTITION_FETCH_BYTES, fetch_bytes=FETCH_BYTES
        )
        await start(reader)
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
                fetched = await reader.getmany(timeout_ms=100)
            except OffsetOutOfRangeError as error:
                self._lose_positions(error)
                continue
            except UNDECODABLE as error:
                await self._read_singly(reader, error)
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
                self._look_at_shape(reader)
                await self._look_for_stuck(reader)

    async def _read_singly(self, reader: AIOKafkaConsumer, error: Exception) -> None:
        """Halts the lane that cannot be read, once it has done what stands before; the others go on.

        Raises the error when it was about none of them.
        """
        log.warning("kafka_unreadable", error=repr(error))
        self._assign(reader)
        told = False
        for partition in reader.assignment():
            queue = self._queues.get(partition.partition)
            if queue is None:
                continue
            if queue.waiting() >= QUEUE_HIGH:
                # Nobody pauses it here, and this may go on for as long as the lane waits for a database.
                told = True
                continue
            found = await read_singly(reader, partition)
            self._distribute({partition: found.records})
            told = told or bool(found.records or found.why_not)
            if found.why_not and queue.is_through(INPUT_TOPICS.index(partition.topic)):
                self._lose(queue.lane, LaneHaltedError(found.why_not))
        if not told:
            raise error
        self._changed.set()
        await asyncio.sleep(RETRY_S)

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
            index = INPUT_TOPICS.index(partition.topic)
            queue.records[index].extend(records)
            queue.positions[index] = records[-1].offset + 1
            queue.ready.set()
            self._advanced_at[partition] = _time()

    def _pause_and_resume(self, reader: AIOKafkaConsumer) -> None:
        for queue in self._queues.values():
            partitions = [TopicPartition(topic, queue.lane) for topic in INPUT_TOPICS]
            paused = partitions[0] in self._paused
            if not paused and queue.waiting() >= QUEUE_HIGH:
                reader.pause(*partitions)
                self._paused.update(partitions)
            elif paused and queue.waiting() <= QUEUE_LOW:
                reader.resume(*partitions)
                self._paused.difference_update(partitions)
                self._advanced_at.update(dict.fromkeys(partitions, _time()))

    def _lose_positions(self, error: OffsetOutOfRangeError) -> None:
        for partition, offset in error.args[0].items():
            self._lose(partition.partition, LaneMovedError(f"{partition.topic} has no offset {offset} any more"))

    def _lose(self, lane: int, why: Exception) -> None:
        queue = self._queues.pop(lane, None)
        if queue is not None:
            queue.on_lost(why)
        self._changed.set()

    def _look_at_shape(self, reader: AIOKafkaConsumer) -> None:
        """Halts everything here when a topic has got more partitions: nobody reads what goes there."""
        for topic in INPUT_TOPICS:
            # The client asks for it every `metadata_max_age_ms`. Nothing is known of one that is being made anew.
            known = reader.partitions_for_topic(topic)
            if known and len(known) > self._lanes:
                why = wrong_count(topic, len(known), self._lanes)
                for lane in list(self._queues):
                    self._lose(lane, LaneHaltedError(why, "rebase"))
                return

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
    except (*UNAVAILABLE, AssertionError) as error:
        # Asserted by aiokafka: see `clients.start`.
        log.debug("advisory_commit_failed", error=repr(error))
