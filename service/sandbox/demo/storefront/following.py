"""Follows the real topics, and shows each record of a visitor's order to the backstage."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.vocabulary import Topic
from service.kafka.access import KafkaAccess
from service.kafka.clients import UNAVAILABLE, consumer, started
from service.sandbox.demo.storefront.backstage import Backstage

log = structlog.get_logger()

# Not the order strings: whoever holds one can pay.
TOPICS: Final = (Topic.ORDERS, Topic.CALLBACKS, Topic.COMPLETIONS, Topic.STATE_EVENTS)
POLL_MS: Final = 100
AGAIN_AFTER_S: Final = 1.0


async def follow(access: KafkaAccess, lanes: int, backstage: Backstage, on_ready: Callable[[], None]) -> None:
    """From the topics' present end on, until cancelled. `on_ready`: what is published from now on will be seen."""
    positions: dict[TopicPartition, int] = {}
    while True:
        try:
            async with started(consumer(access)) as reader:
                await _place(reader, lanes, positions)
                on_ready()
                while True:
                    for partition, records in (await reader.getmany(timeout_ms=POLL_MS)).items():
                        for record in records:
                            _show(record, backstage)
                            positions[partition] = record.offset + 1
        except UNAVAILABLE as error:
            log.warning("topics_not_followed", error=repr(error))
            await asyncio.sleep(AGAIN_AFTER_S)


async def _place(reader: AIOKafkaConsumer, lanes: int, positions: dict[TopicPartition, int]) -> None:
    reader.assign([TopicPartition(topic, lane) for topic in TOPICS for lane in range(lanes)])
    if not positions:
        positions.update(await reader.end_offsets(list(reader.assignment())))
    for partition, offset in positions.items():
        reader.seek(partition, offset)


def _show(record: ConsumerRecord, backstage: Backstage) -> None:
    order_id = (record.key or b"").decode("utf-8", "replace")
    if not backstage.knows(order_id):
        return
    sighting: dict[str, Any] = {
        "source": "kafka",
        "at": record.timestamp,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": order_id,
        "value": _value(record.value),
    }
    backstage.add(order_id, sighting)


def _value(value: bytes | None) -> object:
    try:
        return orjson.loads(value or b"null")
    except orjson.JSONDecodeError:
        # Anyone may publish anything; it is shown as it is.
        return (value or b"").decode("utf-8", "replace")
