"""Clients of the simulated broker: as much of aiokafka's as the service uses, with its habits.

A consumer that has lost its broker returns nothing and says nothing. A producer tries again by itself, under the
same sequence numbers, so that a produce whose answer was lost is written once; at last it gives up.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalOperation, IllegalStateError, KafkaTimeoutError, ProducerClosed

from schemas.vocabulary import Topic
from service.kafka.clients import IsolationLevel
from tests.simulation.broker import Broker, Message

# A fetch waits longer here than it is told to: nobody looks at the clock, and an idle hour is soon over.
STRETCH = 20
RETRY_S = 0.02
# A batch takes so much: little, so that batches are cut.
BATCH_BYTES = 6_000


class Client:
    """What is started goes on until it is stopped, also when nobody wants it any more."""

    is_open = False

    async def stop(self) -> None:
        self.is_open = False
        await asyncio.sleep(0)


class SimulatedBroker:
    """The port, for one process. `clients` are all that it has handed out."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.clients: list[Client] = []

    def __str__(self) -> str:
        return "simulated"

    def consumer(
        self, _group_id: str | None = None, *, isolation_level: IsolationLevel = "read_committed", **_limits: int
    ) -> Any:
        return self._noted(Consumer(self._broker, committed=isolation_level == "read_committed"))

    def idempotent_producer(self) -> Any:
        return self._noted(Producer(self._broker))

    def transactional_producer(self, transactional_id: str) -> Any:
        return self._noted(TransactionalProducer(self._broker, transactional_id))

    def _noted(self, client: Client) -> Client:
        self.clients.append(client)
        return client

    async def partition_counts(self) -> dict[str, int]:
        await self._broker.ask(lambda: None, "metadata")
        return {str(topic): self._broker.lanes for topic in Topic}


class Consumer(Client):
    """AIOKafkaConsumer with manual assignment."""

    def __init__(self, broker: Broker, *, committed: bool) -> None:
        self._broker = broker
        self._committed = committed
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()

    async def start(self) -> None:
        self.is_open = True
        await self._broker.ask(lambda: None, "metadata")

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._positions = dict.fromkeys(partitions, 0)
        self._paused.clear()

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self._positions:
            raise IllegalStateError(f"No current assignment for partition {partition}")
        self._positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    def pause(self, *partitions: TopicPartition) -> None:
        self._paused.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self._paused.difference_update(partitions)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {partition.partition for partition in self._positions if partition.topic == topic}

    async def commit(self, _offsets: Any) -> None:
        await self._broker.ask(lambda: None, "metadata")

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._broker.ask(lambda: dict.fromkeys(partitions, 0), "metadata")

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._broker.ask(lambda: {each: self._end(each) for each in partitions}, "metadata")

    def _end(self, partition: TopicPartition) -> int:
        log = self._broker.logs[partition]
        return log.stable if self._committed else len(log.entries)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        wanted = partitions or tuple(self._positions)
        found = self._fetch(wanted, max_records or 500)
        if not found:
            await self._broker.news(timeout_ms / 1000 * STRETCH)
            await asyncio.sleep(0)
            found = self._fetch(wanted, max_records or 500)
        return found

    def _fetch(self, wanted: Sequence[TopicPartition], limit: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        troubles = self._broker.troubles
        found: dict[TopicPartition, list[ConsumerRecord]] = {}
        if self._broker.is_down or troubles.is_over:
            return found
        for partition in wanted:
            position = self._positions.get(partition)
            if position is None or partition in self._paused:
                continue
            end = self._end(partition)
            if position >= end or troubles.faults.happens("fetch_late"):
                continue
            # A few at a time, as they come over the network.
            some = min(limit, 1 + int(troubles.faults.between("fetch size", 0, 6)))
            records, self._positions[partition] = self._broker.logs[partition].read(
                position, end, some, committed=self._committed
            )
            if records:
                found[partition] = records
        return found


class Producer(Client):
    """AIOKafkaProducer, idempotent."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def start(self) -> None:
        self.is_open = True
        await self._broker.ask(lambda: None, "metadata")

    async def send_and_wait(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int = 0,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Any:
        messages = [(key, value, headers)]
        offset = await self._broker.ask(lambda: self._broker.append(str(topic), partition, messages), "forward")
        return self._broker.logs[str(topic), partition].entries[offset].record


class Batch:
    """What `create_batch` makes."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._size = 60

    def append(
        self,
        *,
        key: bytes | None,
        value: bytes | None,
        timestamp: int | None,  # noqa: ARG002 - the broker's clock stamps it
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> object | None:
        size = len(key or b"") + len(value or b"")
        if self.messages and self._size + size > BATCH_BYTES:
            return None
        self._size += size
        self.messages.append((key, value, headers))
        return self

    def size(self) -> int:
        return self._size


@dataclass(frozen=True, slots=True)
class Connection:
    """As aiokafka's: closed when the broker goes away, and never open again."""

    broker: Broker
    life: int

    def connected(self) -> bool:
        return self.life == self.broker.life


class TransactionalProducer(Client):
    """AIOKafkaProducer with a transactional id."""

    def __init__(self, broker: Broker, transactional_id: str) -> None:
        self._broker = broker
        self._id = transactional_id
        self._epoch = 0
        self._is_in_transaction = False
        # One after another: sequence numbers allow nothing else.
        self._sending = asyncio.Lock()
        self._sent: list[asyncio.Future[int]] = []
        # As aiokafka's producer has it: what knows the partitions of the transaction.
        self._txn_manager = self
        # As its client has it: the connection by which it notices that the broker has been away.
        self.client = self
        self._conns = {0: Connection(broker, broker.life)}
        self._added: list[TopicPartition] = []

    def maybe_add_partition_to_txn(self, partition: TopicPartition) -> None:
        self._added.append(partition)

    async def start(self) -> None:
        self.is_open = True
        while True:
            epoch = await self._broker.ask(lambda: self._broker.initialize(self._id), "metadata")
            if epoch is not None:
                self._epoch = epoch
                return
            await asyncio.sleep(RETRY_S)

    async def begin_transaction(self) -> None:
        if self._is_in_transaction:
            raise IllegalOperation("Already in transaction")
        self._is_in_transaction = True
        self._sent = []

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[int]:
        if not self.is_open:
            raise ProducerClosed
        if not self._is_in_transaction:
            raise IllegalOperation("Can't send messages outside transaction")
        sent = asyncio.ensure_future(self._produce(str(topic), partition, batch.messages))
        # Looked at, as aiokafka does: a failed produce complains to whoever awaits it, and to nobody else.
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._sent.append(sent)
        return sent

    async def _produce(self, topic: str, partition: int, messages: Sequence[Message]) -> int:
        async with self._sending:
            # Kafka answers the first produce after a commit with a retriable error until its markers are there.
            while await self._broker.ask(lambda: self._broker.is_closing(self._id, self._epoch), "metadata"):
                await asyncio.sleep(RETRY_S)
            return await self._broker.ask(
                lambda: self._broker.produce(self._id, self._epoch, topic, partition, messages), "produce"
            )

    async def commit_transaction(self) -> None:
        if not self._is_in_transaction:
            raise IllegalOperation("Not in the middle of a transaction")
        if self._sent:
            # It flushes, and does not look at what came of it.
            await asyncio.wait(self._sent)
        if self._added:
            while await self._broker.ask(lambda: self._broker.is_closing(self._id, self._epoch), "metadata"):
                await asyncio.sleep(RETRY_S)
            # All in one request, as aiokafka's sender does.
            added, self._added = self._added, []
            await self._broker.ask(lambda: self._broker.add(self._id, self._epoch, added), "metadata")
        try:
            await self._broker.ask(lambda: self._broker.commit(self._id, self._epoch), "publish")
        except TimeoutError:
            raise KafkaTimeoutError from None
        self._is_in_transaction = False
