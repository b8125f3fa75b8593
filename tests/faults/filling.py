"""Postgres on a disk that becomes full: for tables first, and the next time for its write-ahead log, too."""

import contextlib
from pathlib import Path

import asyncpg

from service.dev.child import ServerFailedError
from service.store.connection import UNAVAILABLE
from service.wiring import run_loop
from tests.faults.breaking import Breaking, Outage, go_through
from tests.faults.world import World

FULL_S = 10.0
CONNECT_S = 5.0
CHUNK = bytes(1_048_576)
# More than Postgres keeps ready on a new cluster, so that it needs a file that it cannot make.
SWITCHES = 64


def _fill(ballast: Path) -> None:
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(CHUNK):
            pass


async def _use_up(dsn: str, ballast: Path) -> None:
    """Fills it, and has Postgres want new files of its write-ahead log, for which there is no room: it panics."""
    # A new connection needs room, too.
    connection = await asyncpg.connect(dsn, timeout=CONNECT_S)
    try:
        _fill(ballast)
        for _ in range(SWITCHES):
            await connection.execute("select pg_logical_emit_message(true, 'full', 'x'), pg_switch_wal()")
    except UNAVAILABLE:
        return
    finally:
        connection.terminate()
    raise ServerFailedError(f"Postgres found room for {SWITCHES} files of its write-ahead log on a full disk")


def _full(world: World, *, log_too: bool) -> Outage:
    folder = world.postgres.data_dir
    if not folder.is_mount():
        raise ServerFailedError(f"{folder} is not a disk of its own: filling it would fill that of everybody")
    ballast = folder / "ballast"

    def go() -> None:
        if log_too:
            run_loop(_use_up(world.postgres.dsn, ballast))
        else:
            _fill(ballast)

    def come_back() -> None:
        ballast.unlink()
        if not world.postgres.alive:
            world.postgres.start()

    return Outage(go, come_back, ("lane_waits", "postgres_unavailable"))


def disk_full(breaking: Breaking) -> list[float]:
    """No room for tables, and the next time none for the write-ahead log: then Postgres ends, and is started."""
    breaking.outage_s = min(breaking.outage_s, FULL_S)
    world = breaking.world
    return go_through(breaking, [_full(world, log_too=False), _full(world, log_too=True)])
