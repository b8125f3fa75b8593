"""`paystate migrate` in databases that are in use, and as logins that may not do everything."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from service.dev.postgres import EmbeddedPostgres
from service.store import lanes
from service.store import migrate as migration
from service.store.connection import Database
from service.store.migrate import NotMigratedError, migrate
from service.store.views import missing_migrations

pytestmark = pytest.mark.integration

# Less than a lease: so long everything else may have to wait behind a migration.
SOON_S = 2.0


async def test_a_migration_does_not_make_everybody_wait_behind_a_long_transaction(database_dsn: str) -> None:
    await migrate(database_dsn, 2)
    database = Database(database_dsn, None)
    reader = await asyncpg.connect(database_dsn, server_settings={"search_path": "paystate"})
    try:
        # As it was before lanes had their last column.
        await reader.execute("update alembic_version set version_num = '0004'")
        await reader.execute("alter table lanes drop column lease_s")
        await reader.execute("drop index dead_letters_by_key")
        async with reader.transaction():
            await reader.fetch("select * from lanes")
            async with asyncio.timeout(SOON_S):
                with pytest.raises(NotMigratedError, match="run `paystate migrate` again when it has ended"):
                    await migrate(database_dsn, 2)
        assert await missing_migrations(database) == ["0005_lease_by_commit", "0006_dead_letters_by_key"]
        await migrate(database_dsn, 2)
        assert await missing_migrations(database) == []
    finally:
        await reader.close()
        await database.close()


async def test_a_second_migration_waits_for_the_first(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "LOCK_TIMEOUT_S", 0.05)
    first = await asyncpg.connect(database_dsn)
    try:
        await first.execute(f"select pg_advisory_lock({migration._LOCK})")
        second = asyncio.create_task(migrate(database_dsn, 2))
        done, _ = await asyncio.wait({second}, timeout=0.5)
        assert not done
        await first.execute(f"select pg_advisory_unlock({migration._LOCK})")
        await second
    finally:
        await first.close()


def _as(dsn: str, login: str, database: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.hostname}:{parts.port}", path=f"/{database}"))


async def test_a_login_that_may_make_roles_and_owns_the_database_can_install() -> None:
    # On a server of its own: roles are the whole server's, and here nobody has made ours yet.
    with EmbeddedPostgres(durable=False) as server:
        superuser = await asyncpg.connect(server.dsn)
        await superuser.execute("create role administrator login createrole")
        await superuser.execute("create database shop owner administrator")
        await superuser.close()
        dsn = _as(server.dsn, "administrator", "shop")
        await migrate(dsn, 2)
        await migrate(dsn, 2)

        administrator = await asyncpg.connect(dsn)
        owners = await administrator.fetch(
            "select distinct tableowner from pg_tables where schemaname = 'paystate'"
        )
        assert [row["tableowner"] for row in owners] == ["paystate_owner"]
        # And can let a service in, which is not theirs to be.
        await administrator.execute("create role engine login in role paystate_service")
        await administrator.close()
        database = Database(_as(server.dsn, "engine", "shop"), "paystate_service")
        assert [row.lane for row in await lanes.claim(database, "a-worker", 30, 5)] == [0, 1]
        await database.close()


async def test_an_address_means_what_it_means_everywhere_else(database_dsn: str) -> None:
    parts = urlsplit(database_dsn)
    login, _, host = parts.netloc.rpartition("@")
    # Nobody listens on the first one.
    several = parts._replace(netloc=f"{login}@127.0.0.1:1,{host}", query="sslmode=prefer")
    await migrate(urlunsplit(several), 2)
    database = Database(urlunsplit(several), "paystate_service")
    assert await lanes.lane_count(database) == 2
    await database.close()
