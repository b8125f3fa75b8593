"""Leases and commits on the same rows: neither waits for the other longer than it must."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from service import doctor
from service.config import Config, Settings
from service.store import lanes
from service.store.commit import commit
from service.store.connection import Database
from service.store.lanes import LaneRow
from service.store.migrate import migrate
from service.store.views import lane_rows
from tests.integration.rows import a_batch, an_order

pytestmark = pytest.mark.integration

WORKER, OTHER = "a-worker", "another-worker"
LEASE_S = 30.0
SOON_S = 2.0


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    await migrate(database_dsn, 2)
    opened = Database(database_dsn, "paystate_service")
    yield opened
    await opened.close()


@pytest.fixture
async def claimed(database: Database) -> list[LaneRow]:
    """Both lanes, ready for their first batch."""
    rows = await lanes.claim(database, WORKER, LEASE_S, 2)
    for row in rows:
        await lanes.begin_at(database, row.lane, row.epoch, [0, 0, 0])
    return rows


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    opened = await database.connect()
    yield opened
    opened.terminate()


async def _left_s(database: Database) -> list[float]:
    """How long each lane's lease still lasts."""
    async with database.acquire() as connection:
        rows = await connection.fetch("select lease_until - clock_timestamp() as left from lanes order by lane")
    return [row["left"].total_seconds() for row in rows]


async def _let_lapse(database: Database, left_s: float = -1) -> None:
    async with database.acquire() as connection:
        await connection.execute("update lanes set lease_until = clock_timestamp() + $1", timedelta(seconds=left_s))


async def _beat_earlier(database: Database, earlier_s: float) -> None:
    async with database.acquire() as connection:
        await connection.execute(
            "update workers set heartbeat_at = heartbeat_at - $1::interval", timedelta(seconds=earlier_s)
        )


async def _known(database: Database) -> set[str]:
    async with database.acquire() as connection:
        return {row["worker"] for row in await connection.fetch("select worker from workers")}


async def _statuses(database: Database) -> list[str]:
    return [row["status"] for row in await lane_rows(database)]


async def test_a_commit_that_is_stuck_costs_no_other_lane_its_lease(
    database: Database, claimed: list[LaneRow], connection: asyncpg.Connection
) -> None:
    await _let_lapse(database)
    under_way = connection.transaction()
    await under_way.start()
    await commit(connection, a_batch(claimed[0], 0, 0, an_order()))
    async with asyncio.timeout(SOON_S):
        assert await lanes.heartbeat(database, WORKER, LEASE_S, [0, 1]) == {0: 1, 1: 1}
        assert await lanes.alive_workers(database, SOON_S) == [WORKER]
    stuck_s, other_s = await _left_s(database)
    assert stuck_s < 0 < other_s
    # Its row is the commit's: nobody else can take the lane from under it.
    async with asyncio.timeout(SOON_S):
        assert await lanes.claim(database, OTHER, LEASE_S, 2) == []
    await under_way.commit()
    assert min(await _left_s(database)) > LEASE_S - 2 * SOON_S


async def test_a_stuck_commit_that_comes_to_nothing_leaves_its_lane_to_the_next_heartbeat(
    database: Database, claimed: list[LaneRow], connection: asyncpg.Connection
) -> None:
    await _let_lapse(database)
    under_way = connection.transaction()
    await under_way.start()
    await commit(connection, a_batch(claimed[0], 0, 0, an_order()))
    await lanes.heartbeat(database, WORKER, LEASE_S, [0, 1])
    await under_way.rollback()
    assert (await _left_s(database))[0] < 0
    await lanes.heartbeat(database, WORKER, LEASE_S, [0, 1])
    assert min(await _left_s(database)) > LEASE_S - SOON_S


async def test_a_commit_renews_its_lanes_lease_and_no_other(
    database: Database, claimed: list[LaneRow], connection: asyncpg.Connection
) -> None:
    await _let_lapse(database)
    await commit(connection, a_batch(claimed[0]))
    mine_s, other_s = await _left_s(database)
    assert other_s < 0 < LEASE_S - SOON_S < mine_s <= LEASE_S
    # Nor does it ever make one shorter.
    await _let_lapse(database, 2 * LEASE_S)
    await commit(connection, a_batch(claimed[0], 0, 1))
    assert min(await _left_s(database)) > LEASE_S


async def test_a_commit_leaves_the_lease_alone_that_an_older_engine_has_taken(
    database: Database, claimed: list[LaneRow], connection: asyncpg.Connection
) -> None:
    await _let_lapse(database)
    async with database.acquire() as other:
        await other.execute("update lanes set lease_s = null")
    await commit(connection, a_batch(claimed[0]))
    assert (await _left_s(database))[0] < 0


async def test_a_lane_that_was_taken_meanwhile_is_not_answered(database: Database, claimed: list[LaneRow]) -> None:
    await _let_lapse(database)
    assert len(await lanes.claim(database, OTHER, LEASE_S, 1)) == 1
    assert await lanes.heartbeat(database, WORKER, LEASE_S, [0, 1]) == {1: 1}


async def test_what_lies_in_the_future_since_the_clock_was_set_back_counts_for_nothing(
    database: Database, claimed: list[LaneRow]
) -> None:
    """The heartbeat and the leases of an engine that died before."""
    await lanes.heartbeat(database, WORKER, LEASE_S, [row.lane for row in claimed])
    await _let_lapse(database, 2 * LEASE_S - 1)
    assert await lanes.claim(database, OTHER, LEASE_S, 2) == []
    assert await _statuses(database) == ["owned", "owned"]
    config = Config(Settings(lanes=2), {}, None)
    assert await doctor._lanes(config, database) == "all 2 are worked on"
    await _beat_earlier(database, -3600)
    await _let_lapse(database, 3600)
    assert await lanes.alive_workers(database, LEASE_S) == []
    assert await _statuses(database) == ["expired", "expired"]
    with pytest.raises(doctor.NotWellError, match="0 of 2 are worked on"):
        await doctor._lanes(config, database)
    assert len(await lanes.claim(database, OTHER, LEASE_S, 2)) == 2


async def test_a_lease_of_an_older_engine_may_be_as_long_as_any_and_no_longer(
    database: Database, claimed: list[LaneRow]
) -> None:
    """It does not say how long it is."""
    async with database.acquire() as connection:
        await connection.execute("update lanes set lease_s = null")
    await _let_lapse(database, 599)
    assert await lanes.claim(database, OTHER, LEASE_S, 2) == []
    await _let_lapse(database, 610)
    assert len(await lanes.claim(database, OTHER, LEASE_S, 2)) == len(claimed)


@pytest.mark.parametrize(("earlier_s", "kept"), [(3_590, True), (3_610, False), (1 - LEASE_S, True), (-60, False)])
async def test_a_worker_is_forgotten_when_it_was_silent_for_long_or_was_before_the_clock_was_set_back(
    database: Database, earlier_s: float, *, kept: bool
) -> None:
    """One that crashed takes itself off no list, and would count again when the clock has caught up."""
    await lanes.heartbeat(database, WORKER, LEASE_S, [])
    await _beat_earlier(database, earlier_s)
    await lanes.heartbeat(database, OTHER, LEASE_S, [])
    assert OTHER in await lanes.alive_workers(database, LEASE_S)
    assert await _known(database) == ({WORKER, OTHER} if kept else {OTHER})


async def test_a_worker_that_is_back_is_neither_waited_for_nor_forgotten(database: Database) -> None:
    await lanes.heartbeat(database, WORKER, LEASE_S, [])
    await _beat_earlier(database, 7_200)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("update workers set heartbeat_at = clock_timestamp()")
        async with asyncio.timeout(SOON_S):
            assert await lanes.alive_workers(database, LEASE_S) == []
    assert await lanes.alive_workers(database, LEASE_S) == [WORKER]
