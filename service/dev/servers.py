"""The embedded servers together, for `paystate dev`, the demo and the tests."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.dev.child import ServerFailedError
from service.dev.kafka import EmbeddedKafka
from service.dev.postgres import EmbeddedPostgres
from service.dev.server import Server

WATCH_S = 0.5


@dataclass(frozen=True, slots=True)
class Servers:
    """The running servers and where they listen."""

    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka

    @property
    def postgres_dsn(self) -> str:
        """For `PAYSTATE_POSTGRES_DSN`."""
        return self.postgres.dsn

    @property
    def kafka_bootstrap(self) -> str:
        """For `PAYSTATE_KAFKA_BOOTSTRAP`."""
        return self.kafka.bootstrap


def _both(data_dir: Path | None) -> Servers:
    return Servers(
        EmbeddedPostgres(None if data_dir is None else data_dir / "postgres"),
        EmbeddedKafka(None if data_dir is None else data_dir / "kafka"),
    )


@contextlib.contextmanager
def dev_servers(data_dir: Path | None = None) -> Iterator[Servers]:
    """Postgres and a Kafka-protocol broker, for as long as the context lasts.

    With `data_dir` both keep their data.
    """
    servers = _both(data_dir)
    with servers.kafka, servers.postgres:
        yield servers


def run_dev(data_dir: Path | None = None) -> None:
    """Starts both, says where they are, and stays until SIGINT or SIGTERM.

    Raises ServerFailedError when one does not start, or ends by itself.
    """
    servers = _both(data_dir)
    serve_until_interrupted(
        [servers.kafka, servers.postgres],
        lambda: [
            f"PAYSTATE_POSTGRES_DSN={servers.postgres_dsn}",
            f"PAYSTATE_KAFKA_BOOTSTRAP={servers.kafka_bootstrap}",
        ],
    )


def serve_until_interrupted(servers: Sequence[Server], addresses: Callable[[], Sequence[str]]) -> None:
    """Starts the servers, prints their addresses and READY, and stops them at SIGINT or SIGTERM."""
    # SIGINT too: a shell makes what it starts in the background deaf to it.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
            for server in servers:
                stack.enter_context(server)
            print(*addresses(), "READY", sep="\n", flush=True)
            while all(server.alive for server in servers):
                time.sleep(WATCH_S)
            ended = next(server for server in servers if not server.alive)
            raise ServerFailedError(f"{ended.name} ended by itself")
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
