"""One running installation for all tests that need the whole road: processes as an operator starts them.

The fixtures here are made known to all tests by `tests/conftest.py`.
"""

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from schemas.vocabulary import Topic
from service.cli import main
from service.clock import RandomIds, SystemClock
from service.kafka.access import KafkaAccess
from service.kafka.partition import lane_of
from service.kafka.topics import administrator
from service.sandbox.demo.shop import Shop, open_shop
from service.sandbox.demo.world import SETTINGS, World, running_processes

Paystate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def world(postgres_dsn: str, kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Sandbox, bridge and engine on a database of their own. Shared: give your orders ids of their own."""
    # That module makes these fixtures known, and so imports this one.
    from tests.conftest import make_database  # noqa: PLC0415

    _without_topics(kafka_bootstrap)
    with (
        make_database(postgres_dsn) as dsn,
        running_processes(dsn, kafka_bootstrap, tmp_path_factory.mktemp("world"), SETTINGS) as running,
    ):
        yield running


@pytest.fixture
async def shop(world: World) -> AsyncIterator[Shop]:
    """Publishes, pays as the buyer, and waits for what paystate says of an order."""
    async with open_shop(world, SystemClock(), RandomIds(), lambda _event: None) as opened:
        yield opened


@pytest.fixture
def paystate(world: World) -> Paystate:
    """Runs the command against the world: `paystate("orders", "show", "o1")`; answers the ended process."""

    def run(*arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_paystate(*arguments, stdin=stdin, environment=world.environment | environment)

    return run


def names_in_lane(prefix: str, lane: int, lanes: int) -> Iterator[str]:
    """Order ids that begin alike and belong to this lane, without end."""
    return (name for n in count() if lane_of(name := f"{prefix}{n}", lanes) == lane)


# These have signal handlers, and go on until they are told to end: they are processes of their own.
_STAYING = {"run", "serve", "sandbox", "demo", "dev"}


def run_paystate(
    *arguments: str, stdin: str | None = None, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """The command to its end, with an environment that is added to ours."""
    if not _STAYING.isdisjoint(arguments):
        return subprocess.run(
            [sys.executable, "-c", "from service.cli import main; main()", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | environment,
        )
    # In this process, which spares a second a call; in a thread, because a loop may be running in this one.
    with ThreadPoolExecutor(1) as thread, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["paystate", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(stdin or ""))
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            code = thread.submit(_exit_code).result(60)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON document of a command that said yes."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _without_topics(bootstrap: str) -> None:
    """A broker that was used before: topics that belong to another database would halt every lane."""

    async def delete() -> None:
        async with administrator(KafkaAccess(bootstrap)) as admin:
            found = [topic for topic in await admin.list_topics() if topic in set(Topic)]
            if found:
                await admin.delete_topics(found)
                while set(await admin.list_topics()) & set(Topic):
                    await asyncio.sleep(0.1)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, delete()).result()
