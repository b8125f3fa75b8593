"""A server that may no longer be written to: connections to it are given up, and the next one is found."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from service.store import lanes
from service.store.connection import POOL_SIZE, UNAVAILABLE, Database
from service.store.migrate import migrate

pytestmark = pytest.mark.integration

WORKER = "a-worker"
SOON_S = 1.0
# As an operator has it who names no wish, and one who takes any server.
DSNS = pytest.mark.parametrize("query", ["", "target_session_attrs=any"])


@dataclass
class Address:
    """A login whose sessions begin read-only while it leads to what is a replica."""

    dsn: str
    login: str
    person: asyncpg.Connection
    opened: list[Database] = field(default_factory=list)

    async def leads_to_a_replica(self) -> None:
        await self.person.execute(f"alter role {self.login} set default_transaction_read_only = on")

    async def leads_to_the_primary(self) -> None:
        await self.person.execute(f"alter role {self.login} reset default_transaction_read_only")

    def database(self, query: str) -> Database:
        """Leads there with these parameters; closed after the test."""
        dsn = urlunsplit(urlsplit(self.dsn)._replace(query=query))
        self.opened.append(Database(dsn, "paystate_service", 3.0))
        return self.opened[-1]


@pytest.fixture
async def address(database_dsn: str) -> AsyncIterator[Address]:
    await migrate(database_dsn, 2)
    login = f"test_{uuid.uuid4().hex}"
    person = await asyncpg.connect(database_dsn)
    await person.execute(f"create role {login} login password 'secret' in role paystate_service")
    parts = urlsplit(database_dsn)
    netloc = f"{login}:secret@{parts.netloc.rpartition('@')[2]}"
    address = Address(urlunsplit(parts._replace(netloc=netloc)), login, person)
    yield address
    for database in address.opened:
        await database.close()
    await person.execute(f"drop role {login}")
    await person.close()


@DSNS
async def test_a_pool_does_not_stay_on_a_server_that_has_become_a_replica(address: Address, query: str) -> None:
    await address.leads_to_a_replica()
    database = address.database(query)
    for _ in range(3):
        with pytest.raises(UNAVAILABLE):
            await lanes.heartbeat(database, WORKER, 3, [])
    await address.leads_to_the_primary()
    async with asyncio.timeout(SOON_S):
        assert await lanes.heartbeat(database, WORKER, 3, []) == {}


async def test_one_refused_write_is_enough_for_all_connections_of_a_pool(address: Address) -> None:
    await address.leads_to_a_replica()
    database = address.database("target_session_attrs=any")
    assert await _read_only(database) == ["on"] * POOL_SIZE
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await lanes.heartbeat(database, WORKER, 3, [])
    await address.leads_to_the_primary()
    assert await _read_only(database) == ["off"] * POOL_SIZE


async def _read_only(database: Database) -> list[str]:
    """What each of a pool's connections says, all of them held at once."""
    everybody = asyncio.Barrier(POOL_SIZE)

    async def one() -> str:
        async with database.acquire() as connection:
            await everybody.wait()
            said: str = await connection.fetchval("show default_transaction_read_only")
            return said

    async with asyncio.timeout(SOON_S):
        return await asyncio.gather(*(one() for _ in range(POOL_SIZE)))


async def _connect(database: Database) -> None:
    connection = await database.connect()
    await connection.close()


async def test_a_connection_of_ones_own_is_made_where_one_may_write(address: Address) -> None:
    await address.leads_to_a_replica()
    await _connect(address.database("target_session_attrs=any"))
    with pytest.raises(UNAVAILABLE, match="None of the hosts match"):
        await _connect(address.database(""))


async def test_after_a_connection_that_the_server_has_ended_the_others_are_not_used_either(
    address: Address,
) -> None:
    database = address.database("")

    async def pids() -> set[int]:
        async with database.acquire() as one, database.acquire() as other:
            return {one.get_server_pid(), other.get_server_pid()}

    async def be_ended() -> None:
        async with database.acquire() as connection:
            end_it = f"select pg_terminate_backend({connection.get_server_pid()}) from pg_sleep(0.1)"
            await asyncio.gather(connection.execute("select pg_sleep(10)"), address.person.execute(end_it))

    before = await pids()
    with pytest.raises(UNAVAILABLE):
        await be_ended()
    assert before.isdisjoint(await pids())
