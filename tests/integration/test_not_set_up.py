"""A server that `paystate migrate` has never seen: whoever starts something there is told to run it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from service.dev.postgres import EmbeddedPostgres
from service.sandbox.demo.world import World
from tests.integration.conftest import Paystate

pytestmark = pytest.mark.integration

TO_DO = "paystate: the database is not set up (there is no role paystate_service): run `paystate migrate`"


@pytest.fixture(scope="module")
def fresh_dsn() -> Iterator[str]:
    """A server of its own: roles belong to the server, and the shared one has them."""
    with EmbeddedPostgres(durable=False) as server:
        yield server.dsn


@pytest.mark.parametrize(
    "arguments", [["run"], ["serve", "--port", "0"], ["lanes"], ["verify"], ["orders", "show", "o1"]]
)
def test_a_fresh_server_wants_to_be_migrated(paystate: Paystate, fresh_dsn: str, arguments: list[str]) -> None:
    done = paystate(*arguments, PAYSTATE_POSTGRES_DSN=fresh_dsn)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, TO_DO)
    assert "READY" not in done.stdout


def test_the_doctor_knows_it_too(paystate: Paystate, fresh_dsn: str) -> None:
    done = paystate("doctor", PAYSTATE_POSTGRES_DSN=fresh_dsn)
    assert done.returncode == 1
    assert "NO  postgres: role" in done.stdout
    assert "-> run `paystate migrate`" in done.stdout


def test_a_fresh_database_beside_another_wants_it_as_well(paystate: Paystate, database_dsn: str) -> None:
    done = paystate("serve", "--port", "0", PAYSTATE_POSTGRES_DSN=database_dsn)
    assert done.returncode == 1
    assert done.stderr.endswith("paystate: the database has no paystate tables: run `paystate migrate`\n")
    assert "READY" not in done.stdout


def test_a_server_that_is_away_keeps_no_callbacks_waiting(world: World) -> None:
    """The bridge only needs Kafka; that the order API has to wait is in the log."""
    command = [sys.executable, "-c", "from service.cli import main; main()", "serve", "--port", "0"]
    environment = os.environ | world.environment | {"PAYSTATE_POSTGRES_DSN": "postgresql://u:hush@127.0.0.1:9/x"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.stdout.readline() == "READY\n"
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "serving_without_postgres" in log
    assert "hush" not in log
