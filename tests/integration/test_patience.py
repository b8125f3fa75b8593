"""What the embedded broker makes of a fetch, and what we do about it."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaConnectionError, ProducerFenced
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.protocol.fetch import FetchRequest

from service.dev.kafka import EmbeddedKafka
from service.kafka import clients
from service.kafka.access import KafkaAccess
from service.kafka.clients import abandon, consumer, start, started, transactional_producer
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
        assert await _fetches(consumer(KafkaAccess(broker.bootstrap)), "quiet") <= LOOK_S / SOON_S + 2


async def _abort_then_commit(bootstrap: str, topic: str) -> None:
    """Offsets 0 and 1 are aborted (2 is their end), 3 is committed (4 is its end), by one producer."""
    async with started(transactional_producer(KafkaAccess(bootstrap), f"{topic}-producer")) as producer:
        await producer.begin_transaction()
        for value in (b"aborted 0", b"aborted 1"):
            await producer.send_and_wait(topic, value, partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed", partition=0)


async def _read_from(reader: AIOKafkaConsumer, topic: str, offset: int) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    values: list[bytes] = []
    async with started(reader), asyncio.timeout(20):
        reader.assign([partition])
        end = (await reader.end_offsets([partition]))[partition]
        reader.seek(partition, offset)
        while await reader.position(partition) < end:
            values += await _next(reader, wait_ms=200)
    return values


async def test_a_reader_that_begins_behind_an_aborted_transaction_misses_nothing(kafka_bootstrap: str) -> None:
    topic = f"aborts-{time.time_ns()}"
    await _abort_then_commit(kafka_bootstrap, topic)
    # From before the aborted transaction, from its middle, and from behind it.
    for offset in (0, 1, 3):
        assert await _read_from(consumer(KafkaAccess(kafka_bootstrap)), topic, offset) == [b"committed"], offset


async def test_the_embedded_broker_names_transactions_that_ended_long_ago() -> None:
    with EmbeddedKafka() as broker:
        await _abort_then_commit(broker.bootstrap, "aborts")
        bare = AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap, auto_offset_reset="none", isolation_level="read_committed"
        )
        # What is committed is dropped. When this fails, `stale_aborts` can go.
        assert await _read_from(bare, "aborts", 3) == []


async def test_a_record_is_not_kept_waiting(kafka_bootstrap: str) -> None:
    topic = f"patience-{time.time_ns()}"
    async with started(AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)) as producer:
        await producer.send_and_wait(topic, b"first", partition=0)
        async with started(consumer(KafkaAccess(kafka_bootstrap))) as reader:
            reader.assign([TopicPartition(topic, 0)])
            reader.seek(TopicPartition(topic, 0), 0)
            assert await _next(reader) == [b"first"]
            await producer.send_and_wait(topic, b"second", partition=0)
            assert await _next(reader) == [b"second"]


async def _next(reader: AIOKafkaConsumer, wait_ms: int = 5_000) -> list[bytes]:
    fetched = await reader.getmany(timeout_ms=wait_ms)
    return [record.value for records in fetched.values() for record in records]


async def test_a_client_that_knows_of_no_broker_says_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def finds_none() -> None:
        """As aiokafka is left by an answer that names no broker, which one that is starting can give."""

    producer = transactional_producer(KafkaAccess("127.0.0.1:9"), "nobody")
    monkeypatch.setattr(producer.client, "bootstrap", finds_none)
    # When this fails, aiokafka says so by itself, and `start` can go.
    with pytest.raises(AssertionError, match="Did we not perform bootstrap"):
        await producer.start()
    with pytest.raises(KafkaConnectionError):
        await start(producer)
    await abandon(producer)


async def test_a_producer_that_is_given_up_does_not_go_on_trying() -> None:
    with EmbeddedKafka() as broker:
        producer = transactional_producer(KafkaAccess(broker.bootstrap), "given-up")
        await start(producer)
        await producer.begin_transaction()
        await producer.send_and_wait("lost", b"1")
        broker.kill()
        await producer.send("lost", b"2")
        await abandon(producer)
    sender = producer._sender.sender_task
    await asyncio.wait({sender}, timeout=5)
    assert sender.done()
    # Nor is anything of its `stop` left, which asyncio would complain of.
    assert [task for task in asyncio.all_tasks() if "MessageAccumulator" in repr(task)] == []


@pytest.mark.parametrize("is_forgiven", [True, False])
async def test_a_batch_that_waits_to_be_sent_again_is_given_up_without_complaint(
    is_forgiven: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[dict[str, Any]] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_exception_handler", complaints.append)
    if not is_forgiven:
        monkeypatch.setattr(clients, "_Forgiving", set)
    batches = MessageAccumulator(ClusterMetadata(), batch_size=16_384, compression_type=0, batch_ttl=30)
    partition = TopicPartition("lost", 0)
    await batches.add_message(partition, None, b"1", timeout=1)
    batches.reenqueue(batches._pop_batch(partition))
    clients._forget_failures(SimpleNamespace(_message_accumulator=batches))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    # When aiokafka complains no longer, `_Forgiving` can go.
    assert len(complaints) == (0 if is_forgiven else 1), complaints


@pytest.mark.parametrize("is_abandoned", [True, False])
async def test_a_producer_that_is_fenced_and_given_up_complains_to_nobody(
    kafka_bootstrap: str, is_abandoned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_exception_handler", complaints.append)
    await _fence_one(kafka_bootstrap, abandon if is_abandoned else AIOKafkaProducer.stop)
    gc.collect()
    # When `stop` complains no longer, `_forget_failures` can go.
    assert len(complaints) == (0 if is_abandoned else 2), complaints


async def _fence_one(bootstrap: str, give_up: Callable[[AIOKafkaProducer], Awaitable[None]]) -> None:
    fenced = transactional_producer(KafkaAccess(bootstrap), "fenced-and-given-up")
    await start(fenced)
    async with started(transactional_producer(KafkaAccess(bootstrap), "fenced-and-given-up")):
        await fenced.begin_transaction()
        batch = fenced.create_batch()
        batch.append(key=None, value=b"1", timestamp=None, headers=[])
        with pytest.raises(ProducerFenced):
            await (await fenced.send_batch(batch, "fenced", partition=0))
        await give_up(fenced)
