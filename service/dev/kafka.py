"""A Kafka-protocol broker for development: the wheel `noida-db`. Its shape is `apache_kafka`'s too."""

import asyncio
import importlib.util
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from service.dev.child import Child, ServerFailedError, answers, await_end_of_predecessor
from service.dev.server import Server

REQUEST_S = 5.0


class Broker(Server):
    """Any broker on loopback that speaks Kafka's protocol."""

    @property
    def bootstrap(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        if not answers(self.port):
            return False
        # In a thread of its own: the caller may be inside an event loop already.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _tells_its_metadata(self.bootstrap)).result()


class EmbeddedKafka(Broker):
    """noida-db's Kafka: transactions, fencing and read_committed.

    Its whole log is in memory, and written to the data directory once a second and when it is asked to end.
    So it is for small data, and after `kill` up to a second of what it acknowledged is missing (`ApacheKafka`
    keeps it). It makes a topic that it does not know, with one partition, when a client asks for it: create
    yours first.
    """

    name: ClassVar[str] = "the embedded broker"

    def _prepare(self) -> None:
        if not _binary().exists():
            raise ServerFailedError(f"{_binary()} is missing: run `make setup`")
        await_end_of_predecessor(self._pid_file, self._data)

    def _launch(self) -> Child:
        command = [str(_binary()), "start", "--only", "kafka", "--kafka-port", str(self.port)]
        child = Child(
            [*command, "--data-dir", str(self._data)],
            self.data_dir / "broker.log",
            # With its parent gone it still writes its log down.
            death_signal=signal.SIGTERM,
        )
        self._pid_file.write_text(str(child.pid))
        return child

    @property
    def _data(self) -> Path:
        return self.data_dir / "data"

    @property
    def _pid_file(self) -> Path:
        return self.data_dir / "broker.pid"


def _binary() -> Path:
    found = importlib.util.find_spec("noida_db")
    if found is None or found.origin is None:
        raise ServerFailedError("the package noida-db is not installed: run `make setup`")
    return Path(found.origin).parent / "noida-db"


async def _tells_its_metadata(bootstrap: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(REQUEST_S * 1000))
    try:
        async with asyncio.timeout(REQUEST_S):
            await admin.start()
            await admin.list_topics()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()
    return True
