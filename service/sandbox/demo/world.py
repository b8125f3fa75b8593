"""The demo's world: embedded servers, and the service's own processes, as an operator would start them."""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from service.config import ENV_PREFIX, Config, load
from service.config_kafka import KafkaSettings
from service.dev.child import Child, ServerFailedError, free_port
from service.dev.servers import dev_servers
from service.kafka.topics import create_topics
from service.sandbox.identity import PROFILE_FILE
from service.store.migrate import migrate
from service.wiring import run_loop

READY_S = 30.0
# Quick, so that nobody waits long for a demo: an order that nobody pays is closed a second after its time.
SETTINGS = {
    "PAYSTATE_LANES": "4",
    "PAYSTATE_PAY_GRACE_S": "1",
    "PAYSTATE_FIRST_QUERY_S": "2",
    "PAYSTATE_RETRY_FIRST_S": "0.3",
    "PAYSTATE_LOG_LEVEL": "warning",
}
# Nothing of how the environment reaches a Kafka of its own.
PLAIN_KAFKA = dict.fromkeys((f"{ENV_PREFIX}{name.upper()}" for name in KafkaSettings.model_fields), "") | {
    "PAYSTATE_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"
}


@dataclass(frozen=True, slots=True)
class World:
    """What runs and where. `environment` lets other commands join in."""

    environment: dict[str, str]
    config: Config
    wallet_url: str
    bridge_url: str
    logs: Path
    children: dict[str, Child]

    def failure(self) -> str | None:
        """What has ended that should be running, with the end of its log."""
        for name, child in self.children.items():
            if child.returncode is not None:
                return f"{name} ended with {child.returncode}:\n{child.log_tail()}"
        return None


@contextlib.contextmanager
def running_world(console: Console) -> Iterator[World]:
    """Starts everything, embedded servers too; stops it in reverse. Raises ServerFailedError."""
    with tempfile.TemporaryDirectory(prefix="paystate-demo-") as folder:
        console.print("[dim]starting Postgres and a Kafka-protocol broker …[/]")
        with dev_servers() as servers:
            console.print("[dim]starting the sandbox wallet, the webhook bridge and the engine …[/]")
            with running_processes(servers.postgres_dsn, servers.kafka_bootstrap, Path(folder)) as world:
                yield world


@contextlib.contextmanager
def running_processes(
    postgres_dsn: str, kafka_bootstrap: str, folder: Path, settings: Mapping[str, str] = SETTINGS
) -> Iterator[World]:
    """Makes schema and topics on servers that run, and starts the sandbox, the bridge and an engine.

    Their logs, the wallet's keys and its ledger are in `folder`. Kafka is reached as `settings` say, whatever the
    environment says of another.
    """
    environment = {**os.environ, **PLAIN_KAFKA, **settings}
    environment["PAYSTATE_POSTGRES_DSN"] = postgres_dsn
    environment["PAYSTATE_KAFKA_BOOTSTRAP"] = kafka_bootstrap
    lanes = int(settings["PAYSTATE_LANES"])
    run_loop(migrate(postgres_dsn, lanes))
    with _environment(environment):
        access = load(None).kafka
    run_loop(create_topics(access, lanes))
    children: dict[str, Child] = {}
    bridge_port, wallet_port = free_port(), free_port()
    bridge_url = f"http://127.0.0.1:{bridge_port}"
    with contextlib.ExitStack() as stack:

        def start(name: str, *arguments: str) -> Callable[[], None]:
            children[name], wait = _started(name, arguments, folder / f"{name}.log", environment)
            # Looked up then: a test may have put another in its place.
            stack.callback(lambda: children[name].stop(signal.SIGTERM))
            return wait

        start(
            "sandbox",
            *("sandbox", "--port", str(wallet_port), "--data-dir", str(folder)),
            *("--notify-url", f"{bridge_url}/wallets/sandbox/notify"),
        )()
        environment["PAYSTATE_CONFIG"] = str(folder / PROFILE_FILE)
        waits = [start("bridge", "serve", "--port", str(bridge_port)), start("engine", "run")]
        for wait in waits:
            wait()
        with _environment(environment):
            config = load(folder / PROFILE_FILE)
        yield World(
            {name: value for name, value in environment.items() if name.startswith("PAYSTATE_")},
            config,
            f"http://127.0.0.1:{wallet_port}",
            bridge_url,
            folder,
            children,
        )


def start_engine(world: World, name: str = "engine") -> Child:
    """One more engine, or one in place of another that has ended. Whoever starts it stops it."""
    child, wait = _started(name, ("run",), world.logs / f"{name}.log", os.environ | world.environment)
    wait()
    return child


@contextlib.contextmanager
def running_shop(world: World) -> Iterator[str]:
    """The shop in a browser, for as long as the context lasts; gives its URL. Raises ServerFailedError."""
    port = free_port()
    where = ("--port", str(port), "--wallet-url", world.wallet_url, "--api-url", world.bridge_url)
    child, wait = _started("shop", ("shop", *where), world.logs / "shop.log", os.environ | world.environment)
    world.children["shop"] = child
    try:
        wait()
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop(signal.SIGTERM)
        del world.children["shop"]


def _started(
    name: str, arguments: tuple[str, ...], log: Path, environment: dict[str, str]
) -> tuple[Child, Callable[[], None]]:
    """A process of the service, and what waits until it is ready (raises ServerFailedError)."""
    command = [sys.executable, "-c", "from service.cli import main; main()", *arguments]
    readies = _readies(log)
    child = Child(command, log, environment=environment, death_signal=signal.SIGTERM)

    def wait() -> None:
        try:
            child.wait_ready(lambda: _readies(log) > readies, READY_S)
        except ServerFailedError as error:
            raise ServerFailedError(f"{name} did not start: {error}") from None

    return child, wait


def _readies(log: Path) -> int:
    # One that is started again writes to the same file.
    return log.read_text(errors="replace").split("\n").count("READY") if log.exists() else 0


@contextlib.contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
