"""What was published, compared with the journal, lane by lane, by somebody who shares no code with the service.

It reads `payment.state-events` from its beginning, and finds out from the markers in the log itself what is
committed, instead of asking the broker: one of those that we test names aborted transactions wrongly. Where the
journal or the topic begins later (pruned, or emptied by its retention), it compares from where both have begun.
It is for an installation at rest: what is just being published would be missed.

    python -m tests.faults.auditor --postgres DSN --kafka BOOTSTRAP
"""

import argparse
import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import murmur2
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords

TOPIC = "payment.state-events"
FETCH_BYTES = 4_194_304
FETCH_WAIT_MS = 200
READ_UNCOMMITTED = 0
# Examples that are shown of each kind of difference.
SHOWN = 3
_JOURNAL = "select lane, lane_seq, order_id, version, event from paystate.journal order by lane, lane_seq"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the journal, or a record that consumers are given."""

    lane_seq: int
    order_id: str
    version: int
    event: Any


@dataclass(slots=True)
class Lane:
    """One lane, as the journal has it and as the topic has it, each in its own sequence."""

    journal: list[Entry] = field(default_factory=list)
    published: list[Entry] = field(default_factory=list)
    # Records that are not what the contract says they are, beside their value.
    odd: list[str] = field(default_factory=list)
    aborted: int = 0
    # Offsets of records that are neither committed nor aborted: they hide all that follows.
    open: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Audit:
    """What was found. `differences`: by kind, one text each."""

    lanes: dict[int, Lane] = field(default_factory=dict)
    differences: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def count(self) -> int:
        return sum(map(len, self.differences.values()))

    def lines(self) -> Iterator[str]:
        """As a person reads it: what was counted, and of each kind of difference the first few."""
        lanes = self.lanes.values()
        journal, published = sum(len(lane.journal) for lane in lanes), sum(len(lane.published) for lane in lanes)
        aborted = sum(lane.aborted for lane in lanes)
        yield (
            f"{len(lanes)} lanes: {journal} entries of the journal, {published} published, {aborted} aborted,"
            f" {self.count} differences"
        )
        for kind, texts in self.differences.items():
            more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
            yield f"{kind}: {'; '.join(texts[:SHOWN])}{more}"


async def audit(postgres: str, kafka: str) -> Audit:
    """Reads both and compares them."""
    lanes: defaultdict[int, Lane] = defaultdict(Lane)
    # First the topic: what is published has been committed before, and what is committed meanwhile is not missing.
    async with AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False) as reader:
        # Asks for the topic's partitions: until then the client knows of no leader.
        reader.subscribe([TOPIC])
        while not (partitions := reader.partitions_for_topic(TOPIC)):
            await asyncio.sleep(0.1)
        for number in sorted(partitions):
            await _read(reader, TopicPartition(TOPIC, number), lanes[number], len(partitions))
    connection = await asyncpg.connect(postgres)
    try:
        for row in await connection.fetch(_JOURNAL):
            entry = Entry(row["lane_seq"], row["order_id"], row["version"], json.loads(row["event"]))
            lanes[row["lane"]].journal.append(entry)
    finally:
        await connection.close()
    found = Audit(dict(lanes))
    for number, lane in found.lanes.items():
        for kind, text in _differences(lane):
            found.differences[kind].append(f"lane {number}, {text}")
    return found


async def _read(reader: AIOKafkaConsumer, partition: TopicPartition, lane: Lane, lanes: int) -> None:
    """All records up to the partition's present end, each as its transaction's marker says."""
    offset = (await reader.beginning_offsets([partition]))[partition]
    # The only place from which a fetch gets markers.
    client = reader._client
    under_way: defaultdict[int, list[Any]] = defaultdict(list)
    committed: list[Any] = []
    end = None
    while end is None or offset < end:
        wanted = [(TOPIC, [(partition.partition, offset, FETCH_BYTES)])]
        request = FetchRequest(FETCH_WAIT_MS, 1, FETCH_BYTES, READ_UNCOMMITTED, wanted)
        answer = await client.send(client.cluster.leader_for_partition(partition), request)
        ((_, (fetched,)),) = answer.topics
        if fetched[1] != 0:
            raise ConnectionError(f"{TOPIC}[{partition.partition}] answers error {fetched[1]}")
        # High watermark: where the log ended when it was first asked.
        end = fetched[2] if end is None else end
        for batch in _batches(fetched[-1]):
            if batch.next_offset <= offset:
                continue
            if batch.is_control_batch:
                (marker,) = batch
                records = under_way.pop(batch.producer_id, [])
                if ControlRecord.parse(marker.key) == ABORT_MARKER:
                    lane.aborted += len(records)
                else:
                    committed += records
            else:
                records = list(batch)
                (under_way[batch.producer_id] if batch.is_transactional else committed).extend(records)
            offset = batch.next_offset
    lane.open = sorted(record.offset for records in under_way.values() for record in records)
    for record in sorted(committed, key=lambda each: each.offset):
        event = json.loads(record.value)
        lane.odd += [f"{what} of offset {record.offset}" for what in _oddities(record, event, partition, lanes)]
        lane.published.append(Entry(event["lane_seq"], event["order_id"], event["version"], event))


def _oddities(record: Any, event: dict[str, Any], partition: TopicPartition, lanes: int) -> Iterator[str]:
    """What of a record is not as promised: its key, its partition (Java's default for that key), its headers.

    These are the attributes of CloudEvents 1.0 in the Kafka binding's binary mode.
    """
    order_id = event["order_id"].encode()
    if record.key != order_id:
        yield "key"
    if not partition.partition == event["lane"] == (murmur2(order_id) & 0x7FFFFFFF) % lanes:
        yield "partition"
    headers = dict(record.headers)
    wanted = {
        "ce_specversion": "1.0",
        "ce_id": event["event_id"],
        "ce_type": f"paystate.order.{event['state']}",
        "ce_subject": event["order_id"],
        "ce_time": event["occurred_at"],
    }
    yield from (name for name, text in wanted.items() if headers.get(name) != text.encode())
    if not headers.get("ce_source"):
        yield "ce_source"


def _batches(records: bytes) -> Iterator[Any]:
    found = MemoryRecords(records)
    while found.has_next():
        yield found.next_batch()


def _differences(lane: Lane) -> Iterator[tuple[str, str]]:
    """Kind and text of each."""
    published: dict[int, Entry] = {}
    begin = max((entries[0].lane_seq for entries in (lane.journal, lane.published) if entries), default=1)
    last = 0
    for entry in lane.published:
        if entry.lane_seq in published:
            yield "published twice", f"lane_seq {entry.lane_seq} of {entry.order_id}"
        elif entry.lane_seq < last:
            yield "out of order", f"lane_seq {entry.lane_seq} after {last}"
        published[entry.lane_seq] = entry
        last = max(last, entry.lane_seq)
    journal = {entry.lane_seq: entry for entry in lane.journal}
    for seq, entry in journal.items():
        if seq >= begin and seq not in published:
            yield "never published", f"lane_seq {seq} of {entry.order_id}"
        elif seq in published and entry != published[seq]:
            yield "not what the journal says", f"lane_seq {seq} of {entry.order_id}"
    for seq, entry in published.items():
        if seq >= begin and seq not in journal:
            yield "not in the journal", f"lane_seq {seq} of {entry.order_id}"
    yield from (("not a record as promised", text) for text in lane.odd)
    yield from (("neither committed nor aborted", f"offset {offset}") for offset in lane.open)
    yield from _gaps(lane.journal, begin)


def _gaps(entries: Iterable[Entry], begin: int) -> Iterator[tuple[str, str]]:
    expected, versions = begin, Counter[str]()
    for entry in entries:
        if entry.lane_seq >= begin and entry.lane_seq != expected:
            yield "a gap in the lane", f"lane_seq {entry.lane_seq} after {expected - 1}"
        expected = max(begin, entry.lane_seq + 1)
        known = versions.get(entry.order_id, 0 if begin == 1 else entry.version - 1)
        if entry.version != known + 1:
            yield "a gap in an order's versions", f"version {entry.version} of {entry.order_id} after {known}"
        versions[entry.order_id] = entry.version


def main() -> int:
    """Answers the exit code: 1 for any difference."""
    parser = argparse.ArgumentParser(description="Compares what was published with the journal.")
    parser.add_argument("--postgres", required=True, metavar="DSN")
    parser.add_argument("--kafka", required=True, metavar="BOOTSTRAP")
    given = parser.parse_args()
    found = asyncio.run(audit(given.postgres, given.kafka))
    print("\n".join(found.lines()))
    return int(found.count > 0)


if __name__ == "__main__":
    sys.exit(main())
