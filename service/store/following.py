"""What the order API waits for and follows: how far a lane has read, and what is new of an order. Read-only."""

from collections.abc import Iterable
from datetime import date

import asyncpg

from schemas.vocabulary import Topic
from service.kafka.partition import lane_of
from service.store import orders
from service.store.connection import Database
from service.store.lanes import TOPIC_INDEX
from statemachine.order import Order

_VERSIONS = """
    select order_id, version from orders
    join unnest($1::integer[], $2::text[]) as wanted (lane, order_id) using (lane, order_id)
"""
_EVENTS = """
    select version, event from journal
    where lane = $1 and order_id = $2 and born = $3 and version > $4 order by version limit $5
"""
# Enough for a whole order's life, nearly always.
EVENTS_AT_ONCE = 100


class OrderRows:
    """Reads what is committed, for one number of lanes."""

    def __init__(self, database: Database, lanes: int) -> None:
        self._database = database
        self.lanes = lanes

    async def load(self, order_id: str) -> Order | None:
        """The order, as it is now."""
        lane = lane_of(order_id, self.lanes)
        async with self._database.acquire() as connection:
            return (await orders.load(connection, lane, [order_id])).get(order_id)

    async def passed_offsets(self, topic: Topic, lanes: Iterable[int]) -> dict[int, int]:
        """By lane, the last offset of the topic whose outcome is committed; lanes never claimed are left out."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                "select lane, next_offsets from lanes where lane = any($1) and next_offsets is not null",
                list(lanes),
            )
        return {row["lane"]: row["next_offsets"][TOPIC_INDEX[topic]] - 1 for row in rows}

    async def versions(self, order_ids: Iterable[str]) -> dict[str, int]:
        """The versions of these orders; unknown ones are left out."""
        wanted = list(order_ids)
        async with self._database.acquire() as connection:
            rows = await connection.fetch(_VERSIONS, [lane_of(each, self.lanes) for each in wanted], wanted)
        return {row["order_id"]: row["version"] for row in rows}

    async def events_after(self, order_id: str, born: date, version: int) -> list[tuple[int, str]]:
        """Versions with their state events' JSON, from the next one on, EVENTS_AT_ONCE at the most."""
        async with self._database.acquire() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(
                _EVENTS, lane_of(order_id, self.lanes), order_id, born, version, EVENTS_AT_ONCE
            )
        return [(row["version"], row["event"]) for row in rows]

    async def death_of(self, topic: Topic, order_id: str, offset: int) -> str | None:
        """Why the order's record at this offset became a dead letter; None when it did not."""
        async with self._database.acquire() as connection:
            reason: str | None = await connection.fetchval(
                "select reason from dead_letters where lane = $1 and topic = $2 and record_offset = $3",
                lane_of(order_id, self.lanes),
                topic,
                offset,
            )
        return reason
