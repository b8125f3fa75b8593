"""A halted lane made to fit its topics again, by a person's decision.

Input topics that were made anew or cut short are read from where they begin: what had been read before is a
duplicate by its id. State events that were published and that the journal has lost are taken over into it, and
their orders with them. One transaction; where something is missing, nothing is changed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from schemas.state_events import StateEvent
from schemas.vocabulary import Topic
from service.kafka.broker import Broker
from service.kafka.clients import FETCH_MAX_WAIT_MS, PRODUCE_TIMEOUT_S, started, within
from service.kafka.topics import WrongTopicError, check_counts
from service.lanes.fingerprints import Place, places
from service.lanes.inbox import Inbox
from service.store import lanes as lane_rows
from service.store import orders as order_rows
from service.store import parked as parked_rows
from service.store.commit import BatchRows, DataRefusedError, JournalEntry, commit
from service.store.connection import Database
from service.store.lanes import fingerprints_json
from statemachine.adoption import CannotAdoptError, Told, adopt
from statemachine.decision import Policy
from statemachine.inputs import Input
from statemachine.timers import wake_at

# Orders of one lane that may have been lost and are held in memory at once, with their events.
MAX_EVENTS = 200_000


class NotRebasedError(Exception):
    """The lane was left as it is; the message says why."""


@dataclass(frozen=True, slots=True)
class Rebased:
    """What was done to a lane. `moved` are the topics that are read from another offset, with the reasons."""

    lane: int
    halt_reason: str
    moved: list[Place]
    events: int
    orders: int


@dataclass(frozen=True, slots=True)
class _Lost:
    """A published event that the journal does not have, with its bytes."""

    event: StateEvent
    value: bytes


async def rebase(database: Database, broker: Broker, inbox: Inbox, policy: Policy, lane: int) -> Rebased:
    """Makes the lane fit what Kafka has, and frees it. Raises NotRebasedError, having changed nothing."""
    await _check_topics(broker, await lane_rows.lane_count(database))
    async with database.acquire() as connection, connection.transaction():
        row, halt_reason = await lane_rows.halted(connection, lane)
        if halt_reason is None:
            raise NotRebasedError(f"lane {lane} is not halted")
        now = await connection.fetchval("select clock_timestamp()")
        found = await places(broker, row)
        lost = await _lost(broker, row)
        rows = _rows(row, found)
        told = _told(lost, await _causes(broker, inbox, lane, lost))
        try:
            await _adopt(connection, rows, told, policy, now)
            rows.journal = [_entry(rows, each) for each in lost]
            rows.epoch = await lane_rows.free(connection, lane, _shifts(found))
            for place in found:
                if place.why_not is not None:
                    await parked_rows.set_apart(connection, lane, place.topic, rows.epoch)
            await commit(connection, rows)
        except (CannotAdoptError, DataRefusedError) as error:
            raise NotRebasedError(str(error)) from None
    return Rebased(lane, halt_reason, [place for place in found if place.why_not], len(lost), len(told))


async def _check_topics(broker: Broker, lanes: int) -> None:
    try:
        check_counts(await within(broker.partition_counts(), PRODUCE_TIMEOUT_S), lanes)
    except WrongTopicError as error:
        raise NotRebasedError(str(error)) from None


def _rows(row: lane_rows.LaneRow, found: Sequence[Place]) -> BatchRows:
    kept = {place.topic: row.fingerprints[place.topic] for place in found if _has_fingerprint(row, place)}
    return BatchRows(
        lane=row.lane,
        epoch=row.epoch,
        seq=row.lane_seq,
        next_seq=row.lane_seq,
        published_seq=row.published_seq,
        offsets=[place.position for place in found],
        next_offsets=[place.position if place.why_not is None else place.begin for place in found],
        fingerprints=fingerprints_json(kept),
    )


def _has_fingerprint(row: lane_rows.LaneRow, place: Place) -> bool:
    return place.why_not is None and place.topic in row.fingerprints


def _shifts(found: Sequence[Place]) -> list[int]:
    """How far each topic's offsets move: where the lane's counting began moves as far, so that it still adds up."""
    return [0 if place.why_not is None else place.begin - place.position for place in found]


async def _lost(broker: Broker, row: lane_rows.LaneRow) -> list[_Lost]:
    """The published events after the end of the journal, in order."""
    partition = TopicPartition(Topic.STATE_EVENTS, row.lane)
    lost: list[_Lost] = []
    async with started(broker.consumer()) as reader:
        reader.assign([partition])
        begin = (await within(reader.beginning_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        end = (await within(reader.end_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        reader.seek(partition, begin)
        while await reader.position(partition) < end:
            for record in (await reader.getmany(partition, timeout_ms=FETCH_MAX_WAIT_MS)).get(partition, ()):
                event = StateEvent.model_validate_json(record.value)
                if event.lane_seq > row.lane_seq:
                    lost.append(_Lost(event, record.value))
            if len(lost) > MAX_EVENTS:
                raise NotRebasedError(
                    f"more than {MAX_EVENTS} state events are not in the journal: restore a newer copy"
                )
    for expected, each in enumerate(lost, row.lane_seq + 1):
        if each.event.lane_seq != expected:
            raise NotRebasedError(f"{Topic.STATE_EVENTS}[{row.lane}] has no lane_seq {expected} any more")
    return lost


async def _causes(
    broker: Broker, inbox: Inbox, lane: int, lost: Sequence[_Lost]
) -> Mapping[tuple[str, int], tuple[str, Input]]:
    """The inputs behind these events, as far as they are to be had: by topic and offset, with the order of each."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for each in lost:
        if each.event.cause_topic is not None and each.event.cause_offset is not None:
            wanted[each.event.cause_topic].add(each.event.cause_offset)
    causes: dict[tuple[str, int], tuple[str, Input]] = {}
    for topic, offsets in wanted.items():
        for record in await _records(broker, TopicPartition(topic, lane), offsets):
            opened = inbox.open(record)
            if opened.given is not None:
                causes[topic, record.offset] = opened.order_id, opened.given
    return causes


async def _records(broker: Broker, partition: TopicPartition, offsets: set[int]) -> list[ConsumerRecord]:
    """Those of the records that the topic still has."""
    found: list[ConsumerRecord] = []
    async with started(broker.consumer()) as reader:
        reader.assign([partition])
        begin = (await within(reader.beginning_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        end = (await within(reader.end_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        reader.seek(partition, max(begin, min(offsets)))
        try:
            while await reader.position(partition) < min(end, max(offsets) + 1):
                fetched = await reader.getmany(partition, timeout_ms=FETCH_MAX_WAIT_MS)
                found += [record for record in fetched.get(partition, ()) if record.offset in offsets]
        except OffsetOutOfRangeError:
            # Cut short this very moment: what is gone is gone.
            pass
    return found


def _told(lost: Sequence[_Lost], causes: Mapping[tuple[str, int], tuple[str, Input]]) -> dict[str, list[Told]]:
    """The events of each order, with their inputs."""
    told: dict[str, list[Told]] = defaultdict(list)
    for each in lost:
        event = each.event
        order_id, given = causes.get((event.cause_topic or "", event.cause_offset or 0), ("", None))
        # A topic that was made anew has other records there.
        told[event.order_id].append(Told(event, given if order_id == event.order_id else None))
    return told


async def _adopt(
    connection: asyncpg.Connection,
    rows: BatchRows,
    told: Mapping[str, Sequence[Told]],
    policy: Policy,
    now: datetime,
) -> None:
    """Puts the orders into the rows. Raises CannotAdoptError."""
    known = await order_rows.load(connection, rows.lane, told)
    for order_id, events in told.items():
        adopted = adopt(known.get(order_id), events, now=now, policy=policy)
        rows.orders[order_id] = adopted.order
        rows.timers[order_id] = wake_at(adopted.order)
        rows.operations |= {name: (order_id, operation) for name, operation in adopted.operations.items()}
        rows.next_seq += len(events)
    # What had waited for an order was decided when it came, and is told of by its events.
    rows.unparked = await _parked(connection, rows.lane, [name for name in told if name not in known])
    # It is published already.
    rows.published_seq = max(rows.published_seq, rows.next_seq if told else 0)


def _entry(rows: BatchRows, lost: _Lost) -> JournalEntry:
    event = lost.event
    return JournalEntry(event.lane_seq, event.order_id, event.version, rows.orders[event.order_id], lost.value)


async def _parked(connection: asyncpg.Connection, lane: int, order_ids: Sequence[str]) -> list[tuple[str, int]]:
    found = await connection.fetch(
        "select topic, record_offset from parked where lane = $1 and order_id = any($2)", lane, list(order_ids)
    )
    return [(row["topic"], row["record_offset"]) for row in found]
