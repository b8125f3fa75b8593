"""`paystate verify`: it takes the time that it needs, and says no to what consumers must not have seen."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from schemas.vocabulary import Topic
from service import wiring
from service.config import Config, Settings
from service.dev.kafka import EmbeddedKafka
from service.kafka.access import KafkaAccess
from service.kafka.clients import started, transactional_producer
from service.kafka.topics import administrator, create_topics
from service.store.connection import STATEMENT_TIMEOUT_S, Database
from service.store.migrate import migrate
from service.verify import Report, verify
from tests.integration.conftest import run_paystate

pytestmark = pytest.mark.integration

LANES = 2
SHORT_S = 0.5
PUBLISHED = "consumers_see_every_entry_once"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of the test's own: its topics have this database's lanes."""
    with EmbeddedKafka(tmp_path / "kafka") as server:
        yield server


@pytest.fixture
async def config(broker: EmbeddedKafka, database_dsn: str) -> Config:
    await migrate(database_dsn, LANES)
    await create_topics(KafkaAccess(broker.bootstrap), LANES)
    settings = Settings(postgres_dsn=database_dsn, kafka_bootstrap=broker.bootstrap, lanes=LANES, profiles={})
    return Config(settings, {}, None)


@pytest.fixture
async def database(config: Config) -> AsyncIterator[Database]:
    """It has little patience, except for what reads everything."""
    opened = wiring.database(config, SHORT_S)
    yield opened
    await opened.close()


@pytest.fixture
async def person(config: Config) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else, who may do everything."""
    connection = await asyncpg.connect(config.settings.postgres_dsn, server_settings={"search_path": "paystate"})
    yield connection
    await connection.close()


# ------------------------------------------------------------------------------------------------------- its time


async def test_a_rule_may_take_longer_than_a_statement_of_a_lane(
    config: Config, database: Database, person: asyncpg.Connection
) -> None:
    async with person.transaction():
        await person.execute("lock table journal in access exclusive mode")
        verifying = asyncio.create_task(verify(database, config.kafka, 10.0))
        _, waiting = await asyncio.wait({verifying}, timeout=3 * SHORT_S)
        assert waiting
    assert (await verifying).ok


async def test_a_host_that_is_gone_is_noticed_all_the_same(database: Database) -> None:
    """It cannot be taken away here; that TCP looks after it is what can be seen."""
    async with database.snapshot() as connection:
        line = connection._transport.get_extra_info("socket")
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle, every, probes = (
            line.getsockopt(socket.IPPROTO_TCP, getattr(socket, option))
            for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        )
        assert idle + every * probes == STATEMENT_TIMEOUT_S
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == STATEMENT_TIMEOUT_S * 1000


async def test_whoever_is_interrupted_leaves_no_statement_behind(
    database: Database, person: asyncpg.Connection
) -> None:
    asleep = "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'"

    async def sleep() -> None:
        async with database.snapshot() as connection:
            await connection.execute("select pg_sleep(60)")

    sleeping = asyncio.create_task(sleep())
    async with asyncio.timeout(10):
        while not await person.fetchval(asleep):
            await asyncio.sleep(0.05)
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)
    assert await person.fetchval(asleep) == 0


# ----------------------------------------------------------------------------------------------- what it says no to


async def _write(person: asyncpg.Connection, lane: int, *events: dict[str, Any]) -> None:
    """Entries of order `o{lane}` as the lane's journal would have them, from the first on."""
    for seq, event in enumerate(events, 1):
        entry = orjson.dumps({"event_id": f"e{seq}", "lane_seq": seq, **event}).decode()
        await person.execute(
            "insert into journal values ($1, $2, $3, $4, '2026-11-24', $5)", lane, seq, f"o{lane}", seq, entry
        )
    await person.execute("update lanes set lane_seq = $2 where lane = $1", lane, len(events))


async def _publish(config: Config, lane: int, *events: tuple[int, str]) -> None:
    """State events with these numbers and ids, as a relay would publish them."""
    access = KafkaAccess(config.settings.kafka_bootstrap)
    async with started(transactional_producer(access, "a-relay")) as producer, producer.transaction():
        for seq, event_id in events:
            value = orjson.dumps({"event_id": event_id, "lane_seq": seq})
            await producer.send_and_wait(Topic.STATE_EVENTS, value, partition=lane)


def _said(report: Report, name: str) -> str:
    """What a check says, as the command prints it."""
    check = next(check for check in report.checks if check.name == name)
    return f"{'ok' if check.ok else 'NO'}  {check.detail}"


def _entries(count: int) -> list[dict[str, Any]]:
    return [{"previous_state": "paid" if n else None, "state": "paid"} for n in range(count)]


async def test_a_state_from_nowhere_and_a_total_that_falls_are_told(
    config: Config, database: Database, person: asyncpg.Connection
) -> None:
    created = {"previous_state": None, "state": "created", "taken_minor": 0}
    paid = {"previous_state": "paying", "state": "paid", "taken_minor": 7}
    less = {"previous_state": "paid", "state": "paid", "taken_minor": 6}
    await _write(person, 0, created, paid, less)
    report = await verify(database, config.kafka, 0.0)
    assert _said(report, "states_follow_one_another") == (
        "NO  order o0: version 2 comes from paying after created; order o0: version 3 comes from paid after paid,"
        " and a total falls"
    )


async def test_what_is_published_otherwise_than_the_journal_has_it_is_told(
    config: Config, database: Database, person: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.verify.published.MOST_AT_ONCE", 2)
    await _write(person, 0, *_entries(7))
    await _write(person, 1, *_entries(7))
    await _publish(config, 0, (1, "e1"), (2, "e2"), (3, "e3"), (4, "another"), (5, "e5"), (6, "e6"), (7, "e7"))
    # The first may have any number: what came before it is older than the topic's retention.
    await _publish(config, 1, (3, "e3"), (4, "e4"), (4, "e4"), (5, "e5"), (7, "e7"))
    report = await verify(database, config.kafka, 5.0)
    assert _said(report, PUBLISHED) == (
        "NO  lane 0: 4 is published as another, and the journal has e4; "
        "lane 1: 4 comes after 4; lane 1: 7 comes after 5"
    )
    assert report.published == 11


async def test_what_retention_has_taken_counts_as_far_as_it_is_known_to_have_been_published(
    config: Config, database: Database, person: asyncpg.Connection
) -> None:
    for lane, published_seq in ((0, 5), (1, 3)):
        await _write(person, lane, *_entries(5))
        await _publish(config, lane, *((n, f"e{n}") for n in range(1, 6)))
        await person.execute("update lanes set published_seq = $2 where lane = $1", lane, published_seq)
    async with administrator(config.kafka) as admin:
        await admin.delete_records({TopicPartition(Topic.STATE_EVENTS, 0): RecordsToDelete(-1)})
    report = await verify(database, config.kafka, 1.0)
    assert _said(report, PUBLISHED) == "ok  5 state events, each once and in order, as the journal has them"
    async with administrator(config.kafka) as admin:
        await admin.delete_records({TopicPartition(Topic.STATE_EVENTS, 1): RecordsToDelete(-1)})
    report = await verify(database, config.kafka, 1.0)
    assert _said(report, PUBLISHED) == "NO  lane 1 is published up to 3 of 5"
    # Retention takes what is old: what is missing behind something that is there was lost.
    await _publish(config, 0, (4, "e4"))
    report = await verify(database, config.kafka, 1.0)
    assert _said(report, PUBLISHED) == "NO  lane 0 is published up to 4 of 5; lane 1 is published up to 3 of 5"


async def test_a_broken_promise_is_told_from_a_server_that_is_away(
    config: Config, person: asyncpg.Connection
) -> None:
    environment = {
        "PAYSTATE_POSTGRES_DSN": config.settings.postgres_dsn,
        "PAYSTATE_KAFKA_BOOTSTRAP": config.settings.kafka_bootstrap,
        "PAYSTATE_LANES": str(LANES),
    }
    verifying = partial(run_paystate, "verify", "--wait-s", "1")
    away = environment | {"PAYSTATE_KAFKA_BOOTSTRAP": "127.0.0.1:9"}
    assert verifying(environment=environment).returncode == 0
    assert verifying(environment=away).returncode == 3
    await person.execute("update lanes set lane_seq = 1 where lane = 0")
    assert verifying(environment=environment).returncode == 1
    # What is known to be broken is, whatever else cannot be looked at.
    assert verifying(environment=away).returncode == 1


async def test_consumers_that_know_more_than_the_database_are_told_of(
    config: Config, database: Database, person: asyncpg.Connection
) -> None:
    """As after a restore, before an engine has been started."""
    await _write(person, 1, *_entries(5))
    await _publish(config, 1, *((n, f"e{n}") for n in range(1, 9)))
    report = await verify(database, config.kafka, 1.0)
    assert _said(report, PUBLISHED) == (
        "NO  lane 1: consumers have been told up to 8, and the database knows only up to 5:"
        " Postgres went back in time, or is a replica that is behind"
    )


async def test_what_is_committed_while_it_looks_is_no_more_than_the_database_knows(
    config: Config, database: Database, person: asyncpg.Connection
) -> None:
    await _write(person, 0, *_entries(5))
    await _write(person, 1, *_entries(1))
    await _publish(config, 0, *((n, f"e{n}") for n in range(1, 6)))
    verifying = asyncio.create_task(verify(database, config.kafka, 20.0))
    # It has its snapshot, has seen lane 0, and waits for lane 1.
    waits = """
        select count(*) from pg_stat_activity
        where datname = current_database() and state = 'idle in transaction' and query like '%event_id%'
    """
    async with asyncio.timeout(10):
        while not await person.fetchval(waits):
            await asyncio.sleep(0.05)
    await _publish(config, 0, (6, "e6"))
    await _publish(config, 1, (1, "e1"))
    # A replica may hear of it later than the topic's reader.
    await asyncio.sleep(1)
    assert not verifying.done()
    await person.execute("update lanes set lane_seq = 6 where lane = 0")
    report = await verifying
    assert _said(report, PUBLISHED) == "ok  6 state events, each once and in order, as the journal has them"
