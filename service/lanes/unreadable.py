"""What to do when a client cannot decode what it has fetched: read each partition by itself, a record at a time.

aiokafka lets the error out of `getmany`, whichever partition it was about: a codec that is not installed, a batch
whose CRC is wrong, a header's name that is not UTF-8. What it had taken of the other partitions is lost with it.
"""

import gzip
import struct
import zlib
from dataclasses import dataclass

import cramjam
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError

from service.kafka.clients import PRODUCE_TIMEOUT_S, within

# What decoders raise for strange bytes. Nothing else is about a record: `getmany` also lets out what is wrong with
# the group's coordinator, as while a broker is away.
UNDECODABLE = (
    CorruptRecordException,
    UnsupportedCodecError,
    ValueError,
    IndexError,
    EOFError,
    struct.error,
    zlib.error,
    gzip.BadGzipFile,
    cramjam.DecompressionError,
)
# Of one partition at a time; the next time goes on behind them.
MAX_RECORDS = 1_000
_WAIT_MS = 1_000


@dataclass(frozen=True, slots=True)
class Readable:
    """The records of a partition up to what cannot be read; `why_not` says what that is, and where."""

    records: list[ConsumerRecord]
    why_not: str | None = None


async def read_singly(reader: AIOKafkaConsumer, partition: TopicPartition) -> Readable:
    """Reads on from the reader's position. Raises what says nothing of the records, as when a broker is away."""
    records: list[ConsumerRecord] = []
    end = (await within(reader.end_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
    while len(records) < MAX_RECORDS:
        position = await within(reader.position(partition), PRODUCE_TIMEOUT_S)
        if position >= end:
            break
        try:
            fetched = await reader.getmany(partition, timeout_ms=_WAIT_MS, max_records=1)
        except UNDECODABLE as error:
            where = f"{partition.topic}[{partition.partition}]"
            return Readable(records, f"{where} cannot be read at offset {position}: {error!r}"[:300])
        if not fetched:
            break
        records += fetched[partition]
    return Readable(records)
