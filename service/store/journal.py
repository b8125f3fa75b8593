"""The journal as the relay reads it: by lane and sequence, in commit order, without gaps."""

from dataclasses import dataclass

from service.store.connection import Database
from service.store.orders import load
from statemachine.order import Order

_AFTER = """
    select lane_seq, order_id, version, event from journal
    where lane = $1 and lane_seq > $2 order by lane_seq limit $3
"""
_TAIL = """
    select lane_seq, (
        select event->>'event_id' from journal where lane = $1 and lane_seq = $2
    ) as event_id
    from lanes where lane = $1
"""
_MAKE_MONTH = """
    select make_journal_partition(month) as is_there, month - current_date as days_until
    from (select date_trunc('month', current_date + make_interval(months => $1))::date as month) as ahead
"""

# Beside the month that is: enough for a service that is not restarted for a quarter.
MONTHS_AHEAD = 3


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One entry; `event` is the state event's JSON as it was committed."""

    lane_seq: int
    order_id: str
    version: int
    event: bytes


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a lane's events end, and one of them: in the journal, or as published."""

    lane_seq: int
    event_id: str | None


async def read_after(database: Database, lane: int, lane_seq: int, limit: int) -> list[JournalRow]:
    """The entries after a sequence number, in order."""
    async with database.acquire() as connection:
        rows = await connection.fetch(_AFTER, lane, lane_seq, limit)
    return [JournalRow(row["lane_seq"], row["order_id"], row["version"], row["event"].encode()) for row in rows]


async def tail(database: Database, lane: int, lane_seq: int) -> Tail:
    """The lane's newest committed sequence number; and which event it has under the given one, if it has one."""
    async with database.acquire() as connection:
        row = await connection.fetchrow(_TAIL, lane, lane_seq)
    assert row is not None
    return Tail(row["lane_seq"], row["event_id"])


async def orders_of(database: Database, lane: int, order_ids: list[str]) -> dict[str, Order]:
    """Orders by id, for deriving their order strings again."""
    async with database.acquire() as connection:
        return await load(connection, lane, order_ids)


async def make_partitions(database: Database) -> int | None:
    """Makes the journal's partitions of this month and the next few, where they are missing.

    Answers None when that is done, else in how many days the first month begins (0 or less: it has begun) whose
    partition could not be made, because a transaction that has read the journal is still open. Till it can be,
    the default partition takes that month's entries.
    """
    async with database.acquire() as connection:
        # Each in a transaction of its own: what one has locked is free again before the next one waits.
        for ahead in range(MONTHS_AHEAD + 1):
            month = await connection.fetchrow(_MAKE_MONTH, ahead)
            assert month is not None
            if not month["is_there"]:
                return int(month["days_until"])
    return None
