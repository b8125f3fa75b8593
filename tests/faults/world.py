"""The world that is broken: real servers and the service's own processes, on loopback.

Every one of them can be killed, frozen, stopped and started again at the same address. What is started here
ends with the thread that started it.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson

from service.dev.apache_kafka import ApacheKafka
from service.dev.child import Child, ServerFailedError, free_port
from service.dev.kafka import Broker, EmbeddedKafka
from service.dev.postgres import EmbeddedPostgres
from service.kafka.access import KafkaAccess
from service.kafka.topics import create_topics
from service.sandbox.identity import PROFILE_FILE
from service.store.migrate import migrate
from service.wiring import run_loop
from tests.faults.line import Line
from tests.faults.small_disk import mounted

LANES = 4
READY_S = 60.0
COMMAND_S = 120.0
POLL_S = 0.02
SETTINGS = {
    "PAYSTATE_LANES": str(LANES),
    "PAYSTATE_PAY_GRACE_S": "1",
    "PAYSTATE_FIRST_QUERY_S": "0.5",
    "PAYSTATE_RETRY_FIRST_S": "0.3",
    "PAYSTATE_LOG_LEVEL": "info",
}
# Moderate: every order meets one of these now and then, and all of them end within a minute or so.
WALLET_FAULTS = {
    "lose_callbacks": 0.1,
    "repeat_callbacks": 0.1,
    "delay_callbacks": 0.2,
    "lose_answers": 0.05,
    "fail_calls": 0.05,
    "delay_s": 2.0,
}
BROKERS: dict[str, type[Broker]] = {"embedded": EmbeddedKafka, "apache": ApacheKafka}


@dataclass(slots=True)
class Engine:
    """One engine process and what it has said."""

    child: Child
    log: Path

    @property
    def pid(self) -> int:
        return self.child.pid

    def is_ready(self) -> bool:
        return "READY" in self.log.read_text(errors="replace").split("\n")

    def owns(self, owner: str | None) -> bool:
        """Whether a lane's owner is this engine: its worker's name has the process id in its middle."""
        return owner is not None and re.search(rf"-{self.pid}-[^-]+$", owner) is not None

    def said(self, *events: str) -> list[dict[str, Any]]:
        """The lines of its log that are about these events."""
        lines = self.log.read_bytes().splitlines()
        records = [orjson.loads(line) for line in lines if line.startswith(b'{"') and line.endswith(b"}")]
        return [record for record in records if record.get("event") in events]

    def must_say(self, event: str, times: int, seconds: float) -> None:
        """Waits until it has said something so often. Raises ServerFailedError."""
        until(lambda: len(self.said(event)) >= times, seconds, f"{self.log.stem} says {event} {times} times")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, seconds: float = 30.0) -> int:
        """SIGTERM, as an operator would; answers the exit code."""
        self.signal(signal.SIGTERM)
        return self.child.wait_end(seconds)


@dataclass(slots=True)
class World:
    """What runs and where."""

    folder: Path
    postgres: EmbeddedPostgres
    broker: Broker
    environment: dict[str, str]
    wallet_url: str = ""
    engines: list[Engine] = field(default_factory=list)
    sides: list[Child] = field(default_factory=list)
    # What engines alone are told, above all that the way to a server leads over a line.
    engine_environment: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def lay_line(self, server_port: int, *, names_itself: bool = False) -> Line:
        line = Line(server_port, names_itself=names_itself).lay()
        self.lines.append(line)
        return line

    def start_engine(self, *, wait: bool = True) -> Engine:
        log = self.folder / f"engine-{len(self.engines)}.log"
        engine = Engine(self._child(log, "run", **self.engine_environment), log)
        self.engines.append(engine)
        if wait:
            engine.child.wait_ready(engine.is_ready, READY_S)
        return engine

    def start_side(self, name: str, *arguments: str) -> None:
        """The sandbox wallet or the bridge: they live as long as the world."""
        log = self.folder / f"{name}.log"
        child = self._child(log, *arguments)
        self.sides.append(child)
        child.wait_ready(lambda: "READY" in log.read_text(errors="replace").split("\n"), READY_S)

    def paystate(self, *arguments: str) -> Any:
        """The JSON answer of a command, whether it is yes or no."""
        done = subprocess.run(
            [*_COMMAND, *arguments, "--output", "json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_S,
            env=self.environment,
        )
        try:
            return orjson.loads(done.stdout)
        except orjson.JSONDecodeError:
            raise ServerFailedError(f"paystate {' '.join(arguments)}: {done.stderr[-2000:]}") from None

    def set_wallet_faults(self, faults: dict[str, float]) -> None:
        answer = httpx2.put(f"{self.wallet_url}/sandbox/faults", json=faults, trust_env=False)
        answer.raise_for_status()

    def ledger(self) -> list[dict[str, Any]]:
        answer = httpx2.get(f"{self.wallet_url}/sandbox/ledger", timeout=60.0, trust_env=False)
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()
        return rows

    def _child(self, log: Path, *arguments: str, **settings: str) -> Child:
        log.touch()
        environment = self.environment | settings
        return Child([*_COMMAND, *arguments], log, environment=environment, death_signal=signal.SIGKILL)


_COMMAND = [sys.executable, "-c", "from service.cli import main; main()"]


@contextlib.contextmanager
def running_world(
    broker: str = "embedded", *, durable: bool = True, small_disk: bool = False, **settings: str
) -> Iterator[World]:
    """Servers, schema, topics, sandbox wallet and bridge; no engine yet. `settings` are PAYSTATE_… ones."""
    with tempfile.TemporaryDirectory(prefix="paystate-faults-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as somebody else where we are root
        if small_disk:
            stack.enter_context(mounted(folder / "postgres"))
        postgres = EmbeddedPostgres(folder / "postgres", durable=durable)
        kafka = BROKERS[broker](folder / "kafka")
        stack.enter_context(kafka)
        stack.callback(_thaw, kafka)
        stack.enter_context(postgres)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PAYSTATE_")}
        environment = ours | SETTINGS | settings
        environment["PAYSTATE_POSTGRES_DSN"] = postgres.dsn
        environment["PAYSTATE_KAFKA_BOOTSTRAP"] = kafka.bootstrap
        environment["PAYSTATE_CONFIG"] = str(folder / PROFILE_FILE)
        run_loop(migrate(postgres.dsn, LANES))
        run_loop(create_topics(KafkaAccess(kafka.bootstrap), LANES))
        world = World(folder, postgres, kafka, environment)
        stack.callback(_end, world)
        bridge_port, wallet_port = free_port(), free_port()
        world.wallet_url = f"http://127.0.0.1:{wallet_port}"
        notify_url = f"http://127.0.0.1:{bridge_port}/wallets/sandbox/notify"
        wallet = ("--port", str(wallet_port), "--data-dir", str(folder), "--notify-url", notify_url)
        # The sandbox has no profile to read yet: it is the one that writes it.
        del environment["PAYSTATE_CONFIG"]
        world.start_side("sandbox", "sandbox", *wallet)
        environment["PAYSTATE_CONFIG"] = str(folder / PROFILE_FILE)
        world.start_side("bridge", "serve", "--port", str(bridge_port))
        yield world


def _thaw(broker: Broker) -> None:
    if broker.alive:
        os.kill(broker.pid, signal.SIGCONT)


def _end(world: World) -> None:
    for engine in world.engines:
        if engine.child.returncode is None:
            # A frozen one would have to be waited for.
            engine.signal(signal.SIGCONT)
            engine.child.stop(signal.SIGTERM)
    for side in world.sides:
        side.stop(signal.SIGTERM)
    for line in world.lines:
        line.end()


def until(come: Callable[[], bool], seconds: float, what: str) -> float:
    """Waits; answers how long it took. Raises ServerFailedError when it does not come."""
    began = time.monotonic()
    while not come():
        if time.monotonic() - began > seconds:
            raise ServerFailedError(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_S)
    return time.monotonic() - began
