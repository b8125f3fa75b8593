"""The port to Kafka: where the clients of lanes, relays and forwarders come from. Only `wiring` chooses.

A simulation has a broker of its own; whatever it hands out offers what is used of aiokafka's clients.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.kafka import clients
from service.kafka.access import KafkaAccess
from service.kafka.clients import (
    FETCH_MAX_WAIT_MS,
    MAX_FETCH_BYTES,
    MAX_MESSAGE_BYTES,
    PRODUCE_TIMEOUT_S,
    IsolationLevel,
    started,
)
from service.kafka.topics import partition_counts


class Broker(Protocol):
    """Makes clients, which are not started yet; what they stand for is said in `clients`."""

    def consumer(
        self,
        group_id: str | None = None,
        *,
        isolation_level: IsolationLevel = "read_committed",
        partition_bytes: int = MAX_MESSAGE_BYTES,
        fetch_bytes: int = MAX_FETCH_BYTES,
    ) -> AIOKafkaConsumer:
        """A consumer with manual assignment."""
        ...

    def idempotent_producer(self) -> AIOKafkaProducer:
        """A producer whose sends arrive once each and in order."""
        ...

    def transactional_producer(self, transactional_id: str) -> AIOKafkaProducer:
        """A producer of transactions; starting it fences every earlier one of the same id."""
        ...

    async def partition_counts(self) -> dict[str, int]:
        """How many partitions each of our topics has; a missing one is left out."""
        ...


@dataclass(frozen=True, slots=True)
class Kafka:
    """The brokers that are reached so."""

    access: KafkaAccess

    def __str__(self) -> str:
        return str(self.access)

    def consumer(
        self,
        group_id: str | None = None,
        *,
        isolation_level: IsolationLevel = "read_committed",
        partition_bytes: int = MAX_MESSAGE_BYTES,
        fetch_bytes: int = MAX_FETCH_BYTES,
    ) -> AIOKafkaConsumer:
        """See `clients.consumer`."""
        return clients.consumer(
            self.access,
            group_id,
            isolation_level=isolation_level,
            partition_bytes=partition_bytes,
            fetch_bytes=fetch_bytes,
        )

    def idempotent_producer(self) -> AIOKafkaProducer:
        """See `clients.idempotent_producer`."""
        return clients.idempotent_producer(self.access)

    def transactional_producer(self, transactional_id: str) -> AIOKafkaProducer:
        """See `clients.transactional_producer`."""
        return clients.transactional_producer(self.access, transactional_id)

    async def partition_counts(self) -> dict[str, int]:
        """See `topics.partition_counts`."""
        return await partition_counts(self.access)


async def tail(broker: Broker, partition: TopicPartition, end: int, depth: int) -> Sequence[bytes]:
    """The values of the last committed records of a partition that lie in `[end - depth, end)`."""
    values: list[bytes] = []
    async with started(broker.consumer()) as reader:
        reader.assign([partition])
        start = max((await reader.beginning_offsets([partition]))[partition], end - depth)
        reader.seek(partition, start)
        async with asyncio.timeout(PRODUCE_TIMEOUT_S):
            while await reader.position(partition) < end:
                fetched = await reader.getmany(timeout_ms=FETCH_MAX_WAIT_MS)
                values.extend(record.value for records in fetched.values() for record in records)
    return values
