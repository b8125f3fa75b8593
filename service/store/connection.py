"""Connections to Postgres, as the role that a service may be."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

# A lane's commit is a few milliseconds; a statement that takes this long is stuck on a full disk or a lost host.
STATEMENT_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 5.0
POOL_SIZE = 6
# Where statements have no limit: after so long without a byte TCP asks whether the other end is there. When nothing
# comes back, the connection is lost STATEMENT_TIMEOUT_S after its last byte.
PROBE_AFTER_S = 10
PROBE_EVERY_S = 5
PROBES = 2

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

    Nothing takes longer than `patience_s`: neither a statement (except those of `snapshot`), nor to connect, nor
    to get a connection. A server that may not be written to counts as unavailable, unless the DSN asks for other
    `target_session_attrs` (`any` for reading from a replica).
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

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of one's own that only reads, all of it as of now; statements take as long as they have to.

        A server at work and a host that is gone are equally silent. TCP tells them apart, and a statement ends with
        one of UNAVAILABLE for the second. A server that is frozen is waited for, as psql and pg_dump do.
        """
        connection = await asyncpg.connect(**{**self._settings(), "command_timeout": None})
        try:
            _keep_alive(connection)
            # It ends with the connection.
            await connection.transaction(isolation="repeatable_read", readonly=True).start()
            yield connection
        finally:
            # Waits until the server has given up what somebody had asked for who was interrupted.
            with suppress(*UNAVAILABLE):
                await connection.close(timeout=self._connect_s)

    async def close(self) -> None:
        """Ends the pool at once: what was under way there is not worth waiting for."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None


def _keep_alive(connection: asyncpg.Connection) -> None:
    """Has TCP look after the other end. asyncpg has no setting for it, and hands out no socket."""
    transport: asyncio.Transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    line = transport.get_extra_info("socket")
    if line.family not in {socket.AF_INET, socket.AF_INET6}:
        # On this machine: the connection ends with the server.
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", PROBE_AFTER_S),
        ("TCP_KEEPINTVL", PROBE_EVERY_S),
        ("TCP_KEEPCNT", PROBES),
        # There are no probes while something that was sent is not acknowledged: this is the limit for that.
        ("TCP_USER_TIMEOUT", int(STATEMENT_TIMEOUT_S * 1000)),
    ):
        # Not every platform has all of them.
        if hasattr(socket, option):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
