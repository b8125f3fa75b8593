"""Whether a lane's topics are still those that it has read: offsets, and the fingerprint of the last record."""

import asyncio
import zlib

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.vocabulary import INPUT_TOPICS
from service.kafka.broker import Broker
from service.kafka.clients import PRODUCE_TIMEOUT_S, started, within
from service.store.lanes import Fingerprint, LaneRow


async def check_topics(broker: Broker, row: LaneRow) -> tuple[list[int], str | None]:
    """Where to begin to read a lane, and a reason to halt it, when its topics are not those it knew.

    The offsets are the beginnings for a lane that was never owned, else those of its row.
    """
    async with started(broker.consumer()) as reader:
        partitions = [TopicPartition(topic, row.lane) for topic in INPUT_TOPICS]
        begins = await within(reader.beginning_offsets(partitions), PRODUCE_TIMEOUT_S)
        if row.next_offsets is None:
            return [begins[partition] for partition in partitions], None
        ends = await within(reader.end_offsets(partitions), PRODUCE_TIMEOUT_S)
        for partition, position in zip(partitions, row.next_offsets, strict=True):
            why_not = _out_of_reach(partition, position, begins[partition], ends[partition])
            known = row.fingerprints.get(partition.topic)
            if why_not is None and known is not None and known.offset >= begins[partition]:
                why_not = await _is_another(reader, partition, known)
            if why_not is not None:
                return row.next_offsets, why_not
        return row.next_offsets, None


def _out_of_reach(partition: TopicPartition, position: int, begin: int, end: int) -> str | None:
    where = f"{partition.topic}[{partition.partition}]"
    if position > end:
        return (
            f"{where} ends at offset {end}, and the lane has read up to {position}:"
            " the topic was recreated or has lost records"
        )
    if position < begin:
        return (
            f"{where} begins at offset {begin}, and the lane has read up to {position} only:"
            " records were deleted before they were read"
        )
    return None


async def _is_another(reader: AIOKafkaConsumer, partition: TopicPartition, known: Fingerprint) -> str | None:
    if await _fingerprint_at(reader, partition, known.offset) == known:
        return None
    return (
        f"the record at offset {known.offset} of {partition.topic}[{partition.partition}] is not the one that"
        " the lane has read: the topic was recreated"
    )


async def _fingerprint_at(reader: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> Fingerprint | None:
    reader.assign([partition])
    reader.seek(partition, offset)
    async with asyncio.timeout(PRODUCE_TIMEOUT_S):
        while await reader.position(partition) <= offset:
            for record in (await reader.getmany(partition, timeout_ms=100, max_records=1)).get(partition, []):
                return fingerprint(record) if record.offset == offset else None
    return None


def fingerprint(record: ConsumerRecord) -> Fingerprint:
    """What is kept of the last record of a topic.

    The CRC is of key and value, computed here: the client does not show the batch's own.
    """
    crc = zlib.crc32(record.value or b"", zlib.crc32(record.key or b""))
    return Fingerprint(record.offset, record.timestamp, crc)
