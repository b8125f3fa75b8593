"""Timers and parked counts of a lane. Postgres's clock decides what is due."""

from datetime import datetime

import asyncpg


async def earliest(connection: asyncpg.Connection, lane: int) -> datetime | None:
    """When the lane's next timer is due."""
    due: datetime | None = await connection.fetchval("select min(due_at) from timers where lane = $1", lane)
    return due


async def due_orders(connection: asyncpg.Connection, lane: int, limit: int) -> tuple[list[str], datetime]:
    """The orders whose timers have come, the longest overdue first; and Postgres's clock, by which they have."""
    now: datetime = await connection.fetchval("select clock_timestamp()")
    rows = await connection.fetch(
        "select order_id from timers where lane = $1 and due_at <= $2 order by due_at limit $3", lane, now, limit
    )
    return [row["order_id"] for row in rows], now
