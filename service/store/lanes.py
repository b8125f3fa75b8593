"""Who owns a lane: leases, epochs, halts. The clock is Postgres's own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
import orjson

from schemas.vocabulary import INPUT_TOPICS
from service.store.connection import Database

# What became of a record, in the order of the `counters` column. They add up to the offsets.
COUNTERS = (
    "applied",
    "absorbed",
    "refused",
    "flagged",
    "duplicate",
    "parked",
    "dead_lettered",
    "forwarded",
    "skipped",
)


class LaneFencedError(Exception):
    """Another worker has taken the lane: nothing that this one still does may count."""


class LaneMovedError(Exception):
    """The lane row is not where the worker believed: an earlier commit, whose answer was lost, had been done."""


class NotInstalledError(Exception):
    """The database has no lanes yet, or another number of them; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The last record that was read from a topic: enough to notice that the topic is another one now."""

    offset: int
    timestamp_ms: int
    crc: int


@dataclass(slots=True)
class LaneRow:
    """A lane as its row says. `next_offsets` follows INPUT_TOPICS; None before the first claim."""

    lane: int
    epoch: int
    lane_seq: int
    published_seq: int
    next_offsets: list[int] | None
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    now: datetime | None = None


# Or ends later than any: the clock was set back. An engine of before 0005 does not say how long, 300 s at most.
LAPSED = """(lease_until < clock_timestamp()
    or lease_until > clock_timestamp() + make_interval(secs => 2 * coalesce(lease_s, 300)))"""
_ROW = "lane, epoch, lane_seq, published_seq, next_offsets, fingerprints, clock_timestamp() as now"

_HEARTBEAT = """
    with beat as (
        insert into workers (worker, heartbeat_at) values ($1, clock_timestamp())
        on conflict (worker) do update set heartbeat_at = excluded.heartbeat_at
    ),
    -- A lane whose commit is on its way is not waited for, since that renews the lease itself: one that is stuck
    -- keeps one lane from its heartbeat, not all of them. And what is locked nobody else can claim.
    free as materialized (
        select lane from lanes where owner = $1 and lane = any($3) order by lane for update skip locked
    ),
    kept as (
        update lanes set lease_until = clock_timestamp() + make_interval(secs => $2), lease_s = $2
        where lane in (select lane from free)
    )
    select lane, epoch from lanes where owner = $1 and lane = any($3)
"""
_ALIVE = """
    -- A heartbeat from the future is one from before the clock was set back: whoever lives has had another since.
    -- A locked row is passed over: its worker has just come back, or somebody else forgets it.
    with silent as materialized (
        select worker from workers where heartbeat_at < clock_timestamp() - interval '1 hour'
            or heartbeat_at > clock_timestamp() + make_interval(secs => $1) for update skip locked
    ),
    forgotten as (delete from workers where worker in (select worker from silent))
    select worker from workers where heartbeat_at > clock_timestamp() - make_interval(secs => $1)
        and heartbeat_at < clock_timestamp() + make_interval(secs => $1) order by worker
"""
_CLAIM = f"""
    -- Materialized: a plan that ran the inner query twice would lock more lanes than it takes.
    with free as materialized (
        select lane from lanes
        where halt_reason is null and (owner is null or {LAPSED})
        order by lane limit $3 for update skip locked
    )
    update lanes set epoch = epoch + 1, owner = $1,
        lease_until = clock_timestamp() + make_interval(secs => $2), lease_s = $2
    where lane in (select lane from free)
    returning {_ROW}
"""  # noqa: S608 - constants
_TAKE_AGAIN = f"update lanes set epoch = epoch + 1 where lane = $1 and epoch = $2 returning {_ROW}"  # noqa: S608
_MARK = "update lanes set published_seq = greatest(published_seq, $3) where lane = $1 and epoch = $2"
_RELEASE = """
    update lanes set owner = null, lease_until = null, published_seq = greatest(published_seq, $3)
    where lane = $1 and epoch = $2
"""


def _row(record: asyncpg.Record) -> LaneRow:
    fingerprints = orjson.loads(record["fingerprints"]) if record["fingerprints"] else {}
    return LaneRow(
        lane=record["lane"],
        epoch=record["epoch"],
        lane_seq=record["lane_seq"],
        published_seq=record["published_seq"],
        next_offsets=record["next_offsets"],
        fingerprints={topic: Fingerprint(*values) for topic, values in fingerprints.items()},
        now=record["now"],
    )


async def install(database: Database, lane_count: int) -> None:
    """Makes the lane rows, once; N is kept for ever, because `lane` is part of every key.

    Raises NotInstalledError when the database was made for another number of lanes.
    """
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(
            "insert into installation (lane_count) values ($1) on conflict (one) do nothing", lane_count
        )
        kept = await connection.fetchval("select lane_count from installation")
        if kept != lane_count:
            raise NotInstalledError(
                f"this database was made for {kept} lanes, and PAYSTATE_LANES says {lane_count}: set it to {kept}"
            )
        await connection.execute(
            "insert into lanes (lane) select generate_series(0, $1 - 1) on conflict (lane) do nothing",
            lane_count,
        )


async def lane_count(database: Database) -> int:
    """How many lanes the database was made for. Raises NotInstalledError when it is empty."""
    async with database.acquire() as connection:
        if await connection.fetchval("select to_regclass('paystate.installation')") is None:
            raise NotInstalledError("the database has no paystate tables: run `paystate migrate`")
        count = await connection.fetchval("select lane_count from installation")
    if count is None:
        raise NotInstalledError("the database has no lanes: run `paystate migrate`")
    return int(count)


async def heartbeat(database: Database, worker: str, lease_ttl_s: float, held: Sequence[int]) -> dict[int, int]:
    """Says that the worker lives and renews the leases that it holds; answers those still its own, with epochs.

    A lane whose row is locked, by a commit on its way, is answered and not renewed: the commit does that (0005).
    """
    async with database.acquire() as connection:
        rows = await connection.fetch(_HEARTBEAT, worker, lease_ttl_s, list(held))
    return {row["lane"]: row["epoch"] for row in rows}


async def alive_workers(database: Database, lease_ttl_s: float) -> list[str]:
    """Workers whose heartbeat is younger than a lease, in the order of their shares; forgets the long silent."""
    async with database.acquire() as connection:
        return [row["worker"] for row in await connection.fetch(_ALIVE, lease_ttl_s)]


async def claim(database: Database, worker: str, lease_ttl_s: float, limit: int) -> list[LaneRow]:
    """Takes up to `limit` free or expired lanes; each claim bumps the lane's epoch and so fences its last owner."""
    async with database.acquire() as connection:
        return [_row(record) for record in await connection.fetch(_CLAIM, worker, lease_ttl_s, limit)]


async def read(database: Database, lane: int, epoch: int) -> LaneRow:
    """The lane's row, if the epoch is still ours. Raises LaneFencedError otherwise."""
    async with database.acquire() as connection:
        record = await connection.fetchrow(
            f"select {_ROW} from lanes where lane = $1 and epoch = $2",  # noqa: S608 - a constant
            lane,
            epoch,
        )
    if record is None:
        raise LaneFencedError(f"lane {lane} is no longer at epoch {epoch}")
    return _row(record)


async def take_again(database: Database, lane: int, epoch: int) -> LaneRow:
    """The lane's row under a new epoch, for an owner in doubt. Raises LaneFencedError when it is another's.

    A commit without an answer may still be on its way. One that moves neither offsets nor `lane_seq` (an attempt,
    a question) would fit on any row that has not moved since; under its own epoch it comes too late.
    """
    async with database.acquire() as connection:
        record = await connection.fetchrow(_TAKE_AGAIN, lane, epoch)
    if record is None:
        raise LaneFencedError(f"lane {lane} is no longer at epoch {epoch}")
    return _row(record)


async def mark_published(database: Database, lane: int, epoch: int, published_seq: int) -> None:
    """Keeps how far the lane is published for good, where no commit will say so soon."""
    async with database.acquire() as connection:
        await connection.execute(_MARK, lane, epoch, published_seq)


async def begin_at(database: Database, lane: int, epoch: int, offsets: Sequence[int]) -> None:
    """Sets where a lane that was never owned begins to read."""
    async with database.acquire() as connection:
        await begin_in(connection, lane, epoch, offsets)


async def begin_in(connection: asyncpg.Connection, lane: int, epoch: int, offsets: Sequence[int]) -> None:
    """As `begin_at`, in the connection's transaction."""
    await connection.execute(
        "update lanes set first_offsets = $3, next_offsets = $3"
        " where lane = $1 and epoch = $2 and next_offsets is null",
        lane,
        epoch,
        list(offsets),
    )


async def release(database: Database, lane: int, epoch: int, published_seq: int) -> None:
    """Gives a drained lane back, so that another worker need not wait for the lease to run out."""
    async with database.acquire() as connection:
        await connection.execute(_RELEASE, lane, epoch, published_seq)


async def retire(database: Database, worker: str) -> None:
    """Takes a worker off the list that shares are reckoned by."""
    async with database.acquire() as connection:
        await connection.execute("delete from workers where worker = $1", worker)


async def halt(database: Database, lane: int, epoch: int, reason: str) -> None:
    """Stops a lane until a person has looked. Nobody claims it; `paystate lanes` shows the reason."""
    async with database.acquire() as connection:
        await connection.execute(
            "update lanes set halt_reason = $3, owner = null, lease_until = null where lane = $1 and epoch = $2",
            lane,
            epoch,
            reason,
        )


async def halted_lanes(database: Database) -> set[int]:
    """The lanes that wait for a person."""
    async with database.acquire() as connection:
        return {
            row["lane"] for row in await connection.fetch("select lane from lanes where halt_reason is not null")
        }


async def halted(connection: asyncpg.Connection, lane: int) -> tuple[LaneRow, str | None]:
    """The lane's row, locked, and why it is halted; None when it is not. Raises NotInstalledError."""
    record = await connection.fetchrow(
        f"select {_ROW}, halt_reason from lanes where lane = $1 for update",  # noqa: S608 - a constant
        lane,
    )
    if record is None:
        raise NotInstalledError(f"there is no lane {lane}")
    return _row(record), record["halt_reason"]


async def free(connection: asyncpg.Connection, lane: int, shifts: Sequence[int] = (0, 0, 0)) -> int:
    """Lets a halted lane be claimed again, and answers its new epoch. `shifts` moves where its counting began."""
    epoch: int = await connection.fetchval(
        """
        update lanes set halt_reason = null, owner = null, lease_until = null, epoch = epoch + 1,
            first_offsets = array(select a + b from unnest(first_offsets, $2::bigint[])
                with ordinality as c(a, b, i) order by i)
        where lane = $1 returning epoch
        """,
        lane,
        list(shifts),
    )
    return epoch


async def resume(database: Database, lane: int) -> str | None:
    """Frees a halted lane as it is; answers why it had halted, None when it had not."""
    async with database.acquire() as connection, connection.transaction():
        _, reason = await halted(connection, lane)
        if reason is not None:
            await free(connection, lane)
        return reason


def fingerprints_json(fingerprints: dict[str, Fingerprint]) -> str:
    """The column's text."""
    return orjson.dumps({topic: [f.offset, f.timestamp_ms, f.crc] for topic, f in fingerprints.items()}).decode()


TOPIC_INDEX = {str(topic): index for index, topic in enumerate(INPUT_TOPICS)}
