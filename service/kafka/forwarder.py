"""Sends records on: a stray one to the lane where it belongs, and whatever the HTTP side publishes."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer, ConsumerRecord

from service.kafka.broker import Broker
from service.kafka.clients import PRODUCE_TIMEOUT_S, abandon, within
from service.kafka.partition import lane_of


class Forwarder:
    """One idempotent producer, made when it is first needed and thrown away when it fails."""

    def __init__(self, broker: Broker, lanes: int) -> None:
        self._broker = broker
        self._lanes = lanes
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def forward(self, record: ConsumerRecord, lane: int) -> None:
        """Puts a stray record, as it is, into the partition of its lane. Returns when all replicas have it."""
        await self._send(record.topic, record.key, record.value, lane, record.headers)

    async def publish(
        self, topic: str, order_id: str, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> int:
        """Publishes a record, keyed by its order; answers its offset. Returns when all replicas have it."""
        return await self._send(topic, order_id.encode(), value, lane_of(order_id, self._lanes), headers)

    async def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int,
        headers: Sequence[tuple[str, bytes]],
    ) -> int:
        producer = await self._ready()
        try:
            sent = await within(
                producer.send_and_wait(topic, value, key=key, partition=partition, headers=list(headers)),
                PRODUCE_TIMEOUT_S,
            )
        except BaseException:
            # It may hang for good after a lost broker, and its sequence numbers are in doubt.
            if self._producer is producer:
                self._producer = None
                await abandon(producer)
            raise
        return int(sent.offset)

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = self._broker.idempotent_producer()
                try:
                    await within(producer.start(), PRODUCE_TIMEOUT_S)
                except BaseException:
                    await abandon(producer)
                    raise
                self._producer = producer
            return self._producer

    async def close(self) -> None:
        """Stops the producer."""
        producer, self._producer = self._producer, None
        await abandon(producer)
