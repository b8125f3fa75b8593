"""The journal's months are made while others read and commit, and nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service import engine
from service.store import lanes
from service.store.commit import commit
from service.store.connection import Database
from service.store.journal import make_partitions
from service.store.lanes import LaneRow
from service.store.migrate import migrate
from tests.integration.rows import a_batch, an_order
from tests.logs import logs_of

pytestmark = pytest.mark.integration

WORKER = "a-worker"
# Less than a lease, and far more than what the partition may wait.
SOON_S = 2.0


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    await migrate(database_dsn, 2)
    opened = Database(database_dsn, "paystate_service")
    yield opened
    await opened.close()


@pytest.fixture
async def lane(database: Database) -> LaneRow:
    row = (await lanes.claim(database, WORKER, 30, 1))[0]
    await lanes.begin_at(database, row.lane, row.epoch, [0, 0, 0])
    return row


@pytest.fixture
async def person(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Somebody with every right and a connection of their own."""
    opened = await asyncpg.connect(database.dsn, server_settings={"search_path": "paystate", "TimeZone": "UTC"})
    yield opened
    await opened.close()


async def _name_of_the_month(person: asyncpg.Connection, ahead: int) -> str:
    name: str = await person.fetchval(
        "select 'journal_' || to_char(current_date + make_interval(months => $1), 'YYYYMM')", ahead
    )
    return name


async def _without_the_month(person: asyncpg.Connection, ahead: int) -> str:
    """As if time had gone by: the month so far ahead has no partition. Answers the name that it will have."""
    name = await _name_of_the_month(person, ahead)
    await person.execute(f"drop table {name}")
    return name


async def _months(person: asyncpg.Connection) -> set[str]:
    rows = await person.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'journal'::regclass"
    )
    return {row["name"] for row in rows}


async def test_neither_commits_nor_heartbeats_wait_while_a_dump_keeps_a_month_from_being_made(
    database: Database, lane: LaneRow, person: asyncpg.Connection
) -> None:
    month = await _without_the_month(person, 2)
    connection = await database.connect()

    async def work() -> None:
        await asyncio.sleep(0.05)
        for n in range(20):
            async with asyncio.timeout(SOON_S):
                await commit(connection, a_batch(lane, n, n, an_order(order_id=f"o{n}")))
                assert lane.lane in await lanes.heartbeat(database, WORKER, 30, [lane.lane])

    try:
        async with person.transaction(isolation="repeatable_read", readonly=True):
            await person.fetchval("select count(*) from journal")
            async with asyncio.timeout(2 * SOON_S):
                days_until, _ = await asyncio.gather(make_partitions(database), work())
            assert days_until is not None
            assert 28 <= days_until <= 62
            assert month not in await _months(person)
        assert await make_partitions(database) is None
        assert month in await _months(person)
    finally:
        connection.terminate()


async def test_a_month_made_later_is_like_those_of_the_beginning(
    database: Database, person: asyncpg.Connection
) -> None:
    shown = """
        select pg_get_expr(c.relpartbound, c.oid), c.relowner::regrole::text,
            array(select pg_get_constraintdef(k.oid) from pg_constraint k where conrelid = c.oid order by 1),
            array(select indexrelid::regclass::text from pg_index where indrelid = c.oid order by 1)
        from pg_class c where c.oid = to_regclass($1)
    """
    name = await _name_of_the_month(person, 3)
    before = await person.fetchrow(shown, name)
    assert await _without_the_month(person, 3) == name
    assert await make_partitions(database) is None
    assert await person.fetchrow(shown, name) == before


async def test_only_one_engine_at_a_time_makes_months(database: Database, person: asyncpg.Connection) -> None:
    month = await _without_the_month(person, 1)
    async with person.transaction():
        await person.execute("select pg_advisory_xact_lock(1885436275, 1)")
        # It is the other engine's business, and its to try again.
        assert await make_partitions(database) is None
        assert month not in await _months(person)
    assert await make_partitions(database) is None
    assert month in await _months(person)


async def test_a_month_that_the_default_partition_has_taken_stays_there(
    database: Database, person: asyncpg.Connection
) -> None:
    month = await _without_the_month(person, 0)
    await person.execute("insert into journal values (0, 1, 'o1', 1, current_date, '{}')")
    assert await make_partitions(database) is None
    assert month not in await _months(person)


@pytest.mark.parametrize(("ahead", "level"), [(0, "error"), (3, "info")])
async def test_a_month_is_tried_again_soon_and_only_a_near_one_is_an_error(
    database: Database, person: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, ahead: int, level: str
) -> None:
    month = await _without_the_month(person, ahead)
    monkeypatch.setattr(engine, "HOUSEKEEPING_AGAIN_S", 0.01)
    logs = logs_of(engine, monkeypatch)
    async with person.transaction(isolation="repeatable_read", readonly=True):
        await person.fetchval("select count(*) from journal")
        keeping = asyncio.create_task(engine.make_room_ahead(database))
        async with asyncio.timeout(SOON_S):
            while len(logs) < 2:
                await asyncio.sleep(0.01)
    async with asyncio.timeout(SOON_S):
        while month not in await _months(person):
            await asyncio.sleep(0.01)
    keeping.cancel()
    assert {(line["event"], line["log_level"]) for line in logs} == {("journal_partition_waits", level)}
