"""The demo's world: embedded servers, and the service's own processes, as an operator would start them."""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from service.config import Config, load
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
    """Starts everything, one after another; stops it in reverse. Raises ServerFailedError."""
    with tempfile.TemporaryDirectory(prefix="paystate-demo-") as folder, contextlib.ExitStack() as stack:
        logs = Path(folder)
        console.print("[dim]starting Postgres and a Kafka-protocol broker …[/]")
        servers = stack.enter_context(dev_servers())
        environment = os.environ | SETTINGS
        environment["PAYSTATE_POSTGRES_DSN"] = servers.postgres_dsn
        environment["PAYSTATE_KAFKA_BOOTSTRAP"] = servers.kafka_bootstrap
        console.print("[dim]making the schema and the topics …[/]")
        lanes = int(SETTINGS["PAYSTATE_LANES"])
        run_loop(migrate(servers.postgres_dsn, lanes))
        run_loop(create_topics(servers.kafka_bootstrap, lanes))
        children: dict[str, Child] = {}

        def start(name: str, *arguments: str) -> Child:
            children[name] = _started(name, arguments, logs / f"{name}.log", environment)
            stack.callback(children[name].stop, signal.SIGTERM)
            return children[name]

        console.print("[dim]starting the sandbox wallet, the webhook bridge and the engine …[/]")
        bridge_port = free_port()
        bridge_url = f"http://127.0.0.1:{bridge_port}"
        wallet_port = free_port()
        start(
            "sandbox",
            *("sandbox", "--port", str(wallet_port), "--data-dir", str(logs)),
            *("--notify-url", f"{bridge_url}/wallets/sandbox/notify"),
        )
        environment["PAYSTATE_CONFIG"] = str(logs / PROFILE_FILE)
        start("bridge", "serve", "--port", str(bridge_port))
        start("engine", "run")
        with _environment(environment):
            config = load(logs / PROFILE_FILE)
        yield World(
            {name: value for name, value in environment.items() if name.startswith("PAYSTATE_")},
            config,
            f"http://127.0.0.1:{wallet_port}",
            bridge_url,
            logs,
            children,
        )


def _started(name: str, arguments: tuple[str, ...], log: Path, environment: dict[str, str]) -> Child:
    command = [sys.executable, "-c", "from service.cli import main; main()", *arguments]
    child = Child(command, log, environment=environment, death_signal=signal.SIGTERM)
    try:
        child.wait_ready(lambda: "READY" in log.read_text(errors="replace").split("\n"), READY_S)
    except ServerFailedError as error:
        raise ServerFailedError(f"{name} did not start: {error}") from None
    return child


@contextlib.contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
