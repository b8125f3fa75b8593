"""Servers for the tests that need them, started at the first use and shared by the whole run.

Set `PAYSTATE_TEST_POSTGRES_DSN` or `PAYSTATE_POSTGRES_DSN` (a login that may create databases) and
`PAYSTATE_KAFKA_BOOTSTRAP` to use servers that run already.
"""

import asyncio
import contextlib
import os
import sys
import uuid
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import uvloop

from service.dev.kafka import EmbeddedKafka
from service.dev.postgres import EmbeddedPostgres


class StrictLoop(uvloop.Loop):
    """The event loop that the service itself runs on, which tells of transports that were left open.

    uvloop warns about each as it closes them. Where warnings are errors, as here, that error leaves the transport
    open, and `close` then waits for it for ever.
    """

    def close(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            super().close()
        for each in caught:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """One loop for all tests that need one."""
    return "asyncio", {"loop_factory": StrictLoop}


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tells of a failure as it happens: what is told at the end is lost when the run is ended before."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\nFAILED {report.nodeid} ({report.when})\n{report.longreprtext}", file=sys.__stderr__, flush=True)


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """A Postgres server. Tests that write want `database_dsn`."""
    given = os.environ.get("PAYSTATE_TEST_POSTGRES_DSN") or os.environ.get("PAYSTATE_POSTGRES_DSN")
    if given:
        yield given
        return
    with EmbeddedPostgres(durable=False) as server:
        yield server.dsn


@pytest.fixture
def database_dsn(postgres_dsn: str) -> Iterator[str]:
    """An empty database of the test's own, gone after it."""
    with make_database(postgres_dsn) as dsn:
        yield dsn


@contextlib.contextmanager
def make_database(postgres_dsn: str) -> Iterator[str]:
    """An empty database on a server, dropped with all its sessions afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(postgres_dsn, f"create database {name}")
    try:
        yield urlunsplit(urlsplit(postgres_dsn)._replace(path=f"/{name}"))
    finally:
        _execute(postgres_dsn, f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """A Kafka broker. It is shared: give your topics, groups and transactional ids names of their own."""
    given = os.environ.get("PAYSTATE_KAFKA_BOOTSTRAP")
    if given:
        yield given
        return
    with EmbeddedKafka() as server:
        yield server.bootstrap


def _execute(dsn: str, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    # In a thread of its own: anyio's event loop may be running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, execute()).result()


# At the end, because they need what is above; here, so that one world serves the tests of all folders.
from tests.world import paystate, shop, world  # noqa: E402, F401
