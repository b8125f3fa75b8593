"""One batch of a lane, in one call of the database."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from service.store.lanes import COUNTERS, LaneFencedError, LaneMovedError
from service.store.orders import born, detail
from statemachine.order import Operation, Order

FENCED = "PS001"
MOVED = "PS002"


class DataRefusedError(Exception):
    """The database refused the rows themselves (a CHECK, a type): some record of the batch is poison."""


@dataclass(frozen=True, slots=True)
class Record:
    """An input record, as much of it as has to be kept. `time` is the broker's timestamp of it."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    headers: str
    time: datetime


@dataclass(slots=True)
class JournalEntry:
    """A row of the journal: the state event's JSON, exactly as it will be published."""

    lane_seq: int
    order_id: str
    version: int
    order: Order
    event: bytes


@dataclass(slots=True)
class BatchRows:
    """All that one batch changes. Offsets follow INPUT_TOPICS; `counted` follows COUNTERS."""

    lane: int
    epoch: int
    seq: int
    next_seq: int
    published_seq: int
    offsets: list[int]
    next_offsets: list[int]
    fingerprints: str | None = None
    counted: list[int] = field(default_factory=lambda: [0] * len(COUNTERS))
    orders: dict[str, Order] = field(default_factory=dict)
    journal: list[JournalEntry] = field(default_factory=list)
    operations: dict[str, tuple[str, Operation]] = field(default_factory=dict)
    # Orders whose wake time has changed (None: no timer any more).
    timers: dict[str, datetime | None] = field(default_factory=dict)
    parked: list[tuple[Record, str]] = field(default_factory=list)
    unparked: list[tuple[str, int]] = field(default_factory=list)
    dead: list[tuple[Record, str]] = field(default_factory=list)


_PLACES = 56
_COMMIT = f"select commit_lane_batch({', '.join(f'${n}' for n in range(1, _PLACES + 1))})"


async def commit(connection: asyncpg.Connection, rows: BatchRows) -> datetime:
    """Commits the batch; answers Postgres's clock.

    Raises LaneFencedError, LaneMovedError or DataRefusedError, all of which changed nothing. Any other
    exception means that nobody knows whether it was done: close the connection and read the lane again.
    """
    try:
        now: datetime = await connection.fetchval(_COMMIT, *_arguments(rows))
    except asyncpg.PostgresError as error:
        if error.sqlstate == FENCED:
            raise LaneFencedError(str(error)) from None
        if error.sqlstate == MOVED:
            raise LaneMovedError(str(error)) from None
        # 22 data exception, 23 integrity constraint: the statement was rolled back, and would be again.
        if (error.sqlstate or "")[:2] in ("22", "23"):
            raise DataRefusedError(str(error)) from error
        raise
    return now


def _arguments(rows: BatchRows) -> tuple[Any, ...]:
    return (
        rows.lane,
        rows.epoch,
        rows.seq,
        rows.next_seq,
        rows.published_seq,
        rows.offsets,
        rows.next_offsets,
        rows.fingerprints,
        rows.counted,
        *_order_columns(list(rows.orders.values())),
        [entry.lane_seq for entry in rows.journal],
        [entry.order_id for entry in rows.journal],
        [entry.version for entry in rows.journal],
        [born(entry.order) for entry in rows.journal],
        [entry.event.decode() for entry in rows.journal],
        *_operation_columns(rows.operations),
        list(rows.timers),
        list(rows.timers.values()),
        [record.topic for record, _ in rows.parked],
        [record.offset for record, _ in rows.parked],
        [order_id for _, order_id in rows.parked],
        [record.key for record, _ in rows.parked],
        [record.value for record, _ in rows.parked],
        [record.headers for record, _ in rows.parked],
        [record.time for record, _ in rows.parked],
        [topic for topic, _ in rows.unparked],
        [offset for _, offset in rows.unparked],
        [record.topic for record, _ in rows.dead],
        [record.offset for record, _ in rows.dead],
        [record.key for record, _ in rows.dead],
        [record.value for record, _ in rows.dead],
        [record.headers for record, _ in rows.dead],
        [record.time for record, _ in rows.dead],
        [reason for _, reason in rows.dead],
    )


def _order_columns(orders: list[Order]) -> tuple[list[Any], ...]:
    return (
        [o.order_id for o in orders],
        [o.kind for o in orders],
        [o.profile for o in orders],
        [o.currency for o in orders],
        [o.amount_minor for o in orders],
        [o.state for o in orders],
        [o.version for o in orders],
        [o.frozen_minor for o in orders],
        [o.taken_minor for o in orders],
        [o.released_minor for o in orders],
        [o.refunded_minor for o in orders],
        [o.operation.kind if o.operation else None for o in orders],
        [o.operation.amount_minor if o.operation else None for o in orders],
        [" ".join(sorted(o.flags)) for o in orders],
        [born(o) for o in orders],
        [detail(o) for o in orders],
    )


def _operation_columns(operations: dict[str, tuple[str, Operation]]) -> tuple[list[Any], ...]:
    pairs = list(operations.values())
    return (
        [operation.id for _, operation in pairs],
        [order_id for order_id, _ in pairs],
        [operation.kind for _, operation in pairs],
        [operation.amount_minor for _, operation in pairs],
        [operation.state for _, operation in pairs],
        [operation.attempts for _, operation in pairs],
        [operation.complete for _, operation in pairs],
        [operation.reason for _, operation in pairs],
    )


__all__ = ["BatchRows", "DataRefusedError", "JournalEntry", "Record", "commit"]
