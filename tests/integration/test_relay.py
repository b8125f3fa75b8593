"""The relay: every journal entry once and in order, whoever publishes, whatever was there before."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from schemas.vocabulary import Kind, LatePayment, State, Topic, Trigger
from service import relay as relaying
from service.dev.kafka import EmbeddedKafka
from service.kafka.access import KafkaAccess
from service.kafka.broker import Kafka
from service.kafka.clients import connections, consumer, start, started, transactional_producer
from service.kafka.published import OpenTransactionError, check_closed, committed_tail
from service.kafka.topics import create_topics
from service.lanes.batch import Published
from service.lanes.errors import LaneHaltedError
from service.relay import Relay
from service.state_events import headers
from service.store import journal, lanes
from service.store.commit import BatchRows, JournalEntry, commit
from service.store.connection import Database
from service.store.lanes import LaneFencedError, LaneRow
from service.store.migrate import migrate
from statemachine.order import Order
from tests.wallets.orders import order
from tests.wallets.vectors import adapter

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
# One for each test.
LANES = 24


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    """A broker of these tests' own: the lanes of the shared one have an engine."""
    with EmbeddedKafka() as server:
        yield server


@pytest.fixture
async def bootstrap(broker: EmbeddedKafka) -> str:
    await create_topics(KafkaAccess(broker.bootstrap), LANES)
    return broker.bootstrap


_lanes = iter(range(LANES))


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    await migrate(database_dsn, LANES)
    opened = Database(database_dsn, "paystate_service")
    yield opened
    await opened.close()


@pytest.fixture
async def lane(database: Database) -> LaneRow:
    """A lane that no test has published to yet."""
    wanted = next(_lanes)
    row = next(row for row in await lanes.claim(database, "w", 60, LANES) if row.lane == wanted)
    await lanes.begin_at(database, row.lane, row.epoch, [0, 0, 0])
    return row


async def _last_published(bootstrap: str, lane: LaneRow) -> int | None:
    """As a relay finds it."""
    await check_closed(Kafka(KafkaAccess(bootstrap)), lane.lane, [Topic.STATE_EVENTS])
    tail = await committed_tail(Kafka(KafkaAccess(bootstrap)), lane.lane)
    return None if tail is None else tail.lane_seq


def _event(lane_seq: int) -> bytes:
    """As much of what `_Journal` commits as tells that it is published."""
    return orjson.dumps({"lane_seq": lane_seq, "event_id": f"e{lane_seq}"})


class _Journal:
    """Commits entries to a lane, one order each."""

    def __init__(self, database: Database, lane: LaneRow) -> None:
        self.database = database
        self.lane = lane
        self.seq = 0

    async def write(self, count: int, *, skip: int = 0) -> list[Published]:
        entries, self.seq = range(self.seq + 1 + skip, self.seq + 1 + skip + count), self.seq
        published, rows = [], []
        for seq in entries:
            order = Order(
                f"o{seq}", Kind.PAYMENT, "mall", "CNY", 1, "x", 900, 900, 3600, LatePayment.REFUND, NOW, version=1
            )
            event = {
                "event_id": f"e{seq}",
                "order_id": order.order_id,
                "lane_seq": seq,
                "state": State.CREATED,
                "trigger": Trigger.CREATE,
                "occurred_at": "2026-11-24T08:00:00Z",
                "recorded_at": str(self.seq),
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            }
            rows.append(JournalEntry(seq, order.order_id, 1, order, orjson.dumps(event)))
            published.append(Published(seq, order.order_id, 1, rows[-1].event, headers(event), None))
        next_seq = entries[-1]
        connection = await self.database.connect()
        await commit(
            connection,
            BatchRows(
                self.lane.lane,
                self.lane.epoch,
                self.seq,
                next_seq,
                0,
                [0, 0, 0],
                [0, 0, 0],
                orders={row.order_id: row.order for row in rows},
                journal=rows,
            ),
        )
        await connection.close()
        self.seq = next_seq
        return published


def _relay(bootstrap: str, database: Database, lane: LaneRow, published_low: int = 0) -> Relay:
    prefix = f"test-{database.dsn.rpartition('_')[2]}"
    return Relay(lane.lane, Kafka(KafkaAccess(bootstrap)), database, {}, published_low, prefix, lane.epoch)


@contextlib.asynccontextmanager
async def _running(relay: Relay) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _flushed(relay: Relay, up_to: int) -> None:
    async with asyncio.timeout(20):
        while relay.position < up_to:
            await asyncio.sleep(0.02)


async def _consumed(
    bootstrap: str, lane: int, topic: Topic = Topic.STATE_EVENTS, name: str = "lane_seq"
) -> list[tuple[int, dict[str, bytes]]]:
    """What a read_committed consumer sees: a member of each record and its headers, in order."""
    partition = TopicPartition(topic, lane)
    reader = consumer(KafkaAccess(bootstrap))
    await reader.start()
    seen = []
    try:
        reader.assign([partition])
        await reader.seek_to_beginning()
        end = (await reader.end_offsets([partition]))[partition]
        while await reader.position(partition) < end:
            for records in (await reader.getmany(timeout_ms=200)).values():
                seen += [(orjson.loads(record.value)[name], dict(record.headers)) for record in records]
    finally:
        await reader.stop()
    return seen


async def test_what_is_committed_before_and_after_its_start_is_published_once_and_in_order(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    written = _Journal(database, lane)
    await written.write(3)
    relay = _relay(bootstrap, database, lane)
    async with _running(relay):
        await _flushed(relay, 3)
        relay.offer(await written.write(900))
        relay.offer(await written.write(2))
        await asyncio.wait_for(relay.flushed(), 20)
    consumed = await _consumed(bootstrap, lane.lane)
    assert [seq for seq, _ in consumed] == list(range(1, 906))
    ce = consumed[0][1]
    assert (ce["ce_id"], ce["ce_type"], ce["ce_subject"]) == (b"e1", b"paystate.order.created", b"o1")
    assert (ce["ce_specversion"], ce["content-type"]) == (b"1.0", b"application/json")
    assert ce["traceparent"] == b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_an_order_string_carries_the_trace_of_what_it_follows_from(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    relay = _relay(bootstrap, database, lane)
    relay.adapters = {"mall": adapter()}
    [entry] = await _Journal(database, lane).write(1)
    entry.order = order()
    async with _running(relay):
        relay.offer([entry])
        await _flushed(relay, 1)
    [(version, carried)] = await _consumed(bootstrap, lane.lane, Topic.ORDER_STRINGS, "version")
    assert (version, carried) == (1, {"traceparent": dict(entry.headers)["traceparent"]})


async def test_the_next_owner_goes_on_after_the_tail_and_fences_the_last(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    written = _Journal(database, lane)
    first = _relay(bootstrap, database, lane)
    async with _running(first) as running:
        first.offer(await written.write(5))
        await _flushed(first, 5)
        await lanes.release(database, lane.lane, lane.epoch, 5)
        (claimed,) = [row for row in await lanes.claim(database, "next", 60, LANES) if row.lane == lane.lane]
        written.lane = claimed
        second = _relay(bootstrap, database, claimed)
        async with _running(second):
            second.offer(await written.write(5))
            await _flushed(second, 10)
            # The first one does not know yet, and tries to publish what it was told of last.
            first.offer([Published(n, f"o{n}", 1, b'{"lane_seq": 99}', [], None) for n in range(6, 9)])
            with pytest.raises(LaneFencedError, match="no longer at epoch"):
                await asyncio.wait_for(running, 20)
    assert [seq for seq, _ in await _consumed(bootstrap, lane.lane)] == list(range(1, 11))
    assert await _last_published(bootstrap, lane) == 10


async def test_a_relay_that_loses_its_lane_while_it_opens_its_ids_publishes_nothing(
    bootstrap: str, database: Database, lane: LaneRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has opened one before the new owner did, and opens the other afterwards."""
    half_open, go_on, starts = asyncio.Event(), asyncio.Event(), itertools.count()

    async def started_late(producer: AIOKafkaProducer) -> None:
        if next(starts) == 0:
            await go_on.wait()
        await start(producer)
        half_open.set()

    monkeypatch.setattr(relaying, "start", started_late)
    written = _Journal(database, lane)
    entries = await written.write(5)
    async with _running(_relay(bootstrap, database, lane)) as running:
        await asyncio.wait_for(half_open.wait(), 20)
        await lanes.release(database, lane.lane, lane.epoch, 0)
        (claimed,) = [row for row in await lanes.claim(database, "next", 60, LANES) if row.lane == lane.lane]
        written.lane = claimed
        second = _relay(bootstrap, database, claimed)
        async with _running(second):
            second.offer(entries)
            await _flushed(second, 5)
            go_on.set()
            with pytest.raises(LaneFencedError, match="no longer at epoch"):
                await asyncio.wait_for(running, 20)
            second.offer(await written.write(5))
            await _flushed(second, 10)
    assert [seq for seq, _ in await _consumed(bootstrap, lane.lane)] == list(range(1, 11))


async def test_a_relay_whose_transaction_the_broker_ended_goes_on(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    written = _Journal(database, lane)
    relay = _relay(bootstrap, database, lane)
    async with _running(relay):
        relay.offer(await written.write(2))
        await _flushed(relay, 2)
        # Fenced, and yet nobody else has the lane: as after a transaction that took too long.
        for n in range(2):
            stranger = transactional_producer(
                KafkaAccess(bootstrap), f"{relay.transactional_prefix}-lane-{lane.lane}-{n}"
            )
            await stranger.start()
            await stranger.stop()
        relay.offer(await written.write(2))
        await _flushed(relay, 4)
    assert [seq for seq, _ in await _consumed(bootstrap, lane.lane)] == [1, 2, 3, 4]


async def test_entries_that_were_never_handed_over_are_read_from_the_journal(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    written = _Journal(database, lane)
    relay = _relay(bootstrap, database, lane)
    async with _running(relay):
        await written.write(4)
        relay.offer(await written.write(1))
        await _flushed(relay, 5)
    assert [seq for seq, _ in await _consumed(bootstrap, lane.lane)] == [1, 2, 3, 4, 5]


async def test_what_is_offered_while_the_journal_is_asked_is_not_forgotten(
    bootstrap: str, database: Database, lane: LaneRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was: the relay then held an entry that it could not come to, and looked at it without a pause for ever."""
    written = _Journal(database, lane)
    relay = _relay(bootstrap, database, lane)
    asked = journal.tail

    async def slowly(database: Database, number: int, lane_seq: int) -> journal.Tail:
        newest = await asked(database, number, lane_seq)
        relay.offer(await written.write(2))
        relay.offer(await written.write(1))
        return newest

    monkeypatch.setattr(journal, "tail", slowly)
    monkeypatch.setattr("service.lanes.backlog.MAX_BACKLOG", 1)
    monkeypatch.setattr("service.lanes.backlog.MAX_TRANSACTION", 1)
    async with _running(relay):
        await _flushed(relay, 3)
        await asyncio.wait_for(relay.flushed(), 20)
    consumed = [seq for seq, _ in await _consumed(bootstrap, lane.lane)]
    assert consumed == list(range(1, written.seq + 1))


async def test_a_topic_that_was_emptied_goes_on_from_the_low_water_mark(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    await _Journal(database, lane).write(7)
    relay = _relay(bootstrap, database, lane, published_low=5)
    async with _running(relay):
        await _flushed(relay, 7)
    assert [seq for seq, _ in await _consumed(bootstrap, lane.lane)] == [6, 7]


async def test_a_tail_beyond_the_journal_halts_the_lane(bootstrap: str, database: Database, lane: LaneRow) -> None:
    await _Journal(database, lane).write(2)
    producer = transactional_producer(KafkaAccess(bootstrap), f"stranger-{lane.lane}")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(Topic.STATE_EVENTS, _event(40), partition=lane.lane)
    await producer.stop()
    with pytest.raises(LaneHaltedError, match="has lane_seq 40, and the journal ends at 2: Postgres went back"):
        await asyncio.wait_for(_relay(bootstrap, database, lane).run(), 20)


async def test_a_gap_in_the_journal_halts_the_lane(bootstrap: str, database: Database, lane: LaneRow) -> None:
    written = _Journal(database, lane)
    await written.write(2)
    await written.write(2, skip=1)
    with pytest.raises(LaneHaltedError, match="has no entry 3"):
        await asyncio.wait_for(_relay(bootstrap, database, lane).run(), 20)


async def test_the_tail_is_not_read_while_a_transaction_is_open(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    await _Journal(database, lane).write(1)
    producer = transactional_producer(KafkaAccess(bootstrap), f"slow-{lane.lane}")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(Topic.STATE_EVENTS, _event(1), partition=lane.lane)
    with pytest.raises(TimeoutError, match="a transaction is open"):
        await _last_published(bootstrap, lane)
    await producer.commit_transaction()
    assert await _last_published(bootstrap, lane) == 1
    await producer.stop()


async def test_what_an_open_transaction_holds_is_not_the_tail(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    await _Journal(database, lane).write(1)
    relay = _relay(bootstrap, database, lane)
    # A predecessor that died in the middle: its record is there, and was never committed.
    dead = transactional_producer(KafkaAccess(bootstrap), f"{relay.transactional_prefix}-lane-{lane.lane}-0")
    await dead.start()
    await dead.begin_transaction()
    await dead.send_and_wait(Topic.STATE_EVENTS, _event(1), partition=lane.lane)
    async with _running(relay):
        await _flushed(relay, 1)
    with contextlib.suppress(Exception):
        await asyncio.wait_for(dead.stop(), 2)
    assert [seq for seq, _ in await _consumed(bootstrap, lane.lane)] == [1]


async def _left_open(
    bootstrap: str, relay: Relay, n: int, hides_in: Topic, records: dict[Topic, bytes]
) -> AIOKafkaProducer:
    """What the relay's n-th producer has committed, as a coordinator leaves it that completed it without a marker.

    It was never told of the records in `hides_in`.
    """
    producer = transactional_producer(KafkaAccess(bootstrap), f"{relay.transactional_prefix}-lane-{relay.lane}-{n}")
    await producer.start()
    await producer.begin_transaction()
    producer._txn_manager._txn_partitions.add(TopicPartition(hides_in, relay.lane))
    for topic, value in records.items():
        await producer.send_and_wait(topic, value, partition=relay.lane)
    await producer.commit_transaction()
    return producer


async def test_a_transaction_that_hangs_is_ended_and_not_published_twice(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    written = _Journal(database, lane)
    await written.write(3)
    relay = _relay(bootstrap, database, lane)
    records = {Topic.STATE_EVENTS: _event(1), Topic.ORDER_STRINGS: b"{}"}
    before = await _left_open(bootstrap, relay, 1, Topic.STATE_EVENTS, records)
    # And what was published behind it, by the other one.
    other = transactional_producer(KafkaAccess(bootstrap), f"{relay.transactional_prefix}-lane-{lane.lane}-0")
    await other.start()
    async with other.transaction():
        await other.send_and_wait(Topic.STATE_EVENTS, _event(2), partition=lane.lane)
    await other.stop()
    with pytest.raises(OpenTransactionError):
        await _last_published(bootstrap, lane)
    await before.stop()
    async with _running(relay):
        await _flushed(relay, 3)
        relay.offer(await written.write(2))
        await asyncio.wait_for(relay.flushed(), 20)
        # The other producer's turn has come, too.
        relay.offer(await written.write(2))
        await asyncio.wait_for(relay.flushed(), 20)
    assert [seq for seq, _ in await _consumed(bootstrap, lane.lane)] == list(range(1, 8))


async def test_what_may_have_been_left_open_is_not_in_the_mark(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    written = _Journal(database, lane)
    relay = _relay(bootstrap, database, lane)
    async with _running(relay):
        for n in range(1, 3):
            relay.offer(await written.write(1))
            await _flushed(relay, n)
            # The broker is still there, so what was published before stays.
            assert relay.published_seq() == n - 1
        assert (await lanes.read(database, lane.lane, lane.epoch)).published_seq == 0
        await relay.look()
        assert relay.published_seq() == 2
        # In the row, too: a lane that rests commits nothing that takes it along.
        assert (await lanes.read(database, lane.lane, lane.epoch)).published_seq == 2


async def _string(bootstrap: str, lane: LaneRow) -> bytes:
    """The lane's first order string, once it can be read."""
    partition = TopicPartition(Topic.ORDER_STRINGS, lane.lane)
    async with started(consumer(KafkaAccess(bootstrap))) as reader:
        reader.assign([partition])
        await reader.seek_to_beginning(partition)
        record = await asyncio.wait_for(reader.getone(), 20)
    return bytes(record.value)


async def test_order_strings_that_hang_are_ended_too(bootstrap: str, database: Database, lane: LaneRow) -> None:
    await _Journal(database, lane).write(1)
    relay = _relay(bootstrap, database, lane)
    records = {Topic.ORDER_STRINGS: b'{"order_str": "1"}', Topic.STATE_EVENTS: _event(1)}
    hanging = await _left_open(bootstrap, relay, 0, Topic.ORDER_STRINGS, records)
    await hanging.stop()
    with pytest.raises(OpenTransactionError, match=Topic.ORDER_STRINGS):
        await check_closed(Kafka(KafkaAccess(bootstrap)), lane.lane)
    # It keeps no state event back.
    assert await _last_published(bootstrap, lane) == 1
    async with _running(relay):
        await _flushed(relay, 1)
        assert await _string(bootstrap, lane) == b'{"order_str": "1"}'


async def test_order_strings_that_hang_once_more_are_found_although_nothing_more_is_published(
    bootstrap: str, database: Database, lane: LaneRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends a hanging transaction is one itself (seed 1252821): nobody looked, with nothing to publish."""
    monkeypatch.setattr("service.relay.LOOK_AFTER_S", 0.5)
    await _Journal(database, lane).write(1)
    relay = _relay(bootstrap, database, lane)
    first = await _left_open(bootstrap, relay, 1, Topic.ORDER_STRINGS, {Topic.STATE_EVENTS: _event(1)})
    await first.stop()
    async with _running(relay):
        await relay.found()
        string = {Topic.ORDER_STRINGS: b'{"order_str": "1"}'}
        hanging = await _left_open(bootstrap, relay, 0, Topic.ORDER_STRINGS, string)
        await hanging.stop()
        assert await _string(bootstrap, lane) == b'{"order_str": "1"}'


async def test_a_tail_that_another_database_has_published_halts_the_lane(
    bootstrap: str, database: Database, lane: LaneRow
) -> None:
    await _Journal(database, lane).write(2)
    producer = transactional_producer(KafkaAccess(bootstrap), f"stranger-{lane.lane}")
    await producer.start()
    async with producer.transaction():
        theirs = orjson.dumps({"lane_seq": 2, "event_id": "theirs"})
        await producer.send_and_wait(Topic.STATE_EVENTS, theirs, partition=lane.lane)
    await producer.stop()
    with pytest.raises(LaneHaltedError, match="has lane_seq 2 as theirs, and the journal has e2 there: another"):
        await asyncio.wait_for(_relay(bootstrap, database, lane).run(), 20)


async def test_what_one_commit_has_left_behind_is_published_in_one_transaction(
    bootstrap: str, database: Database, lane: LaneRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.lanes.backlog.MAX_TRANSACTION", 2)
    transactions: list[list[int]] = []
    publish = Relay._transaction

    async def noted(relay: Relay, producer: AIOKafkaProducer, entries: list[Published], strings: Any) -> None:
        transactions.append([entry.lane_seq for entry in entries])
        await publish(relay, producer, entries, strings)

    monkeypatch.setattr(Relay, "_transaction", noted)
    written = _Journal(database, lane)
    for count in (1, 5, 1, 1):
        await written.write(count)
    relay = _relay(bootstrap, database, lane)
    async with _running(relay):
        await _flushed(relay, 8)
        assert transactions == [[1], [2, 3, 4, 5, 6], [7, 8]]
        relay.offer(await written.write(3))
        relay.offer(await written.write(1))
        await _flushed(relay, 12)
    assert transactions[3:] == [[9, 10, 11], [12]]


async def test_a_relay_begins_anew_when_its_broker_has_been_away(
    bootstrap: str, database: Database, lane: LaneRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[AIOKafkaProducer] = []
    make = Kafka.transactional_producer

    def noted(kafka: Kafka, transactional_id: str) -> AIOKafkaProducer:
        opened.append(make(kafka, transactional_id))
        return opened[-1]

    monkeypatch.setattr(Kafka, "transactional_producer", noted)
    written = _Journal(database, lane)
    relay = _relay(bootstrap, database, lane)
    async with _running(relay):
        for n in range(1, 4):
            relay.offer(await written.write(1))
            await _flushed(relay, n)
        assert len(opened) == 2
        for connection in connections(opened[0]):
            connection.close()
        relay.offer(await written.write(1))
        await _flushed(relay, 4)
    assert len(opened) == 4
    assert [seq for seq, _ in await _consumed(bootstrap, lane.lane)] == [1, 2, 3, 4]
