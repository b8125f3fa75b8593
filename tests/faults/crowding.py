"""Postgres without a connection left: others have taken them all, and those of the engines are ended."""

import asyncio
import contextlib
import threading

import asyncpg

from service.store.connection import UNAVAILABLE
from tests.faults.breaking import Breaking, Outage, go_through

CROWDED_S = 10.0
AGAIN_S = 0.05
# All but our own: ours hold the places.
_END_ALL_OTHERS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where backend_type = 'client backend' and application_name <> 'crowd'
"""


class _Crowd:
    """Takes every connection that there is, and each that becomes free, from `come` until `leave`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._leaving = threading.Event()
        self._thread = threading.Thread()

    def come(self) -> None:
        self._leaving.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._crowd()), name="crowd", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        self._leaving.set()
        self._thread.join()

    async def _crowd(self) -> None:
        connections: list[asyncpg.Connection] = []
        try:
            while not self._leaving.is_set():
                # Refused, when there is no place left: then the places of all others are made free.
                with contextlib.suppress(*UNAVAILABLE):
                    settings = {"application_name": "crowd"}
                    connections.append(await asyncpg.connect(self._dsn, server_settings=settings, timeout=2))
                    continue
                await connections[0].execute(_END_ALL_OTHERS)
                await asyncio.sleep(AGAIN_S)
        finally:
            for connection in connections:
                connection.terminate()


def postgres_crowded(breaking: Breaking) -> list[float]:
    """No connection is left for the engines; the server itself is well."""
    breaking.outage_s = min(breaking.outage_s, CROWDED_S)
    crowd = _Crowd(breaking.world.postgres.dsn)
    return go_through(breaking, [Outage(crowd.come, crowd.leave, ("lane_waits", "postgres_unavailable"))])
