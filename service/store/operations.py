"""Live operations of a lane, as a new owner finds them."""

import asyncpg

from service.store.orders import load
from statemachine.order import Order

_LIVE = """
    select order_id from operations where lane = $1 and state in ('reserved', 'submitting', 'unknown')
"""


async def live(connection: asyncpg.Connection, lane: int) -> list[Order]:
    """The orders that have a live operation, each carrying it."""
    rows = await connection.fetch(_LIVE, lane)
    if not rows:
        return []
    orders = await load(connection, lane, [row["order_id"] for row in rows])
    return [order for order in orders.values() if order.operation is not None]
