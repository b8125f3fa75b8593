"""An auditor from outside: what consumers read of `payment.state-events`, against the journal, record by record.

It shares nothing with the service but the contracts that are printed for everybody, so that an error of the
service is not repeated by whoever looks for it. A test holds that it imports none of it.

    python -m tests.faults.auditor --postgres postgresql://… --kafka host:port

One line of counts, then a line a kind of difference with the first few of them; 1 when there is any. It may look
while engines run: what is committed after it began need not be published yet.

The beginning may have been pruned, and then says so by itself. A partition that no longer begins at offset 0 starts
with whatever entry comes first: those before it are counted as older, and an order's first version there is any.
A lane's journal that no longer begins at 1 starts at its first entry: records before it are counted as older.
A partition that begins at 0 has lost nothing, so there each entry that the journal has must be found.
"""

import argparse
import asyncio
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.partitioner import murmur2

TOPIC = "payment.state-events"
SCHEMA = "paystate"
# What is committed is published within moments; after so long without any record it is taken for missing.
WAIT_S = 10.0
POLL_MS = 200
# The longest silence of a broker that is asked for its offsets.
ANSWER_S = 15.0
SHOWN = 5
ROWS_A_FETCH = 5_000

MISSING = "missing"
TWICE = "twice"
OUT_OF_ORDER = "out of order"
WRONG_LANE = "wrong lane"
DIFFERING = "differing bytes"
HEADERS = "differing key or headers"
UNKNOWN = "not in the journal"
SEQ_GAP = "gap in the lane's sequence"
VERSION_GAP = "gap in versions"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the journal; `event` is its JSON, byte for byte as it was committed."""

    order_id: str
    version: int
    event: bytes


@dataclass(slots=True)
class Journal:
    """All lanes as one snapshot saw them: entries by lane and number, and each lane's own last number."""

    entries: dict[int, dict[int, Entry]]
    last_seq: dict[int, int]


@dataclass(slots=True)
class Audit:
    """What was found. `differences` by kind; no kind without any."""

    lanes: int = 0
    entries: int = 0
    records: int = 0
    older: int = 0
    differences: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def line(self) -> str:
        """The counts."""
        differing = ", ".join(f"{len(each)} {kind}" for kind, each in self.differences.items()) or "no difference"
        return (
            f"{self.lanes} lanes, {self.entries} entries in the journal, {self.records} records published, "
            f"{self.older} older than the other's beginning: {differing}"
        )

    def examples(self) -> list[str]:
        """A line a kind."""
        return [
            f"{kind}: {'; '.join(each[:SHOWN])}{' …' if len(each) > SHOWN else ''}"
            for kind, each in self.differences.items()
        ]


async def audit(postgres: str, kafka: str, *, topic: str = TOPIC, wait_s: float = WAIT_S) -> Audit:
    """Reads everything and compares. Raises what asyncpg and aiokafka raise when they cannot read."""
    expected = (await _journal(postgres)).last_seq
    records, begins = await _published(kafka, topic, expected, wait_s)
    # Anew, and after the topic: whatever is published was committed before, so that it must be here.
    journal = await _journal(postgres)
    found = Audit(
        lanes=len(journal.last_seq),
        entries=sum(map(len, journal.entries.values())),
        records=sum(map(len, records.values())),
    )
    seen: dict[tuple[int, int], int] = {}
    versions: defaultdict[tuple[int, str], set[int]] = defaultdict(set)
    for partition, read in records.items():
        _see(found, partition, read, journal, seen, versions)
    for lane, last_seq in expected.items():
        _look_for_missing(found, lane, last_seq, journal, seen, pruned=begins.get(lane, 0) > 0)
        _look_for_holes(found, lane, journal)
    _look_at_versions(found, versions, {lane for lane, begin in begins.items() if begin > 0})
    return found


# ----------------------------------------------------------------------------------------------------- comparing


def _see(
    found: Audit,
    partition: int,
    records: list[ConsumerRecord],
    journal: Journal,
    seen: dict[tuple[int, int], int],
    versions: dict[tuple[int, str], set[int]],
) -> None:
    """One partition's records, in its order. `seen` says at which offset an entry was first found."""
    highest = 0
    for record in records:
        event = json.loads(record.value)
        lane, seq, order_id = event["lane"], event["lane_seq"], event["order_id"]
        name = f"{seq} of lane {lane} ({order_id} version {event['version']}), {partition}@{record.offset}"
        ours = (murmur2(order_id.encode()) & 0x7FFFFFFF) % len(journal.last_seq)
        if not partition == lane == ours:
            found.differences[WRONG_LANE].append(f"{name}, belongs to lane {ours}")
        if (lane, seq) in seen:
            found.differences[TWICE].append(f"{name}, was at offset {seen[lane, seq]}")
            continue
        seen[lane, seq] = record.offset
        versions[lane, order_id].add(event["version"])
        # One that went astray is not measured by the numbers of the lane that it got into.
        if lane == partition and seq < highest:
            found.differences[OUT_OF_ORDER].append(f"{name}, comes after {highest}")
        if lane == partition:
            highest = max(highest, seq)
        _compare(found, name, record, event, journal.entries.get(lane, {}))


def _compare(
    found: Audit, name: str, record: ConsumerRecord, event: dict[str, Any], entries: dict[int, Entry]
) -> None:
    entry = entries.get(event["lane_seq"])
    if entry is None:
        if event["lane_seq"] < min(entries, default=1):
            found.older += 1
        else:
            found.differences[UNKNOWN].append(name)
        return
    columns = (entry.order_id, entry.version)
    if entry.event != record.value or columns != (event["order_id"], event["version"]):
        found.differences[DIFFERING].append(f"{name}: {_first_difference(entry, record.value)}")
    headers = dict(record.headers)
    # CloudEvents 1.0, Kafka binding, binary mode: the attributes that the contract promises.
    wanted = {
        "ce_specversion": "1.0",
        "ce_id": event["event_id"],
        "ce_type": f"paystate.order.{event['state']}",
        "ce_subject": event["order_id"],
        "ce_time": event["occurred_at"],
    }
    wrong = [header for header, text in wanted.items() if headers.get(header) != text.encode()]
    if record.key != event["order_id"].encode():
        wrong.append("key")
    if not headers.get("ce_source"):
        wrong.append("ce_source")
    if wrong:
        found.differences[HEADERS].append(f"{name}: {', '.join(wrong)}")


def _first_difference(entry: Entry, value: bytes) -> str:
    journaled, published = json.loads(entry.event), json.loads(value)
    for name in sorted(journaled.keys() | published.keys()):
        if journaled.get(name) != published.get(name):
            return f"{name} is {published.get(name)!r}, and {journaled.get(name)!r} in the journal"
    if journaled["order_id"] != entry.order_id or journaled["version"] != entry.version:
        return f"the journal's columns say {entry.order_id} version {entry.version}"
    return "the same JSON in other bytes"


def _look_for_missing(
    found: Audit, lane: int, last_seq: int, journal: Journal, seen: dict[tuple[int, int], int], *, pruned: bool
) -> None:
    """What was committed before the topic was read to its end, and is not there."""
    begin = min((seq for of, seq in seen if of == lane), default=last_seq + 1) if pruned else 0
    for seq, entry in journal.entries.get(lane, {}).items():
        if seq < begin:
            found.older += 1
        elif seq <= last_seq and (lane, seq) not in seen:
            found.differences[MISSING].append(f"{seq} of lane {lane} ({entry.order_id} version {entry.version})")


def _look_for_holes(found: Audit, lane: int, journal: Journal) -> None:
    """Numbers that were handed out, and that the journal does not have."""
    entries, last_seq = journal.entries.get(lane, {}), journal.last_seq[lane]
    # A lane that was pruned to nothing has no first entry to tell where it begins.
    begin = min(entries, default=1)
    holes = [f"{seq} of lane {lane}" for seq in range(begin, last_seq + 1) if seq not in entries]
    if holes:
        found.differences[SEQ_GAP] += holes


def _look_at_versions(found: Audit, versions: dict[tuple[int, str], set[int]], pruned: set[int]) -> None:
    for (lane, order_id), seen in versions.items():
        begin = min(seen) if lane in pruned else 1
        gaps = sorted(set(range(begin, max(seen) + 1)) - seen)
        if gaps:
            found.differences[VERSION_GAP].append(f"{order_id} of lane {lane} has no version {gaps[0]}")


# ------------------------------------------------------------------------------------------------------- reading


async def _journal(postgres: str) -> Journal:
    connection = await asyncpg.connect(postgres, server_settings={"search_path": SCHEMA})
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = await connection.fetch("select lane, lane_seq from lanes order by lane")
            entries: dict[int, dict[int, Entry]] = {row["lane"]: {} for row in rows}
            query = "select lane, lane_seq, order_id, version, event::text as event from journal"
            async for row in connection.cursor(f"{query} order by lane, lane_seq", prefetch=ROWS_A_FETCH):
                entry = Entry(row["order_id"], row["version"], row["event"].encode())
                entries.setdefault(row["lane"], {})[row["lane_seq"]] = entry
            return Journal(entries, {row["lane"]: row["lane_seq"] for row in rows})
    finally:
        await connection.close()


async def _published(
    kafka: str, topic: str, expected: dict[int, int], wait_s: float
) -> tuple[dict[int, list[ConsumerRecord]], dict[int, int]]:
    """All committed records by partition, and the offset at which each partition begins."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await reader.start()
        numbers = reader.partitions_for_topic(topic) or set()
        partitions = [TopicPartition(topic, number) for number in sorted(numbers | expected.keys())]
        reader.assign(partitions)
        await reader.seek_to_beginning()
        async with asyncio.timeout(ANSWER_S):
            begins = await reader.beginning_offsets(partitions)
        records: dict[int, list[ConsumerRecord]] = {partition.partition: [] for partition in partitions}
        last_seen = dict.fromkeys(records, 0)
        loop = asyncio.get_running_loop()
        news_at = loop.time()
        while not await _is_read(reader, expected, last_seen) and loop.time() - news_at < wait_s:
            for partition, fetched in (await reader.getmany(timeout_ms=POLL_MS)).items():
                news_at = loop.time()
                records[partition.partition] += fetched
                last_seen[partition.partition] = max(json.loads(record.value)["lane_seq"] for record in fetched)
        return records, {partition.partition: begin for partition, begin in begins.items()}
    finally:
        await reader.stop()


async def _is_read(reader: AIOKafkaConsumer, expected: dict[int, int], last_seen: dict[int, int]) -> bool:
    """Whether everything is there and the topic read to its end: what is published twice comes behind the rest."""
    if any(last_seen[lane] < last_seq for lane, last_seq in expected.items()):
        return False
    async with asyncio.timeout(ANSWER_S):
        ends = await reader.end_offsets(list(reader.assignment()))
        return all([await reader.position(partition) >= end for partition, end in ends.items()])


def main() -> int:
    """0 when there is no difference."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.auditor", description="What is published, against the journal."
    )
    parser.add_argument("--postgres", required=True, help="a DSN whose login may read the journal")
    parser.add_argument("--kafka", required=True, help="host:port of a broker")
    parser.add_argument("--topic", default=TOPIC)
    parser.add_argument(
        "--wait-s", type=float, default=WAIT_S, help="what is not published after so long is missing"
    )
    asked = parser.parse_args()
    found = asyncio.run(audit(asked.postgres, asked.kafka, topic=asked.topic, wait_s=asked.wait_s))
    print(found.line())
    for line in found.examples():
        print(line)
    return 1 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main())
