"""Connections to Postgres, as the role that a service may be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

# A lane's commit is a few milliseconds; a statement that takes this long is stuck on a full disk or a lost host.
STATEMENT_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 5.0
POOL_SIZE = 6

# What a lost, refused or exhausted database looks like. None of them is the record's fault: the lane waits.
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg says when a server dies between the two halves of a statement: "cannot switch to state 12;
    # another operation (2) is in progress". It is no PostgresError, and once ended an engine.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.CannotConnectNowError,
    asyncpg.ReadOnlySQLTransactionError,
)
# What a server says that is not, or no longer, the one to write to: a replica after a failover, one that starts or
# ends. A pool would keep its connections to it for hours, because they are in good health.
ELSEWHERE = (
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    # As asyncpg tells it when the server said so in the middle of a statement.
    asyncpg.ConnectionDoesNotExistError,
)
# A login, a role or a right that is missing: not for waiting out, but for a person to mend.
REFUSED = asyncpg.PostgresError


class Database:
    """A database and the role in it. `role` None keeps the role that the DSN logs in with.

    Nothing takes longer than `patience_s`: neither a statement, nor to connect, nor to get a connection. A server
    that may not be written to counts as unavailable, unless the DSN asks for other `target_session_attrs` (`any`
    for reading from a replica).
    """

    def __init__(self, dsn: str, role: str | None, patience_s: float = STATEMENT_TIMEOUT_S) -> None:
        self.dsn = dsn
        self.role = role
        self._statement_s = patience_s
        self._connect_s = min(CONNECT_TIMEOUT_S, patience_s)
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    def _settings(self) -> dict[str, Any]:
        settings = {"search_path": "paystate", "application_name": "paystate", "TimeZone": "UTC"}
        if self.role:
            settings["role"] = self.role
        chosen = {} if "target_session_attrs=" in self.dsn else {"target_session_attrs": "read-write"}
        return {
            "dsn": self.dsn,
            "timeout": self._connect_s,
            "command_timeout": self._statement_s,
            "server_settings": settings,
            **chosen,
        }

    async def connect(self) -> asyncpg.Connection:
        """A connection of one's own; the caller closes or terminates it."""
        return await asyncpg.connect(**self._settings())

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the shared pool, for short reads and writes outside the lanes' batches."""
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(min_size=0, max_size=POOL_SIZE, **self._settings())
            pool = self._pool
        try:
            async with pool.acquire(timeout=self._connect_s) as connection:
                yield connection  # type: ignore[misc]
        except ELSEWHERE:
            # All of them, not this one alone: what is asked for next is made anew, wherever the name leads by then.
            await pool.expire_connections()
            raise

    async def close(self) -> None:
        """Ends the pool at once: what was under way there is not worth waiting for."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None
