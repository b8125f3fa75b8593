"""The simulated Postgres as the service sees it: a Database whose connections fail like real ones."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from service.store import commit
from service.store.connection import Database
from tests.simulation.server import Server, Troubles
from tests.simulation.statements import Rows, Statements
from tests.simulation.tables import BEGINNING, Tables


def _gone() -> Exception:
    return asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


class Postgres(Server):
    """One server for all processes. `on_commit` is called after every batch that was committed."""

    def __init__(self, tables: Tables, troubles: Troubles, on_commit: Callable[[int, int], None]) -> None:
        super().__init__("postgres", troubles, _gone)
        self.tables = tables
        self.statements = Statements(tables, self.now)
        self.on_commit = on_commit
        # How far its clock is from true, and how far it has gone back: so much longer a lease of the dead lasts.
        self.jumped_s = self.jumped_back_s = 0.0

    def jump(self, seconds: float) -> None:
        self.jumped_s += seconds
        self.jumped_back_s += max(-seconds, 0.0)

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.troubles.loop.time() + self.jumped_s)

    def run(self, text: str, arguments: tuple[Any, ...]) -> Rows:
        rows = self.statements.run(text, arguments)
        if text is commit._COMMIT:
            self.on_commit(arguments[0], arguments[1])
        return rows


class SimulatedConnection:
    """As much of asyncpg's connection as the store uses."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._is_closed = False
        self._is_busy = False

    async def fetch(self, text: str, *arguments: Any) -> Rows:
        if self._is_closed:
            raise asyncpg.InterfaceError("connection is closed")
        if self._is_busy:
            raise asyncpg.InterfaceError("cannot perform operation: another operation is in progress")
        self._is_busy = True
        what = "commit" if text is commit._COMMIT else "statement"
        try:
            return await self._postgres.ask(lambda: self._postgres.run(text, arguments), what)
        except asyncpg.PostgresConnectionError:
            self._is_closed = True
            raise
        except asyncpg.PostgresError:
            raise
        except BaseException:
            self._is_closed = True
            raise
        finally:
            self._is_busy = False

    async def fetchrow(self, text: str, *arguments: Any) -> Any:
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def fetchval(self, text: str, *arguments: Any) -> Any:
        row = await self.fetchrow(text, *arguments)
        return None if row is None else next(iter(row.values()))

    async def execute(self, text: str, *arguments: Any) -> None:
        await self.fetch(text, *arguments)

    def terminate(self) -> None:
        self._is_closed = True

    async def close(self) -> None:
        self._is_closed = True


class SimulatedDatabase(Database):
    """What `wiring.database` makes, for one process."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__("simulated", None)
        self._postgres = postgres

    async def connect(self) -> Any:
        if self._postgres.is_down:
            raise ConnectionRefusedError("simulated Postgres is away")
        return SimulatedConnection(self._postgres)

    def acquire(self) -> Any:
        return _Acquired(self)


@dataclass(slots=True)
class _Acquired:
    """A connection for the length of a block."""

    database: SimulatedDatabase

    async def __aenter__(self) -> Any:
        return await self.database.connect()

    async def __aexit__(self, *_exit: object) -> None:
        """Nobody keeps it."""
