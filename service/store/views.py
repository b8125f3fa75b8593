"""What people look at: an order with its story, the lanes. Read-only; never on a lane's own way."""

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from service.kafka.partition import lane_of
from service.store.connection import Database
from service.store.lanes import COUNTERS, LAPSED, lane_count
from service.store.orders import load
from statemachine.order import Order

_LANES = f"""
    select lane, owner, epoch, halt_reason, lane_seq, published_seq, next_offsets, counters, lease_until,
        case when halt_reason is not null then 'halted'
            when owner is null then 'free'
            when {LAPSED} then 'expired'
            else 'owned' end as status
    from lanes order by lane
"""  # noqa: S608 - a constant
_OPERATIONS = """
    select operation_id as id, kind, amount_minor, state, attempts, complete, reason, began_at, changed_at
    from operations where lane = $1 and order_id = $2 order by began_at, operation_id
"""
# An order's bookkeeping, of no use to anybody who reads it.
_INTERNAL = ("seen", "request_counts", "captured_by_us_minor", "released_by_us_minor", "refunded_by_us_minor")
_MIGRATIONS = Path(__file__).parent / "migrations" / "versions"
DEAD_LETTERS_SHOWN = 20
_DEAD_LETTERS = """
    select topic, record_offset, reason, died_at from dead_letters
    where lane = $1 and record_key = $2 order by died_at desc limit $3
"""
_TIMELINE = "select event from journal where lane = $1 and order_id = $2 order by version"


@dataclass(slots=True)
class Story:
    """An order, all operations that it has had, and its state events in order."""

    order: Order
    operations: list[dict[str, Any]]
    timeline: list[dict[str, Any]]


async def story_of(database: Database, order_id: str) -> Story | None:
    """The order with its story; None when it is not known."""
    lane = lane_of(order_id, await lane_count(database))
    async with database.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        order = (await load(connection, lane, [order_id])).get(order_id)
        if order is None:
            return None
        operations = await connection.fetch(_OPERATIONS, lane, order_id)
        timeline = await connection.fetch(_TIMELINE, lane, order_id)
    return Story(order, [dict(row) for row in operations], [orjson.loads(row["event"]) for row in timeline])


async def dead_letters_of_key(database: Database, order_id: str) -> list[asyncpg.Record]:
    """The last dead letters that were keyed with an order's id: why an order that somebody sent is not there."""
    lane = lane_of(order_id, await lane_count(database))
    async with database.acquire() as connection:
        rows = await connection.fetch(_DEAD_LETTERS, lane, order_id.encode(), DEAD_LETTERS_SHOWN)
    return rows[::-1]


async def missing_migrations(database: Database) -> list[str]:
    """The migrations that the database has not had yet, oldest first."""
    async with database.acquire() as connection:
        if await connection.fetchval("select to_regclass('paystate.alembic_version')") is None:
            done = ""
        else:
            done = await connection.fetchval("select version_num from alembic_version") or ""
    # A file's name begins with its number, which is alembic's revision.
    names = sorted(file.stem for file in _MIGRATIONS.glob("*.sql"))
    return [name for name in names if name.partition("_")[0] > done]


async def lane_rows(database: Database) -> list[asyncpg.Record]:
    """Every lane as its row says; `status` is owned, free, expired (its owner is silent) or halted."""
    await lane_count(database)
    async with database.acquire() as connection:
        return await connection.fetch(_LANES)


def order_document(order: Order) -> dict[str, Any]:
    """The order as `paystate orders show` prints it: its facts with their units, and nothing internal.

    Whatever writes JSON can write it: times are text.
    """
    document = asdict(order)
    for internal in _INTERNAL:
        del document[internal]
    document["flags"] = sorted(order.flags)
    document["held_minor"] = order.held_minor
    return {name: _with_times_in_words(value) for name, value in document.items()}


def _with_times_in_words(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds, and the fields of that
    """The value with each time as RFC 3339 in UTC, however deep: a doubt has times of its own."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {name: _with_times_in_words(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_times_in_words(each) for each in value]
    return value


__all__ = [
    "COUNTERS",
    "Story",
    "dead_letters_of_key",
    "lane_rows",
    "missing_migrations",
    "order_document",
    "story_of",
]
