"""Records that wait for their order."""

from collections.abc import Sequence

import asyncpg
import orjson
from aiokafka import ConsumerRecord

_LOAD = """
    select topic, record_offset, record_key, value, headers, record_time
    from parked where lane = $1 and order_id = any($2) order by record_time, topic, record_offset
"""


# A topic that was made anew has the same offsets once more. What waits from before gets offsets below zero, a
# block of its own for each epoch.
OFFSETS_PER_EPOCH = 2**40


async def set_apart(connection: asyncpg.Connection, lane: int, topic: str, epoch: int) -> None:
    """Makes room for the records of a topic that was made anew: needs the owner of the schema.

    Dead letters of the old one are kept under its name with the epoch that ended it: `orders.events~7`.
    """
    await connection.execute(
        "update dead_letters set topic = $2 || '~' || $3::text where lane = $1 and topic = $2",
        lane,
        topic,
        str(epoch),
    )
    await connection.execute(
        "update parked set record_offset = record_offset - $3 where lane = $1 and topic = $2",
        lane,
        topic,
        OFFSETS_PER_EPOCH * epoch,
    )


async def counts(connection: asyncpg.Connection, lane: int) -> dict[str, int]:
    """How many records wait for each order of the lane."""
    rows = await connection.fetch(
        "select order_id, count(*) as waiting from parked where lane = $1 group by order_id", lane
    )
    return {row["order_id"]: row["waiting"] for row in rows}


async def load(connection: asyncpg.Connection, lane: int, order_ids: Sequence[str]) -> list[ConsumerRecord]:
    """The parked records of these orders, as they were read from Kafka."""
    rows = await connection.fetch(_LOAD, lane, list(order_ids))
    return [
        ConsumerRecord(
            topic=row["topic"],
            partition=lane,
            offset=row["record_offset"],
            timestamp=int(row["record_time"].timestamp() * 1000),
            timestamp_type=0,
            key=row["record_key"],
            value=row["value"],
            checksum=None,
            serialized_key_size=len(row["record_key"] or b""),
            serialized_value_size=len(row["value"]),
            headers=[(name, value.encode("latin-1")) for name, value in orjson.loads(row["headers"])],
        )
        for row in rows
    ]
