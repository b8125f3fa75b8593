"""The tail of what a lane has published: read, and freed of transactions that hang."""

from collections.abc import Sequence
from typing import Final

import orjson
from aiokafka import AIOKafkaProducer, TopicPartition

from schemas.vocabulary import Topic
from service.kafka.broker import Broker, tail
from service.kafka.clients import PRODUCE_TIMEOUT_S, started, within
from service.store.journal import Tail

# How far back the tail is looked for at first: transaction markers take offsets too.
TAIL_DEPTH = 64
# Used in turn by a lane's relay.
PRODUCERS_PER_LANE: Final = 2
# What a lane's transactions write to.
PUBLISHED_TOPICS: Final = (Topic.STATE_EVENTS, Topic.ORDER_STRINGS)


class OpenTransactionError(TimeoutError):
    """A transaction is open in a partition that a lane publishes to; the message says from where on."""


def lane_producers(broker: Broker, prefix: str, lane: int) -> list[AIOKafkaProducer]:
    """The lane's own, not started yet: starting each fences its predecessor, and ends its transaction."""
    return [broker.transactional_producer(f"{prefix}-lane-{lane}-{n}") for n in range(PRODUCERS_PER_LANE)]


async def check_closed(broker: Broker, lane: int, topics: Sequence[Topic] = PUBLISHED_TOPICS) -> None:
    """Raises OpenTransactionError while a transaction is open in the lane's partition of one of these.

    Whoever has taken the lane's producers over has ended all that the broker knows of.
    """
    partitions = [TopicPartition(topic, lane) for topic in topics]
    async with started(broker.consumer(isolation_level="read_uncommitted")) as reader:
        written = await within(reader.end_offsets(partitions), PRODUCE_TIMEOUT_S)
    async with started(broker.consumer()) as reader:
        stable = await within(reader.end_offsets(partitions), PRODUCE_TIMEOUT_S)
    for partition in partitions:
        if stable[partition] < written[partition]:
            raise OpenTransactionError(
                f"a transaction is open in {partition.topic}[{lane}] from offset {stable[partition]} on"
            )


async def committed_tail(broker: Broker, lane: int) -> Tail | None:
    """The last committed state event of a lane; None when the partition holds none.

    A transaction that is still open there might be committed yet, and would then lie behind it: see `check_closed`.
    """
    partition = TopicPartition(Topic.STATE_EVENTS, lane)
    async with started(broker.consumer()) as reader:
        end = (await within(reader.end_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        begin = (await within(reader.beginning_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
    depth = TAIL_DEPTH
    while begin < end:
        values = await tail(broker, partition, end, depth)
        if values:
            last = orjson.loads(values[-1])
            return Tail(last["lane_seq"], last.get("event_id"))
        if end - depth <= begin:
            break
        depth *= 8
    return None


async def end_hanging(broker: Broker, producers: Sequence[AIOKafkaProducer], lane: int) -> None:
    """Commits what a coordinator has completed and left open in the lane's state events and order strings.

    While a broker of Apache Kafka 4.4 shuts down, its coordinator finds no leader for the partitions, takes them
    for deleted ("can be skipped") and completes a transaction without its markers. The records then stay open,
    and hide all that follows, until their producer's next transaction there ends. One without records does, for
    which aiokafka has no call. It commits: later entries may be behind those already, and a relay reads its tail
    only when nothing is open, so what is here was sent once, in order, and from its beginning. (Should the
    coordinator have aborted it in the middle, an order string can be missing; the order API makes it anew.)

    Raises OpenTransactionError when state events are open all the same. Order strings that are keep nothing back.
    """
    for producer in producers:
        await within(producer.begin_transaction(), PRODUCE_TIMEOUT_S)
        transaction = producer._txn_manager  # noqa: SLF001 - see above
        for topic in PUBLISHED_TOPICS:
            transaction.maybe_add_partition_to_txn(TopicPartition(topic, lane))
        await within(producer.commit_transaction(), PRODUCE_TIMEOUT_S)
    await check_closed(broker, lane, [Topic.STATE_EVENTS])
