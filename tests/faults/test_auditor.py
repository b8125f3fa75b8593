"""The auditor finds what it is there to find, each kind of difference for itself, and shares nothing with us."""

import ast
import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from service.kafka.partition import lane_of
from service.store.migrate import migrate
from tests.faults import auditor
from tests.faults.auditor import Audit, audit

LANES = 2
integration = pytest.mark.integration


@dataclass(frozen=True, slots=True)
class Record:
    """One state event as it is about to be published."""

    partition: int
    event: dict[str, Any]
    value: bytes
    key: bytes
    headers: dict[str, bytes]


def _order(lane: int, number: int) -> str:
    """The id of an order of this lane."""
    return [name for name in (f"o{each}" for each in range(100)) if lane_of(name, LANES) == lane][number]


def _record(lane: int, seq: int, order_id: str, version: int) -> Record:
    event = {
        "event_id": f"e-{lane}-{seq}",
        "lane": lane,
        "lane_seq": seq,
        "order_id": order_id,
        "version": version,
        "occurred_at": "2026-11-24T08:00:00.000000Z",
        "state": "paying",
        "taken_minor": 100,
    }
    headers = {
        "ce_specversion": b"1.0",
        "ce_id": event["event_id"].encode(),
        "ce_type": b"paystate.order.paying",
        "ce_source": b"/paystate",
        "ce_subject": order_id.encode(),
        "ce_time": event["occurred_at"].encode(),
    }
    return Record(lane, event, json.dumps(event).encode(), order_id.encode(), headers)


def _with(record: Record, **changes: Any) -> Record:
    """The record, with other fields in its JSON."""
    event = record.event | changes
    return replace(record, event=event, value=json.dumps(event).encode())


@dataclass(slots=True)
class Books:
    """What the journal has and what is published: two orders a lane, three versions each, in turn."""

    journal: list[Record] = field(default_factory=list)
    published: list[Record] = field(default_factory=list)
    last_seq: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(LANES), 6))

    def __post_init__(self) -> None:
        for lane in range(LANES):
            for seq in range(1, 7):
                self.journal.append(_record(lane, seq, _order(lane, seq % 2), (seq + 1) // 2))
        self.published = list(self.journal)


@dataclass(slots=True)
class Place:
    """Where books are written down, for the auditor to look."""

    dsn: str
    kafka: str
    topic: str

    async def keep(self, books: Books) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            rows = [
                (
                    each.event["lane"],
                    each.event["lane_seq"],
                    each.event["order_id"],
                    each.event["version"],
                    each.value,
                )
                for each in books.journal
            ]
            await connection.executemany(
                "insert into paystate.journal (lane, lane_seq, order_id, version, born, event)"
                " values ($1, $2, $3, $4, '2026-11-24', convert_from($5, 'UTF8')::json)",
                rows,
            )
            await connection.executemany(
                "update paystate.lanes set lane_seq = $2 where lane = $1", list(books.last_seq.items())
            )
        finally:
            await connection.close()
        await self.publish(books.published)

    async def publish(self, records: list[Record], transactional_id: str | None = None) -> None:
        """In order; in a transaction that is aborted where it has an id."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all", transactional_id=transactional_id)
        await producer.start()
        try:
            if transactional_id:
                await producer.begin_transaction()
            for each in records:
                await producer.send_and_wait(
                    self.topic, each.value, each.key, each.partition, headers=list(each.headers.items())
                )
            if transactional_id:
                await producer.abort_transaction()
        finally:
            await producer.stop()

    async def prune(self, partition: int, offset: int) -> None:
        """What retention does: the partition begins at this offset from now on."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_records(
                {TopicPartition(self.topic, partition): RecordsToDelete(before_offset=offset)}
            )
        finally:
            await admin.close()

    async def audit(self) -> Audit:
        return await audit(self.dsn, self.kafka, topic=self.topic, wait_s=1.0)


@pytest.fixture
async def place(database_dsn: str, kafka_bootstrap: str) -> AsyncIterator[Place]:
    await migrate(database_dsn, LANES)
    topic = f"audited-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, LANES, 1)])
        yield Place(database_dsn, kafka_bootstrap, topic)
        await admin.delete_topics([topic])
    finally:
        await admin.close()


def _one_is_not_published(books: Books) -> None:
    del books.published[5]


def _one_is_published_twice(books: Books) -> None:
    books.published.append(books.published[3])


def _two_are_swapped(books: Books) -> None:
    books.published[2], books.published[3] = books.published[3], books.published[2]


def _one_is_in_the_other_partition(books: Books) -> None:
    books.published[5] = replace(books.published[5], partition=1)


def _one_order_is_in_the_other_lane(books: Books) -> None:
    # Journal and topic agree on it, and both are wrong.
    astray = _record(0, 7, _order(1, 5), 1)
    books.journal.append(astray)
    books.published.append(astray)
    books.last_seq[0] = 7


def _one_says_something_else(books: Books) -> None:
    books.published[4] = _with(books.published[4], taken_minor=101)


def _one_is_written_in_another_way(books: Books) -> None:
    books.published[4] = replace(books.published[4], value=json.dumps(books.published[4].event, indent=1).encode())


def _one_has_another_orders_key(books: Books) -> None:
    books.published[4] = replace(books.published[4], key=_order(0, 7).encode())


def _one_has_another_events_header(books: Books) -> None:
    books.published[4] = replace(books.published[4], headers=books.published[3].headers)


def _a_row_of_the_journal_is_gone(books: Books) -> None:
    del books.journal[3]


def _a_number_was_never_used(books: Books) -> None:
    # Of the last version, so that the versions are dense all the same.
    del books.journal[5], books.published[5]


def _a_version_was_skipped(books: Books) -> None:
    for record in (books.journal, books.published):
        record[5] = _with(record[5], version=4)


@integration
@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda _books: None, {}),
        (_one_is_not_published, {auditor.MISSING: 1}),
        (_one_is_published_twice, {auditor.TWICE: 1}),
        (_two_are_swapped, {auditor.OUT_OF_ORDER: 1}),
        (_one_is_in_the_other_partition, {auditor.WRONG_LANE: 1}),
        (_one_order_is_in_the_other_lane, {auditor.WRONG_LANE: 1}),
        (_one_says_something_else, {auditor.DIFFERING: 1}),
        (_one_is_written_in_another_way, {auditor.DIFFERING: 1}),
        (_one_has_another_orders_key, {auditor.HEADERS: 1}),
        (_one_has_another_events_header, {auditor.HEADERS: 1}),
        (_a_row_of_the_journal_is_gone, {auditor.UNKNOWN: 1, auditor.SEQ_GAP: 1}),
        (_a_number_was_never_used, {auditor.SEQ_GAP: 1}),
        (_a_version_was_skipped, {auditor.VERSION_GAP: 1}),
    ],
    ids=lambda given: getattr(given, "__name__", "").strip("_"),
)
async def test_it_finds(place: Place, spoil: Callable[[Books], None], found: dict[str, int]) -> None:
    books = Books()
    spoil(books)
    await place.keep(books)
    audited = await place.audit()
    assert {kind: len(each) for kind, each in audited.differences.items()} == found, audited.examples()
    assert (audited.entries, audited.records) == (len(books.journal), len(books.published))


@integration
async def test_what_was_aborted_is_not_published(place: Place) -> None:
    await place.keep(Books())
    await place.publish(Books().published[:3], f"aborts-{place.topic}")
    audited = await place.audit()
    assert (audited.differences, audited.records) == ({}, 12)


@integration
async def test_a_pruned_journal_begins_at_its_first_entry(place: Place) -> None:
    books = Books()
    del books.journal[:2]
    await place.keep(books)
    audited = await place.audit()
    assert (audited.differences, audited.older) == ({}, 2)


@integration
async def test_a_pruned_partition_begins_at_its_first_record(place: Place) -> None:
    books = Books()
    await place.keep(books)
    await place.prune(0, 3)
    audited = await place.audit()
    assert (audited.differences, audited.older) == ({}, 3)


@integration
@pytest.mark.parametrize(("spoil", "code"), [(lambda _books: None, 0), (_one_is_published_twice, 1)])
async def test_by_hand_it_prints_its_counts_and_says_no(
    place: Place, spoil: Callable[[Books], None], code: int
) -> None:
    books = Books()
    spoil(books)
    await place.keep(books)
    where = ["--postgres", place.dsn, "--kafka", place.kafka, "--topic", place.topic]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.faults.auditor", *where],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    counts, *examples = done.stdout.splitlines()
    assert (done.returncode, len(examples)) == (code, code), done.stderr
    assert counts.startswith(f"2 lanes, 12 entries in the journal, {12 + code} records published")
    assert [line.partition(":")[0] for line in examples] == [auditor.TWICE] * code


def test_it_shares_nothing_with_the_service() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(Path(auditor.__file__).read_text("utf-8")))
        for name in _imported(node)
    }
    assert imported - sys.stdlib_module_names == {"asyncpg", "aiokafka"}
    assert "importlib" not in imported


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    # A relative import would be one of ours.
    return [node.module or "" if node.level == 0 else "."] if isinstance(node, ast.ImportFrom) else []
