"""Sends records on: a stray one to the lane where it belongs, and whatever the HTTP side publishes."""

from collections.abc import Sequence

from aiokafka import ConsumerRecord

from service.kafka.broker import Broker
from service.kafka.kept_producer import KeptProducer
from service.kafka.partition import lane_of


class Forwarder:
    """Sends one record at a time, and waits for it."""

    def __init__(self, broker: Broker, lanes: int) -> None:
        self._lanes = lanes
        self._kept = KeptProducer(broker.idempotent_producer)

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
        producer = await self._kept.ready()
        async with self._kept.sending(producer):
            sent = await producer.send_and_wait(topic, value, key=key, partition=partition, headers=list(headers))
        return int(sent.offset)

    async def close(self) -> None:
        """Stops the producer."""
        await self._kept.close()
