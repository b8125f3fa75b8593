"""The embedded servers: they start anywhere, keep what they were told, and never outlive their parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewTopic

from service.dev.apache_kafka import LIBRARIES, ApacheKafka
from service.dev.child import ServerFailedError, answers, free_port
from service.dev.kafka import Broker, EmbeddedKafka
from service.dev.postgres import EmbeddedPostgres
from service.dev.servers import dev_servers
from service.kafka.access import KafkaAccess
from service.kafka.topics import administrator

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

PARENT = "import sys, pathlib; from service.dev.servers import run_dev; run_dev(pathlib.Path(sys.argv[1]))"
GONE_S = 10.0
ANSWER_S = 15.0
# noida-db writes its log down once a second.
WRITTEN_DOWN_S = 1.5


async def _fetch(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def _produce(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def _first_value(bootstrap: str, topic: str) -> bytes | None:
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        return (await asyncio.wait_for(consumer.getone(), ANSWER_S)).value


def _gone_within(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = Path(f"/proc/{pid}/stat")
        # A zombie has ended; nobody here may be its parent.
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@contextmanager
def _paystate_dev(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    with subprocess.Popen([sys.executable, "-c", PARENT, data_dir], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        lines = [parent.stdout.readline().strip() for _ in range(3)]
        assert lines[-1] == "READY"
        try:
            yield parent, dict(line.split("=", 1) for line in lines[:-1])
        finally:
            parent.kill()


def _postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


async def test_each_test_has_a_database_of_its_own(postgres_dsn: str, database_dsn: str) -> None:
    assert await _fetch(database_dsn, "select current_database()") != await _fetch(
        postgres_dsn, "select current_database()"
    )
    assert await _fetch(database_dsn, "show server_encoding") == "UTF8"
    assert await _fetch(database_dsn, "show timezone") == "UTC"


async def test_what_postgres_acknowledged_survives_a_kill_of_the_server(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg") as server:
        await _fetch(server.dsn, "create table kept as select 42 as answer")
        server.kill()
        assert not server.alive
        server.start()
        assert await _fetch(server.dsn, "select answer from kept") == 42
        assert await _fetch(server.dsn, "show fsync") == "on"
    with EmbeddedPostgres(tmp_path / "pg", durable=False) as another:
        assert await _fetch(another.dsn, "select answer from kept") == 42
        assert await _fetch(another.dsn, "show fsync") == "off"


def test_a_restart_waits_for_sessions_that_outlive_a_killed_postmaster(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        for _ in range(3):
            server.kill()
            server.start()


def test_postgres_needs_nothing_of_the_directories_above_it(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with EmbeddedPostgres(private / "below" / "pg", durable=False) as server:
        assert asyncio.run(_fetch(server.dsn, "select 1")) == 1
        if os.geteuid() == 0:
            assert Path(f"/proc/{server.pid}").stat().st_uid != 0
            assert server.data_dir.stat().st_uid != 0
            assert server.data_dir.parent.stat().st_uid == 0
    assert private.stat().st_mode & 0o777 == 0o700


def test_a_temporary_data_directory_goes_with_its_server() -> None:
    with EmbeddedPostgres(durable=False) as server:
        data_dir = server.data_dir
        assert data_dir.exists()
    assert not data_dir.exists()


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.dev.child.PREDECESSOR_S", 0.3)
    with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        with pytest.raises(ServerFailedError, match=f"process {server.pid} is serving"):
            EmbeddedPostgres(tmp_path / "pg").start()
        assert server.alive


def test_a_stale_pid_file_with_the_number_of_another_process_is_no_obstacle(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", durable=False)
    with server, EmbeddedPostgres(durable=False) as neighbour:
        server.kill()
        pid_file = tmp_path / "pg" / "cluster" / "postmaster.pid"
        _, *rest = pid_file.read_text().splitlines(keepends=True)
        pid_file.write_text("".join([f"{neighbour.pid}\n", *rest]))
        server.start()
        assert server.alive


def test_a_failed_start_tells_the_end_of_the_log(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", settings={"shared_buffers": "plenty"})
    with pytest.raises(ServerFailedError, match='invalid value for parameter "shared_buffers"'):
        server.start()
    with pytest.raises(ServerFailedError, match="running already"), EmbeddedPostgres(durable=False) as twice:
        twice.start()


def test_both_servers_end_with_a_killed_parent_and_start_again_on_the_same_data(tmp_path: Path) -> None:
    with _paystate_dev(tmp_path) as (parent, first):
        postmaster = _postmaster(tmp_path)
        broker_port = int(first["PAYSTATE_KAFKA_BOOTSTRAP"].rpartition(":")[2])
        assert answers(broker_port)
        parent.kill()
        parent.wait()
        with _paystate_dev(tmp_path) as (_, second):
            assert second["PAYSTATE_POSTGRES_DSN"].startswith("postgresql://")
            assert _gone_within(postmaster, GONE_S)
            assert not answers(broker_port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_parent_stops_both_in_order_and_exits_zero(tmp_path: Path, number: signal.Signals) -> None:
    with _paystate_dev(tmp_path) as (parent, _):
        parent.send_signal(number)
        assert parent.wait(20) == 0
        assert "database system is shut down" in (tmp_path / "postgres" / "postgres.log").read_text()


def test_the_parent_says_so_when_a_server_ends_by_itself(tmp_path: Path) -> None:
    with _paystate_dev(tmp_path) as (parent, _):
        os.kill(_postmaster(tmp_path), signal.SIGKILL)
        assert parent.wait(20) != 0


async def _keeps_its_log_over_a_kill(broker: Broker, *, written_down_s: float = 0) -> None:
    async with administrator(KafkaAccess(broker.bootstrap)) as admin:
        await admin.create_topics([NewTopic("kept", num_partitions=3, replication_factor=1)])
    await _produce(broker.bootstrap, "kept", b"acknowledged")
    await asyncio.sleep(written_down_s)
    broker.kill()
    broker.start()
    assert await _first_value(broker.bootstrap, "kept") == b"acknowledged"


async def test_what_the_embedded_broker_wrote_down_survives_a_kill(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        await _keeps_its_log_over_a_kill(broker, written_down_s=WRITTEN_DOWN_S)
        await _produce(broker.bootstrap, "kept", b"the last moment")
    with EmbeddedKafka(tmp_path / "kafka") as again:
        assert await _first_value(again.bootstrap, "kept") == b"acknowledged"


@pytest.mark.faults
@pytest.mark.skipif(not LIBRARIES.exists(), reason="Apache Kafka is not fetched: `make kafka` does it")
async def test_what_apache_kafka_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    with ApacheKafka(tmp_path / "kafka") as broker:
        await _keeps_its_log_over_a_kill(broker)
        port = broker.port
    with ApacheKafka(tmp_path / "kafka") as again:
        assert again.port == port
        assert await _first_value(again.bootstrap, "kept") == b"acknowledged"


def test_apache_kafka_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerFailedError, match="needs Java 17"):
        ApacheKafka(tmp_path / "kafka").start()
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setattr("service.dev.apache_kafka.LIBRARIES", tmp_path / "libs")
    with pytest.raises(ServerFailedError, match="no `mvn` on the PATH"):
        ApacheKafka(tmp_path / "kafka").start()


async def test_the_servers_of_the_demo_answer() -> None:
    with dev_servers() as servers:
        assert await _fetch(servers.postgres_dsn, "select current_database()") == "paystate"
        assert answers(int(servers.kafka_bootstrap.rpartition(":")[2]))


def test_a_free_port_is_never_one_of_the_outgoing_ones() -> None:
    ports = {free_port() for _ in range(20)}
    assert len(ports) == 20
    assert max(ports) < 32_768
