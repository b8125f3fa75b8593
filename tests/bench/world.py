"""The bench's world: one durable Postgres, one Apache Kafka, and programs that are started in it."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby
from operator import attrgetter
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete

from schemas.vocabulary import Topic
from service.dev.apache_kafka import ApacheKafka
from service.dev.child import Child, free_port
from service.dev.postgres import EmbeddedPostgres
from service.kafka.access import KafkaAccess
from service.kafka.clients import MAX_BATCH_BYTES, consumer
from service.kafka.topics import administrator, create_topics
from service.sandbox.identity import Identity, profile_toml
from service.store.migrate import migrate
from tests.bench.meter import Cpu, measure
from tests.bench.workload import Given

READY_S = 60.0
# Lanes stay with a program that is stopped (SIGSTOP) while its topics are filled.
LEASE_TTL_S = 120
ENGINE = [sys.executable, "-c", "from service.cli import main; main()", "run"]
FLOOR = [sys.executable, "-m", "tests.bench.floor"]
NAIVE = [sys.executable, "-m", "tests.bench.naive"]
_numbers = count(1)


@dataclass(slots=True)
class World:
    """Where programs are measured. Kafka stays, warm; each program gets a database of its own."""

    lanes: int
    postgres: EmbeddedPostgres
    kafka: ApacheKafka
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    async def fresh(self) -> None:
        """An empty database, and topics without records."""
        name = f"bench_{next(_numbers)}"
        connection = await asyncpg.connect(self.postgres.dsn)
        try:
            await connection.execute(f"create database {name}")
            # What the run before has left to write out is not for the next one to pay.
            await connection.execute("checkpoint")
        finally:
            await connection.close()
        dsn = urlunsplit(urlsplit(self.postgres.dsn)._replace(path=f"/{name}"))
        await migrate(dsn, self.lanes)
        await self._empty_topics()
        self.environment["PAYSTATE_POSTGRES_DSN"] = dsn

    async def _empty_topics(self) -> None:
        ends = await self.end_offsets(list(Topic))
        async with administrator(KafkaAccess(self.kafka.bootstrap)) as admin:
            await admin.delete_records({at: RecordsToDelete(end) for at, end in ends.items() if end})

    async def end_offsets(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """The ends of the topics' partitions, as a read_committed consumer sees them."""
        async with reading(self.kafka.bootstrap) as reader:
            return await reader.end_offsets(partitions(topics, self.lanes))

    @contextlib.contextmanager
    def running(self, commands: Sequence[list[str]]) -> Iterator[list[Child]]:
        """Programs, each when it has said READY; asked to end afterwards."""
        children: list[Child] = []
        try:
            for command in commands:
                log = self.folder / f"program-{next(_numbers)}.log"
                child = Child(command, log, environment=self.environment, death_signal=signal.SIGTERM)
                children.append(child)
                child.wait_ready(lambda log=log: "READY" in log.read_text(errors="replace").split("\n"), READY_S)
            yield children
        finally:
            for child in children:
                child.stop(signal.SIGTERM)

    def cpu(self, children: Sequence[Child]) -> Cpu:
        """CPU time so far, of the programs and of both servers."""
        return measure([child.pid for child in children], self.postgres.pid, self.kafka.pid)

    async def fill(self, records: Sequence[Given]) -> None:
        """Puts the records into their topics, in their sequence within each partition."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap, acks="all", max_batch_size=MAX_BATCH_BYTES // 4
        )
        await producer.start()
        try:
            place = attrgetter("topic", "partition")
            # The sort is stable.
            for (topic, partition), group in groupby(sorted(records, key=place), key=place):
                await send_all(producer, topic, partition, list(group))
            await producer.flush()
        finally:
            await producer.stop()

    async def dispositions(self) -> list[int]:
        """What became of the input records, all lanes together, in the order of `COUNTERS`."""
        connection = await asyncpg.connect(self.environment["PAYSTATE_POSTGRES_DSN"])
        try:
            rows = await connection.fetch("select counters from paystate.lanes")
        finally:
            await connection.close()
        return [sum(column) for column in zip(*(row["counters"] for row in rows), strict=True)]

    async def shared_out(self, engines: int) -> None:
        """Returns when so many engines own the lanes in equal shares."""
        connection = await asyncpg.connect(self.environment["PAYSTATE_POSTGRES_DSN"])
        until = time.monotonic() + READY_S
        try:
            while True:
                rows = await connection.fetch(
                    "select count(*) as n from paystate.lanes where owner is not null group by owner"
                )
                if sorted(row["n"] for row in rows) == [self.lanes // engines] * engines:
                    return
                if time.monotonic() > until:
                    raise TimeoutError(f"the lanes are not shared out among {engines} engines: {rows}")
                await asyncio.sleep(0.2)
        finally:
            await connection.close()


@contextlib.contextmanager
def running_world(lanes: int, identity: Identity) -> Iterator[World]:
    """Starts both servers; stops them and throws their data away. Raises ServerFailedError."""
    with (
        tempfile.TemporaryDirectory(prefix="paystate-bench-") as folder,
        EmbeddedPostgres(durable=True) as postgres,
        ApacheKafka() as kafka,
    ):
        config = Path(folder) / "paystate.toml"
        # Nobody listens there: no order of the workload makes a call.
        config.write_text(profile_toml(identity, f"http://127.0.0.1:{free_port()}"), encoding="utf-8")
        asyncio.run(create_topics(KafkaAccess(kafka.bootstrap), lanes))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PAYSTATE_")} | {
            "PAYSTATE_CONFIG": str(config),
            "PAYSTATE_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "PAYSTATE_LANES": str(lanes),
            "PAYSTATE_LEASE_TTL_S": str(LEASE_TTL_S),
            # An order that waits in a filled topic is not to be asked about.
            "PAYSTATE_FIRST_QUERY_S": "600",
            "PAYSTATE_LOG_LEVEL": "warning",
        }
        yield World(lanes, postgres, kafka, Path(folder), environment)


async def send_all(producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[Given]) -> None:
    """Hands records of one partition over in whole batches: that costs a fifth of single records."""
    batch = producer.create_batch()
    for given in records:
        if batch.append(key=given.key, value=given.value, timestamp=None) is None:
            await producer.send_batch(batch, topic, partition=partition)
            batch = producer.create_batch()
            batch.append(key=given.key, value=given.value, timestamp=None)
    if batch.record_count():
        await producer.send_batch(batch, topic, partition=partition)


@contextlib.asynccontextmanager
async def reading(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A read_committed consumer."""
    reader = consumer(KafkaAccess(bootstrap))
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


def partitions(topics: Sequence[str], lanes: int) -> list[TopicPartition]:
    """All partitions of these topics."""
    return [TopicPartition(topic, lane) for topic in topics for lane in range(lanes)]
