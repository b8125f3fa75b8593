"""The topics: made once, and refused when their partitions disagree with the lanes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from schemas.vocabulary import INPUT_TOPICS, Topic
from service.kafka.access import KafkaAccess
from service.kafka.clients import MAX_MESSAGE_BYTES, PRODUCE_TIMEOUT_S, consumer, started, within
from service.kafka.refusals import name_refusals

ADMIN_TIMEOUT_MS = 10_000
MADE_POLL_S = 0.1


class WrongTopicError(Exception):
    """A topic is missing or has another number of partitions; the message says what to do."""


@contextlib.asynccontextmanager
async def administrator(access: KafkaAccess) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for a broker's topics and groups, started, for as long as the context lasts."""
    admin = AIOKafkaAdminClient(
        bootstrap_servers=access.bootstrap, **access.security(), request_timeout_ms=ADMIN_TIMEOUT_MS
    )
    name_refusals(admin, access)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def partition_counts(access: KafkaAccess) -> dict[str, int]:
    """How many partitions each of our topics has; a missing one is left out."""
    async with administrator(access) as admin:
        # Asking for all: to ask for one by name makes it on a broker that makes topics by itself.
        names = set(await admin.list_topics()) & set(Topic)
        described = await admin.describe_topics(sorted(names)) if names else []
        return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}


async def create_topics(access: KafkaAccess, lanes: int, replication: int = 1) -> list[str]:
    """Makes the topics that are missing, with one partition a lane; answers their names.

    Raises WrongTopicError when one exists with another number of partitions.
    """
    found = await partition_counts(access)
    check_counts(found, lanes, missing_is_wrong=False)
    missing = [str(topic) for topic in Topic if topic not in found]
    if not missing:
        return []
    async with administrator(access) as admin:
        response = await admin.create_topics(
            [
                NewTopic(
                    name,
                    num_partitions=lanes,
                    replication_factor=replication,
                    topic_configs={"max.message.bytes": str(MAX_MESSAGE_BYTES)},
                )
                for name in missing
            ]
        )
        for name, code, *rest in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise WrongTopicError(f"topic {name} could not be made: {rest[0] if rest else error.__name__}")
    check_counts(await _counts_with(access, missing), lanes)
    return missing


async def _counts_with(access: KafkaAccess, made: Sequence[str]) -> dict[str, int]:
    """The counts once all of these are known: a broker may tell of a topic a moment after it was made."""
    until = asyncio.get_running_loop().time() + ADMIN_TIMEOUT_MS / 1000
    while True:
        found = await partition_counts(access)
        if found.keys() >= set(made) or asyncio.get_running_loop().time() > until:
            return found
        await asyncio.sleep(MADE_POLL_S)


def check_counts(found: dict[str, int], lanes: int, *, missing_is_wrong: bool = True) -> None:
    """Raises WrongTopicError unless every topic has one partition a lane: partition i is lane i."""
    for topic in Topic:
        count = found.get(topic)
        if count is None and missing_is_wrong:
            raise WrongTopicError(f"topic {topic} does not exist: run `paystate topics create`")
        if count is not None and count != lanes:
            raise WrongTopicError(
                f"{wrong_count(topic, count, lanes)}, or point PAYSTATE_KAFKA_BOOTSTRAP elsewhere"
            )


def wrong_count(topic: str, count: int, lanes: int) -> str:
    """What is wrong, and what to do."""
    return (
        f"topic {topic} has {count} partitions, and there are {lanes} lanes. The lane of an order is fixed"
        " for ever: make the topic anew with the right count"
    )


async def input_lags(access: KafkaAccess, offsets: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """How many records each lane has still to read, all input topics together, given where it is in each."""
    async with started(consumer(access)) as reader:
        partitions = [TopicPartition(topic, lane) for lane in offsets for topic in INPUT_TOPICS]
        ends = await within(reader.end_offsets(partitions), PRODUCE_TIMEOUT_S)
    return {
        lane: sum(
            max(ends[TopicPartition(topic, lane)] - at, 0)
            for topic, at in zip(INPUT_TOPICS, positions, strict=True)
        )
        for lane, positions in offsets.items()
    }
