"""Records of many requests go to Kafka together, each into its lane, and everybody is told what became of it."""

import asyncio
import socket
import uuid

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from service.dev.child import free_port
from service.kafka.access import KafkaAccess
from service.kafka.batches import Batches
from service.kafka.clients import consumer, started
from service.kafka.partition import lane_of
from service.kafka.topics import administrator

pytestmark = pytest.mark.integration
LANES = 3
PATIENCE_S = 30.0


@pytest.fixture
async def topic(kafka_bootstrap: str) -> str:
    name = f"batches-{uuid.uuid4().hex}"
    async with administrator(KafkaAccess(kafka_bootstrap)) as admin:
        await admin.create_topics([NewTopic(name, LANES, 1)])
    return name


async def test_each_record_is_in_its_lane_once_and_in_order(kafka_bootstrap: str, topic: str) -> None:
    batches = Batches(KafkaAccess(kafka_bootstrap), LANES, PATIENCE_S)
    # One that alone is more than a batch of the client's own size, and some that are many.
    given = [(f"o{number % 50}", b"%d" % number, [("traceparent", b"t")]) for number in range(2_000)]
    given.append(("o1", b"x" * 100_000, []))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(batches.publish(topic, *record) for record in given))
            # Once they are told, they are there; and an empty queue begins anew.
            await batches.publish(topic, "o2", b"last")
    finally:
        await batches.close()
    given.append(("o2", b"last", []))
    places = [TopicPartition(topic, lane) for lane in range(LANES)]
    async with started(consumer(KafkaAccess(kafka_bootstrap))) as reader, asyncio.timeout(PATIENCE_S):
        reader.assign(places)
        await reader.seek_to_beginning()
        ends = await reader.end_offsets(places)
        assert sum(ends.values()) == len(given)
        for place in places:
            found = []
            while len(found) < ends[place]:
                fetched = await reader.getmany(place, timeout_ms=200)
                found += [(each.key.decode(), each.value, list(each.headers)) for each in fetched.get(place, ())]
            assert found == [record for record in given if lane_of(record[0], LANES) == place.partition]


async def test_everybody_is_told_that_nothing_could_be_sent() -> None:
    batches = Batches(KafkaAccess(f"127.0.0.1:{free_port()}"), LANES, PATIENCE_S)
    for _ in range(2):
        async with asyncio.timeout(PATIENCE_S):
            told = await asyncio.gather(
                *(batches.publish("nowhere", f"o{number}", b"") for number in range(20)), return_exceptions=True
            )
        assert all(isinstance(each, Exception) for each in told)
    await batches.close()


async def test_one_that_waits_no_more_does_not_keep_the_others(kafka_bootstrap: str, topic: str) -> None:
    batches = Batches(KafkaAccess(kafka_bootstrap), LANES, PATIENCE_S)
    try:
        gone = asyncio.create_task(batches.publish(topic, "o1", b"gone"))
        others = [asyncio.create_task(batches.publish(topic, "o1", b"other")) for _ in range(5)]
        await asyncio.sleep(0)
        gone.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*others)
        waiting = asyncio.create_task(batches.publish(topic, "o1", b"late"))
        await asyncio.sleep(0)
    finally:
        await batches.close()
    with pytest.raises(ConnectionError, match="closing"):
        await asyncio.wait_for(waiting, PATIENCE_S)


async def test_nobody_waits_longer_than_the_deadline() -> None:
    # A broker that takes a connection, and never says anything.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        batches = Batches(KafkaAccess(f"127.0.0.1:{silent.getsockname()[1]}"), LANES, 0.2)
        for _ in range(2):
            with pytest.raises(TimeoutError, match="not durable"):
                await asyncio.wait_for(batches.publish("nowhere", "o1", b""), 5)
        await batches.close()
