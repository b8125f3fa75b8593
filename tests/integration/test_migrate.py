"""`paystate migrate` in databases that are in use, and as logins that may not do everything."""

import asyncio

import asyncpg
import pytest

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
        async with reader.transaction():
            await reader.fetch("select * from lanes")
            async with asyncio.timeout(SOON_S):
                with pytest.raises(NotMigratedError, match="run `paystate migrate` again when it has ended"):
                    await migrate(database_dsn, 2)
        assert await missing_migrations(database) == ["0005_lease_by_commit"]
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
