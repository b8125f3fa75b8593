"""What the embedded broker does with a fetch that should wait, and what we do about it."""

import time
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest

from service.dev.kafka import EmbeddedKafka
from service.kafka.clients import consumer, started
from service.kafka.patience import SOON_S

pytestmark = pytest.mark.integration

LOOK_S = 1.5


def _counting(reader: AIOKafkaConsumer) -> list[float]:
    """The moments at which the client is sent a fetch."""
    sent: list[float] = []
    send = reader._client._get_conn

    async def counted(node_id: int, *rest: Any, **options: Any) -> Any:
        connection = await send(node_id, *rest, **options)
        original = connection.send

        def noted(request: Any, *more: Any, **others: Any) -> Any:
            if isinstance(request, FetchRequest) or type(request).__name__.startswith("FetchRequest"):
                sent.append(time.monotonic())
            return original(request, *more, **others)

        if getattr(original, "__name__", "") != "noted":
            connection.send = noted
        return connection

    reader._client._get_conn = counted
    return sent


async def _fetches(reader: AIOKafkaConsumer, topic: str) -> int:
    sent = _counting(reader)
    async with started(reader):
        reader.assign([TopicPartition(topic, 0)])
        reader.seek(TopicPartition(topic, 0), 0)
        await reader.getmany(timeout_ms=int(LOOK_S * 1000))
    return len(sent)


async def test_the_embedded_broker_does_not_wait_and_our_consumer_does_not_spin() -> None:
    with EmbeddedKafka() as broker:
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
        await producer.start()
        await producer.partitions_for("quiet")
        await producer.stop()
        bare = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="none", fetch_max_wait_ms=500)
        # A broker that kept its promise would be asked four times. When this fails, patience can go.
        assert await _fetches(bare, "quiet") > 2 * LOOK_S / SOON_S
        assert await _fetches(consumer(broker.bootstrap), "quiet") <= LOOK_S / SOON_S + 2


async def test_a_record_is_not_kept_waiting(kafka_bootstrap: str) -> None:
    topic = f"patience-{time.time_ns()}"
    async with started(AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)) as producer:
        await producer.send_and_wait(topic, b"first", partition=0)
        async with started(consumer(kafka_bootstrap)) as reader:
            reader.assign([TopicPartition(topic, 0)])
            reader.seek(TopicPartition(topic, 0), 0)
            assert await _next(reader) == [b"first"]
            await producer.send_and_wait(topic, b"second", partition=0)
            assert await _next(reader) == [b"second"]


async def _next(reader: AIOKafkaConsumer) -> list[bytes]:
    fetched = await reader.getmany(timeout_ms=5_000)
    return [record.value for records in fetched.values() for record in records]
