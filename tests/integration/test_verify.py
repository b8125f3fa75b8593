"""`paystate verify`: it takes the time that it needs, and says no to what consumers must not have seen."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from service import wiring
from service.config import Config, Settings
from service.dev.kafka import EmbeddedKafka
from service.kafka.access import KafkaAccess
from service.kafka.topics import create_topics
from service.store.connection import STATEMENT_TIMEOUT_S, Database
from service.store.migrate import migrate
from service.verify import verify

pytestmark = pytest.mark.integration

LANES = 2
SHORT_S = 0.5


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
