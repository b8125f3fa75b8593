"""The floor: no decisions, no facts, no transactions in Kafka. Consume, insert the same bytes, publish them.

The least that any service between two Kafka topics and a durable Postgres could do, with the same clients
and in batches of the same size as the engine's.
"""

import asyncio
import contextlib
import os
import signal

import asyncpg
from aiokafka import AIOKafkaProducer, ConsumerRecord

from schemas.vocabulary import Topic
from service.kafka.clients import MAX_BATCH_BYTES
from service.lanes.worker import MAX_BATCH
from service.wiring import run_loop
from tests.bench.world import partitions, reading

INPUTS = (Topic.ORDERS, Topic.CALLBACKS)


async def main() -> None:
    bootstrap, lanes = os.environ["PAYSTATE_KAFKA_BOOTSTRAP"], int(os.environ["PAYSTATE_LANES"])
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    connection = await asyncpg.connect(os.environ["PAYSTATE_POSTGRES_DSN"])
    await connection.execute("create table raw (topic text, lane integer, record_offset bigint, value bytea)")
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", max_batch_size=MAX_BATCH_BYTES
    )
    await producer.start()
    async with reading(bootstrap) as reader:
        reader.assign(partitions(INPUTS, lanes))
        await reader.seek_to_beginning()
        print("READY", flush=True)
        while True:
            for at, records in (await reader.getmany(timeout_ms=100, max_records=MAX_BATCH)).items():
                await connection.execute(
                    "insert into raw select $1, $2, * from unnest($3::bigint[], $4::bytea[])",
                    at.topic,
                    at.partition,
                    [record.offset for record in records],
                    [record.value for record in records],
                )
                await publish(producer, at.partition, records)


async def publish(producer: AIOKafkaProducer, partition: int, records: list[ConsumerRecord]) -> None:
    batch, sent = producer.create_batch(), []
    for record in records:
        if batch.append(key=record.key, value=record.value, timestamp=None) is None:
            sent.append(await producer.send_batch(batch, Topic.STATE_EVENTS, partition=partition))
            batch = producer.create_batch()
            batch.append(key=record.key, value=record.value, timestamp=None)
    sent.append(await producer.send_batch(batch, Topic.STATE_EVENTS, partition=partition))
    for future in sent:
        await future


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        run_loop(main())
