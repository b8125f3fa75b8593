"""The store alone: what one commit may change, who may make it, and what the database itself refuses."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg
import pytest

from schemas.vocabulary import Kind, OperationKind, State
from service.store import lanes, orders, parked, timers
from service.store.commit import DataRefusedError, Record, commit
from service.store.connection import Database
from service.store.journal import make_partitions, read_after, tail
from service.store.lanes import LaneFencedError, LaneMovedError, LaneRow, NotInstalledError
from service.store.migrate import migrate
from service.store.views import lane_rows, missing_migrations, story_of
from statemachine.order import Operation
from tests.faults.line import Line
from tests.integration.rows import NOW, a_batch, an_order

pytestmark = pytest.mark.integration

WORKER, OTHER = "a-worker", "another-worker"


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    await migrate(database_dsn, 2)
    opened = Database(database_dsn, "paystate_service")
    yield opened
    await opened.close()


@pytest.fixture
async def lane(database: Database) -> LaneRow:
    """Lane 0, claimed and ready for its first batch."""
    row = (await lanes.claim(database, WORKER, 30, 1))[0]
    await lanes.begin_at(database, row.lane, row.epoch, [0, 0, 0])
    return row


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    opened = await database.connect()
    yield opened
    await opened.close()


async def test_a_batch_is_stored_whole_and_read_back_as_it_was(
    database: Database, lane: LaneRow, connection: asyncpg.Connection
) -> None:
    operation = Operation("o1__B1", OperationKind.REFUND, 40)
    order = an_order(
        state=State.REFUNDING, taken_minor=100, operation=operation, request_counts={"B": 1}, seen=("e:1", "w:2")
    )
    rows = a_batch(lane, 0, 0, order)
    rows.operations = {operation.id: ("o1", operation)}
    rows.timers = {"o1": NOW}
    record = Record("wallet.callbacks", 7, None, b"\x00\xff", '[["name", "text"]]', NOW)
    rows.parked = [(record, "o2")]
    rows.dead = [(replace(record, offset=8, value=None), "no good")]
    await commit(connection, rows)

    assert (await orders.load(connection, lane.lane, ["o1", "o3"])) == {"o1": order}
    assert await timers.earliest(connection, lane.lane) == NOW
    assert (await timers.due_orders(connection, lane.lane, 10))[0] == ["o1"]
    assert await parked.counts(connection, lane.lane) == {"o2": 1}
    (waiting,) = await parked.load(connection, lane.lane, ["o2"])
    assert (waiting.value, waiting.key, waiting.headers) == (b"\x00\xff", None, [("name", b"text")])
    assert (await tail(database, lane.lane, 0)).lane_seq == 1
    assert [row.version for row in await read_after(database, lane.lane, 0, 10)] == [1]
    assert (await lanes.read(database, lane.lane, lane.epoch)).next_offsets == [1, 0, 0]
    story = await story_of(database, "o1")
    assert story is None or story.order == order


async def test_a_stale_epoch_changes_nothing(
    database: Database, lane: LaneRow, connection: asyncpg.Connection
) -> None:
    await lanes.release(database, lane.lane, lane.epoch, 0)
    newer = next(row for row in await lanes.claim(database, OTHER, 30, 2) if row.lane == lane.lane)
    assert newer.epoch == lane.epoch + 1
    with pytest.raises(LaneFencedError, match=f"is at epoch {newer.epoch}"):
        await commit(connection, a_batch(lane, 0, 0, an_order()))
    assert await orders.load(connection, lane.lane, ["o1"]) == {}
    assert (await tail(database, lane.lane, 0)).lane_seq == 0
    with pytest.raises(LaneFencedError):
        await lanes.read(database, lane.lane, lane.epoch)


async def test_a_commit_whose_answer_was_lost_cannot_be_made_twice(
    lane: LaneRow, connection: asyncpg.Connection
) -> None:
    rows = a_batch(lane, 0, 0, an_order())
    await commit(connection, rows)
    with pytest.raises(LaneMovedError):
        await commit(connection, rows)


async def test_a_commit_that_was_still_on_its_way_comes_too_late_once_its_owner_has_begun_anew(
    database: Database, lane: LaneRow, connection: asyncpg.Connection
) -> None:
    await commit(connection, a_batch(lane, 0, 0, an_order()))
    # It moves neither the offsets nor the sequence, as the attempt of a call does, so it would fit on the row.
    late = a_batch(lane, 1, 1)
    late.next_offsets, late.counted = late.offsets, [0] * 9
    late.orders = {"o1": an_order(subject="as it was before the doubt")}
    again = await lanes.take_again(database, lane.lane, lane.epoch)
    assert (again.epoch, again.lane_seq, again.next_offsets) == (lane.epoch + 1, 1, [1, 0, 0])
    with pytest.raises(LaneFencedError):
        await commit(connection, late)
    assert (await orders.load(connection, lane.lane, ["o1"]))["o1"].subject == "A mug"
    with pytest.raises(LaneFencedError):
        await lanes.take_again(database, lane.lane, lane.epoch)


async def test_a_halted_lane_takes_nothing_and_is_not_claimed(
    database: Database, lane: LaneRow, connection: asyncpg.Connection
) -> None:
    await lanes.halt(database, lane.lane, lane.epoch, "Postgres went back in time")
    with pytest.raises(LaneMovedError):
        await commit(connection, a_batch(lane))
    assert [row.lane for row in await lanes.claim(database, OTHER, 30, 10)] == [1 - lane.lane]
    shown = {row["lane"]: row for row in await lane_rows(database)}
    assert shown[lane.lane]["status"] == "halted"
    assert shown[lane.lane]["halt_reason"] == "Postgres went back in time"


@pytest.mark.parametrize(
    "broken",
    [
        {"taken_minor": 99},
        {"taken_minor": 100, "refunded_minor": 101},
        {"frozen_minor": 100},
        {"state": State.PAID},
        {"state": State.EXPIRED, "taken_minor": 100},
        {"state": State.REFUNDED, "taken_minor": 100, "refunded_minor": 50},
        {"kind": Kind.PREAUTH, "frozen_minor": 100, "taken_minor": 60, "released_minor": 41},
        {"kind": Kind.PREAUTH, "frozen_minor": 99},
        {"kind": Kind.PREAUTH, "state": State.AUTHORIZED},
        {
            "kind": Kind.PREAUTH,
            "frozen_minor": 100,
            "taken_minor": 60,
            "operation": Operation("o1__C2", OperationKind.CAPTURE, 41),
        },
        {"released_minor": -1},
        {"profile": "a\0b"},
    ],
    ids=str,
)
async def test_the_database_itself_refuses_an_order_that_cannot_be(
    database: Database, lane: LaneRow, connection: asyncpg.Connection, broken: dict[str, object]
) -> None:
    with pytest.raises(DataRefusedError):
        await commit(connection, a_batch(lane, 0, 0, an_order(**broken)))
    # All or nothing: the lane has not moved either.
    assert (await lanes.read(database, lane.lane, lane.epoch)).next_offsets == [0, 0, 0]


async def test_the_database_refuses_a_second_live_operation_of_an_order(
    lane: LaneRow, connection: asyncpg.Connection
) -> None:
    rows = a_batch(lane, 0, 0, an_order())
    first, second = Operation("o1__V1", OperationKind.CLOSE, 0), Operation("o1__V2", OperationKind.CLOSE, 0)
    rows.operations = {each.id: ("o1", each) for each in (first, second)}
    with pytest.raises(DataRefusedError, match="operations_live"):
        await commit(connection, rows)


async def test_the_service_adds_to_history_and_cannot_change_it(
    lane: LaneRow, connection: asyncpg.Connection
) -> None:
    await commit(connection, a_batch(lane, 0, 0, an_order()))
    for statement in (
        "update journal set version = 2",
        "delete from journal",
        "delete from orders",
        "update dead_letters set reason = ''",
        "truncate journal",
        "drop table orders",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_a_reader_reads_and_nothing_else(database_dsn: str, database: Database) -> None:
    reader = Database(database_dsn, "paystate_reader")
    async with reader.acquire() as connection:
        assert await connection.fetchval("select count(*) from lanes") == 2
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("update lanes set owner = 'me'")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("select make_journal_partition('2030-01-01')")
    await reader.close()


async def test_migrating_again_changes_nothing_and_another_number_of_lanes_is_refused(
    database_dsn: str, database: Database
) -> None:
    await migrate(database_dsn, 2)
    assert await missing_migrations(database) == []
    with pytest.raises(NotInstalledError, match="made for 2 lanes, and PAYSTATE_LANES says 3: set it to 2"):
        await migrate(database_dsn, 3)


async def test_a_database_that_was_never_migrated_says_so(database_dsn: str) -> None:
    bare = Database(database_dsn, None)
    with pytest.raises(NotInstalledError, match="run `paystate migrate`"):
        await lanes.lane_count(bare)
    assert await missing_migrations(bare) == [
        "0001_spine",
        "0002_commit_lane_batch",
        "0003_order_api",
        "0004_journal_months",
        "0005_lease_by_commit",
        "0006_dead_letters_by_key",
    ]
    await bare.close()


async def test_the_months_to_come_have_partitions(database: Database) -> None:
    await make_partitions(database)
    async with database.acquire() as connection:
        names = await connection.fetch("select tablename from pg_tables where tablename like 'journal_2%'")
    assert len(names) >= 4


async def test_leases_are_dealt_out_by_silence_and_by_name(database: Database) -> None:
    assert await lanes.heartbeat(database, WORKER, 30, []) == {}
    assert await lanes.alive_workers(database, 30) == [WORKER]
    claimed = await lanes.claim(database, WORKER, 30, 5)
    assert [row.lane for row in claimed] == [0, 1]
    assert await lanes.claim(database, OTHER, 30, 5) == []
    assert await lanes.heartbeat(database, WORKER, -1, [0]) == {0: 1}
    # The lease of lane 0 has just run out.
    assert [row.lane for row in await lanes.claim(database, OTHER, 30, 5)] == [0]
    assert await lanes.heartbeat(database, WORKER, 30, [0, 1]) == {1: 1}
    await lanes.retire(database, WORKER)
    assert await lanes.alive_workers(database, 30) == []


async def test_a_heartbeat_on_a_line_that_falls_silent_fails_within_its_patience(database: Database) -> None:
    line = Line(urlsplit(database.dsn).port or 0).lay()
    leases = Database(line.over(database.dsn), "paystate_service", patience_s=0.5)
    try:
        assert await lanes.heartbeat(leases, WORKER, 3, []) == {}
        line.fall_silent()
        # The limit of an ordinary statement is four times this.
        async with asyncio.timeout(5):
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    await lanes.heartbeat(leases, WORKER, 3, [])
        line.heal()
        assert await lanes.heartbeat(leases, WORKER, 3, []) == {}
    finally:
        await leases.close()
        line.end()
