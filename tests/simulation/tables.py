"""The tables of the simulated Postgres, and what their constraints refuse. One dict a table, by primary key."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import asyncpg

from service.store.lanes import COUNTERS

LIVE = ("reserved", "submitting", "unknown")
ENDED_FOR_NOTHING = ("expired", "closed", "voided")
BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)

Row = dict[str, Any]


@dataclass(slots=True)
class Lane:
    """A row of `lanes`."""

    lane: int
    epoch: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
    lease_s: float | None = None
    halt_reason: str | None = None
    lane_seq: int = 0
    published_seq: int = 0
    first_offsets: list[int] | None = None
    next_offsets: list[int] | None = None
    fingerprints: str | None = None
    counters: list[int] = field(default_factory=lambda: [0] * len(COUNTERS))


@dataclass(slots=True)
class Tables:
    """Everything that is stored."""

    lanes: dict[int, Lane]
    workers: dict[str, datetime] = field(default_factory=dict)
    orders: dict[tuple[int, str], Row] = field(default_factory=dict)
    # Each lane's entries in the order of their lane_seq.
    journal: dict[int, list[Row]] = field(default_factory=dict)
    operations: dict[tuple[int, str], Row] = field(default_factory=dict)
    timers: dict[tuple[int, str], datetime] = field(default_factory=dict)
    parked: dict[tuple[int, str, int], Row] = field(default_factory=dict)
    dead_letters: dict[tuple[int, str, int], Row] = field(default_factory=dict)


def of_lanes(count: int) -> Tables:
    """Freshly migrated."""
    return Tables({lane: Lane(lane) for lane in range(count)}, journal={lane: [] for lane in range(count)})


def check_order(row: Row) -> None:
    """The CHECK constraints of `orders`; raises CheckViolationError."""
    frozen, taken, released, refunded = (
        row[f"{name}_minor"] for name in ("frozen", "taken", "released", "refunded")
    )
    amount, kind, state = row["amount_minor"], row["kind"], row["state"]
    live, live_kind = row["live_amount_minor"] or 0, row["live_kind"]
    rules = {
        "amount_is_positive": amount > 0 and row["version"] > 0,
        "amounts_are_not_negative": min(frozen, taken, released, refunded) >= 0,
        "refunds_are_covered": refunded + (live if live_kind == "refund" else 0) <= taken,
        "a_payment_is_taken_whole": kind != "payment" or (taken in (0, amount) and frozen == 0 and released == 0),
        "an_authorization_is_frozen_whole": kind != "preauth" or frozen in (0, amount),
        "captures_and_releases_are_covered": kind != "preauth"
        or taken + released + (live if live_kind in ("capture", "release") else 0) <= frozen,
        "nothing_is_kept_of_an_ended_order": state not in ENDED_FOR_NOTHING or taken == refunded,
        "paid_means_taken": state != "paid" or (taken == amount and refunded == 0),
        "refunded_means_all_of_it": state != "refunded" or (refunded == taken and taken > 0),
        "authorized_means_frozen": state != "authorized" or (frozen > 0 and taken == 0),
    }
    # In the order of their names, as Postgres looks at them.
    for name, holds in sorted(rules.items()):
        if not holds:
            raise asyncpg.CheckViolationError(f'new row for relation "orders" violates check constraint "{name}"')
    if any("\0" in str(value) for value in row.values()):
        raise asyncpg.CharacterNotInRepertoireError('invalid byte sequence for encoding "UTF8": 0x00')


def unique(name: str) -> asyncpg.PostgresError:
    """A key that is there already."""
    return asyncpg.UniqueViolationError(f'duplicate key value violates unique constraint "{name}"')


def raised(sqlstate: str, message: str) -> asyncpg.PostgresError:
    """An error with a SQLSTATE of our own, as PL/pgSQL raises it."""
    error = asyncpg.PostgresError(message)
    error.sqlstate = sqlstate
    return error


def order_row(values: tuple[Any, ...], lane: int) -> Row:
    """One element of each of the sixteen columns, in the order of commit_lane_batch."""
    names = (
        "order_id", "kind", "profile", "currency", "amount_minor", "state", "version", "frozen_minor",
        "taken_minor", "released_minor", "refunded_minor", "live_kind", "live_amount_minor", "flags", "born",
        "detail",
    )  # fmt: skip
    row: Row = {"lane": lane, **dict(zip(names, values, strict=True))}
    # Words of ours become text, as they do on the wire.
    for name in ("kind", "state", "live_kind"):
        row[name] = None if row[name] is None else str(row[name])
    row["flags"] = row["flags"].split(" ") if row["flags"] else []
    assert isinstance(row["born"], date)
    return row
