"""The tail of what a lane has published: read, and freed of transactions that hang."""

from collections.abc import Sequence

import orjson
from aiokafka import AIOKafkaProducer, TopicPartition

from schemas.vocabulary import Topic
from service.kafka.broker import Broker, tail
from service.kafka.clients import PRODUCE_TIMEOUT_S, started, within

# How far back the tail is looked for at first: transaction markers take offsets too.
TAIL_DEPTH = 64


class OpenTransactionError(TimeoutError):
    """A transaction is open in the partition that a lane publishes to; the message says from where on."""


async def last_published(broker: Broker, lane: int) -> int | None:
    """The `lane_seq` of the last committed state event of a lane; None when the partition holds none.

    Raises OpenTransactionError while a transaction is still open there: it might be committed yet, and would
    then lie behind the tail. Whoever has taken the lane's producers over has ended all that the broker knows of.
    """
    partition = TopicPartition(Topic.STATE_EVENTS, lane)
    async with started(broker.consumer(isolation_level="read_uncommitted")) as reader:
        written = (await within(reader.end_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
    async with started(broker.consumer()) as reader:
        end = (await within(reader.end_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
    if end < written:
        raise OpenTransactionError(f"a transaction is open in {Topic.STATE_EVENTS}[{lane}] from offset {end} on")
    return await committed_tail(broker, lane)


async def committed_tail(broker: Broker, lane: int) -> int | None:
    """As `last_published`, whatever may be open behind it."""
    partition = TopicPartition(Topic.STATE_EVENTS, lane)
    async with started(broker.consumer()) as reader:
        end = (await within(reader.end_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        begin = (await within(reader.beginning_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
    depth = TAIL_DEPTH
    while begin < end:
        values = await tail(broker, partition, end, depth)
        if values:
            return int(orjson.loads(values[-1])["lane_seq"])
        if end - depth <= begin:
            break
        depth *= 8
    return None


async def end_hanging(producers: Sequence[AIOKafkaProducer], lane: int) -> None:
    """Aborts what no coordinator knows of any more, and what nobody who reads committed records has seen.

    While a broker of Apache Kafka 4.4 shuts down, its coordinator finds no leader for the partitions, takes them
    for deleted ("can be skipped") and completes a transaction without its markers. The records then stay open
    for ever, until their producer's next transaction there ends: with a commit they would come out after all,
    behind the same ones published again. Opening the producers has ended everything else.

    Order strings that hang are left for the next commit to let out: better twice, they are the same, than never.
    """
    for producer in producers:
        await within(producer.begin_transaction(), PRODUCE_TIMEOUT_S)
        await within(producer.send_and_wait(Topic.STATE_EVENTS, b"", partition=lane), PRODUCE_TIMEOUT_S)
        await within(producer.abort_transaction(), PRODUCE_TIMEOUT_S)
