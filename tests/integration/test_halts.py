"""P6: outside what it can bear, a lane halts with a reason that says what happened. It never guesses."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions
from aiokafka.record._crc32c import crc as crc32c
from prometheus_client import REGISTRY

from schemas.vocabulary import Topic
from service import wiring
from service.config import Config, Settings
from service.dev.kafka import EmbeddedKafka
from service.engine import Engine
from service.kafka import clients
from service.kafka.access import KafkaAccess
from service.kafka.broker import Kafka
from service.kafka.topics import WrongTopicError, administrator, create_topics
from service.lanes import session
from service.lanes.intake import Intake
from service.lanes.rebase import NotRebasedError
from service.relay import RETRY_S
from service.store import lanes as lane_rows
from service.store import views
from service.store.connection import Database
from service.store.migrate import migrate
from service.verify import verify
from tests.integration.conftest import names_in_lane
from tests.logs import logs_of

pytestmark = pytest.mark.integration

LANES = 2
# Where a batch has its CRC32C, of all that follows (KIP-98).
_CRC = slice(17, 21)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of the test's own: what is done to it must not be done to others."""
    with EmbeddedKafka(tmp_path / "kafka") as server:
        yield server


@pytest.fixture
async def config(broker: EmbeddedKafka, database_dsn: str) -> Config:
    await migrate(database_dsn, LANES)
    await create_topics(KafkaAccess(broker.bootstrap), LANES)
    settings = Settings(
        postgres_dsn=database_dsn, kafka_bootstrap=broker.bootstrap, lanes=LANES, lease_ttl_s=1, profiles={}
    )
    return Config(settings, {}, None)


@pytest.fixture
async def database(config: Config) -> AsyncIterator[Database]:
    opened = wiring.database(config)
    yield opened
    await opened.close()


@contextlib.asynccontextmanager
async def running(config: Config) -> AsyncIterator[Engine]:
    """An engine in this process, which hands its lanes over at the end."""
    engine = wiring.engine(config)
    ready = asyncio.Event()
    task = asyncio.create_task(engine.run(ready.set))
    try:
        async with asyncio.timeout(20):
            await ready.wait()
        yield engine
    finally:
        engine.stop()
        await asyncio.gather(task)


async def _send(config: Config, count: int) -> None:
    """Records for lane 0; they become dead letters, which is enough to move its offsets."""
    key = next(names_in_lane("o", 0, LANES))
    producer = AIOKafkaProducer(bootstrap_servers=config.settings.kafka_bootstrap)
    await producer.start()
    for _ in range(count):
        await producer.send_and_wait(Topic.ORDERS, b"{}", key=key.encode(), partition=0)
    await producer.stop()


async def _send_batch(config: Config, *names: bytes) -> None:
    """A batch of records for lane 0, each with a header of such a name, which need not be UTF-8."""
    key = next(names_in_lane("o", 0, LANES)).encode()
    producer = AIOKafkaProducer(bootstrap_servers=config.settings.kafka_bootstrap)
    await producer.start()
    batch = producer.create_batch()
    for number, _ in enumerate(names):
        batch.append(key=key, value=b"{}", timestamp=None, headers=[(f"name{number}", b"")])
    # aiokafka writes names as UTF-8 only: they are changed in what it has built, and the CRC with them.
    built = batch._build()
    for number, name in enumerate(names):
        place = built.index(b"name%d" % number)
        built[place : place + len(name)] = name
    built[_CRC] = struct.pack(">I", crc32c(bytes(built[_CRC.stop :])))
    await (await producer.send_batch(batch, Topic.ORDERS, partition=0))
    await producer.stop()


async def _lane(database: Database, is_there: Any) -> asyncpg.Record:
    """Lane 0, once it is as wanted."""
    async with asyncio.timeout(30):
        while not is_there(row := (await views.lane_rows(database))[0]):
            await asyncio.sleep(0.1)
    return row


async def _halt_reason(database: Database) -> str:
    row = await _lane(database, lambda row: row["status"] == "halted")
    return str(row["halt_reason"])


async def _shown(*, halted: float) -> None:
    """Returns when the metric says so of lane 0."""
    async with asyncio.timeout(10):
        while REGISTRY.get_sample_value("paystate_lane_halted", {"lane": "0"}) != halted:
            await asyncio.sleep(0.1)


async def _delete(config: Config, topic: str) -> None:
    async with administrator(config.kafka) as admin:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():
            await asyncio.sleep(0.1)


async def _make_topic_anew(config: Config, database: Database) -> None:
    """After three of its records have been read."""
    async with running(config):
        await _send(config, 3)
        await _lane(database, lambda row: row["next_offsets"] == [3, 0, 0])
    await _delete(config, Topic.ORDERS)
    await create_topics(config.kafka, LANES)


async def test_a_topic_that_was_made_anew_halts_its_lane(config: Config, database: Database) -> None:
    await _make_topic_anew(config, database)
    async with running(config):
        assert await _halt_reason(database) == (
            "orders.events[0] ends at offset 0, and the lane has read up to 3: "
            "the topic was recreated or has lost records. When that is understood: paystate rebase 0"
        )
        # The other lane goes on.
        assert (await views.lane_rows(database))[1]["status"] == "owned"


async def test_another_topic_with_as_many_records_is_noticed_too(config: Config, database: Database) -> None:
    await _make_topic_anew(config, database)
    await _send(config, 4)
    async with running(config):
        assert "is not the one that the lane has read: the topic was recreated" in await _halt_reason(database)


async def test_a_journal_that_ends_before_the_topic_does_halts_the_lane(config: Config, database: Database) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=config.settings.kafka_bootstrap, transactional_id="before")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(Topic.STATE_EVENTS, b'{"lane_seq": 12}', partition=0)
    await producer.stop()
    async with running(config):
        assert await _halt_reason(database) == (
            "payment.state-events[0] has lane_seq 12, and the journal ends at 0: Postgres went back in time."
            " When that is understood: paystate rebase 0"
        )


async def test_nothing_is_decided_while_it_is_not_known_what_was_published(
    config: Config, database: Database
) -> None:
    """What the lost copy of a database had sent last can be in a transaction that nobody sees the end of yet."""
    producer = clients.transactional_producer(config.kafka, "elsewhere")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(Topic.STATE_EVENTS, b'{"lane_seq": 1, "event_id": "lost"}', partition=0)
    await _send(config, 2)
    async with running(config):
        await asyncio.sleep(2 * RETRY_S)
        (row,) = [row for row in await views.lane_rows(database) if row["lane"] == 0]
        assert row["next_offsets"] == [0, 0, 0]
        await producer.commit_transaction()
        assert "has lane_seq 1, and the journal ends at 0" in await _halt_reason(database)
    await producer.stop()


async def test_a_lane_goes_on_when_a_person_says_so(config: Config, database: Database) -> None:
    await _make_topic_anew(config, database)
    await _send(config, 4)
    async with running(config):
        reason = await _halt_reason(database)
        await _shown(halted=1.0)
        # Nothing is mended, so that it halts again.
        assert await lane_rows.resume(database, 0) == reason
        assert await _halt_reason(database) == reason
        done = await wiring.rebase(config, 0)
        assert [(place.topic, place.position, place.begin) for place in done.moved] == [(Topic.ORDERS, 3, 0)]
        row = await _lane(database, lambda row: row["next_offsets"] == [4, 0, 0])
        await _shown(halted=0.0)
    assert row["status"] == "owned"
    assert (await verify(database, config.kafka, 5.0)).ok
    with pytest.raises(NotRebasedError, match="lane 0 is not halted"):
        await wiring.rebase(config, 0)


async def test_a_topic_that_gets_more_partitions_halts_the_lanes(
    config: Config, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "METADATA_MAX_AGE_MS", 1_000)
    async with running(config):
        await _send(config, 1)
        await _lane(database, lambda row: row["next_offsets"] == [1, 0, 0])
        await _add_partition(config, Topic.CALLBACKS)
        reason = await _halt_reason(database)
        assert reason.startswith(
            f"topic wallet.callbacks has {LANES + 1} partitions, and there are {LANES} lanes. "
        )
        assert reason.endswith("When that is understood: paystate rebase 0")
        with pytest.raises(NotRebasedError, match=r"topic wallet\.callbacks has 3 partitions"):
            await wiring.rebase(config, 0)
        await _delete(config, Topic.CALLBACKS)
        await create_topics(config.kafka, LANES)
        await wiring.rebase(config, 0)
        await _lane(database, lambda row: row["status"] == "owned")
        await _send(config, 1)
        await _lane(database, lambda row: row["next_offsets"] == [2, 0, 0])


async def _add_partition(config: Config, topic: str) -> None:
    async with administrator(config.kafka) as admin:
        answer = await admin.create_partitions({topic: NewPartitions(LANES + 1)})
        assert [error[1] for error in answer.topic_errors] == [0]


async def test_an_engine_does_not_start_on_topics_of_another_shape(config: Config) -> None:
    await _delete(config, Topic.COMPLETIONS)
    engine = wiring.engine(config)
    with pytest.raises(WrongTopicError, match=r"topic service\.completions does not exist"):
        await engine.run(lambda: None)


async def test_a_record_that_cannot_be_decoded_halts_its_lane_alone(config: Config, database: Database) -> None:
    await _send(config, 1)
    await _send_batch(config, b"good", b"caf\xe9", b"good")
    async with running(config):
        reason = await _halt_reason(database)
        assert reason.startswith("orders.events[0] cannot be read at offset 2: UnicodeDecodeError(")
        mine, other = await views.lane_rows(database)
        # What stands before it was done, and nothing was skipped.
        assert (mine["next_offsets"], other["status"]) == ([2, 0, 0], "owned")
        assert await lane_rows.resume(database, 0)
        assert await _halt_reason(database) == reason


async def test_what_is_read_singly_is_bounded_too(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that waits for its database keeps one that cannot be read from halting, and others are read on."""
    await _send(config, 1)
    await _send_batch(config, b"caf\xe9")
    producer = AIOKafkaProducer(bootstrap_servers=config.settings.kafka_bootstrap)
    await producer.start()
    for _ in range(12):
        await producer.send_and_wait(Topic.ORDERS, b"{}", partition=1)
    await producer.stop()
    monkeypatch.setattr("service.lanes.unreadable.MAX_RECORDS", 3)
    monkeypatch.setattr("service.lanes.intake.QUEUE_HIGH", 4)
    monkeypatch.setattr("service.lanes.intake.RETRY_S", 0.05)
    intake = Intake(Kafka(config.kafka), "nobody", LANES)
    lost: list[Exception] = []
    queues = [intake.open(lane, [0, 0, 0], lost.append) for lane in range(LANES)]
    reading = asyncio.create_task(intake.run())
    await asyncio.sleep(3)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert [queue.waiting() for queue in queues] == [1, 6]
    assert lost == []


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_may_be_compressed_with_any_codec(config: Config, database: Database, codec: str) -> None:
    key = next(names_in_lane("o", 0, LANES)).encode()
    producer = AIOKafkaProducer(bootstrap_servers=config.settings.kafka_bootstrap, compression_type=codec)
    await producer.start()
    await asyncio.gather(*[await producer.send(Topic.ORDERS, b"{}" * 99, key=key, partition=0) for _ in range(9)])
    await producer.stop()
    async with running(config):
        await _lane(database, lambda row: row["next_offsets"] == [9, 0, 0])


async def test_a_time_that_python_cannot_name_is_kept_as_the_last(config: Config, database: Database) -> None:
    """A producer that counts in microseconds; a broker older than Kafka 4 takes it."""
    producer = AIOKafkaProducer(bootstrap_servers=config.settings.kafka_bootstrap)
    await producer.start()
    key = next(names_in_lane("o", 0, LANES)).encode()
    await producer.send_and_wait(Topic.ORDERS, b"{}", key=key, partition=0, timestamp_ms=1_764_000_000_000_000)
    await producer.stop()
    async with running(config):
        await _lane(database, lambda row: row["next_offsets"] == [1, 0, 0])
    connection = await asyncpg.connect(config.settings.postgres_dsn)
    assert await connection.fetchval("select extract(year from record_time) from paystate.dead_letters") == 9999
    await connection.close()


def _waited_for() -> float | None:
    return REGISTRY.get_sample_value("paystate_lane_orders_waited_for", {"lane": "0"})


async def _let_one_wait(config: Config) -> None:
    connection = await asyncpg.connect(config.settings.postgres_dsn)
    await connection.execute(
        """
        insert into paystate.parked (lane, topic, record_offset, order_id, value, headers, record_time)
        values (0, 'orders.events', 0, 'o1', '', '[]', now())
        """
    )
    await connection.close()


async def test_how_many_orders_are_waited_for_is_told_by_whoever_has_the_lane(config: Config) -> None:
    await _let_one_wait(config)
    async with running(config):
        async with asyncio.timeout(10):
            while _waited_for() != 1:
                await asyncio.sleep(0.1)
    assert _waited_for() is None


async def test_a_worker_that_cannot_begin_says_of_no_order_that_it_waits(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _let_one_wait(config)
    owner = await asyncpg.connect(config.settings.postgres_dsn)
    await owner.execute("revoke select on paystate.timers from paystate_service")
    await owner.close()
    logs = logs_of(session, monkeypatch)
    async with running(config), asyncio.timeout(10):
        # Of both lanes.
        while sum(entry["event"] == "lane_failed" for entry in logs) < 2 * LANES:
            await asyncio.sleep(0.1)
    assert _waited_for() is None
