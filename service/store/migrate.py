"""Brings a database's schema up to date: alembic, running plain SQL as the role that owns it."""

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from service.store.connection import CONNECT_TIMEOUT_S, Database
from service.store.lanes import install
from service.store.migrations import FOLDER

# "pays" in ASCII: two migrations at a time would trip over each other.
_LOCK = 0x70617973
# What a migration changes it takes for itself, and while it waits for a reader's transaction to end, commits and
# heartbeats wait behind it. So it waits for less than the shortest lease lasts.
LOCK_TIMEOUT_S = 0.5


class NotMigratedError(Exception):
    """The schema could not be brought up to date now; nothing was changed, and the message says what to do."""


async def migrate(dsn: str, lane_count: int) -> None:
    """Makes or updates the schema `paystate` in the database of `dsn`, and its lanes.

    The login must be able to create roles the first time, or find them made (see roles.sql). Raises
    NotInstalledError when the database was made for another number of lanes, NotMigratedError while somebody's
    transaction holds what has to be changed.
    """
    # Connected by asyncpg, as everything else is: SQLAlchemy reads addresses differently.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        async_creator=lambda: asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S),
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"select pg_advisory_lock({_LOCK})"))
            # Not before: a second `paystate migrate` may wait for the first for as long as that takes.
            await connection.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT_S}s'"))
            await connection.execute(text((FOLDER / "roles.sql").read_text(encoding="utf-8")))
            await connection.execute(text("set role paystate_owner"))
            await connection.commit()
            await connection.run_sync(_upgrade)
            await connection.commit()
    except asyncpg.LockNotAvailableError as error:
        # Raised as it is, because the files' statements go through the driver itself.
        raise NotMigratedError(
            "somebody's transaction holds a table that has to be changed (a dump, a long report; pg_stat_activity"
            " shows it), and nothing was changed: run `paystate migrate` again when it has ended"
        ) from error
    finally:
        await engine.dispose()
    database = Database(dsn, "paystate_owner")
    try:
        await install(database, lane_count)
    finally:
        await database.close()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
