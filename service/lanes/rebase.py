"""A halted lane made to fit its topics again, by a person's decision.

Input topics that were made anew or cut short are read from where they begin: what had been read before is a
duplicate by its id. State events that were published and that the journal has lost are taken over into it, and
their orders with them. One transaction; where something is missing, nothing is changed.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from aiokafka import ConsumerRecord

from service.kafka.broker import Broker
from service.kafka.clients import PRODUCE_TIMEOUT_S, started, within
from service.kafka.published import OpenTransactionError, check_closed, end_hanging, lane_producers
from service.kafka.topics import WrongTopicError, check_counts
from service.lanes.fingerprints import Place, places
from service.lanes.inbox import Inbox
from service.lanes.lost import LostEvent, TooMuchLostError, lost_events, told
from service.store import lanes as lane_rows
from service.store import orders as order_rows
from service.store import parked as parked_rows
from service.store.commit import BatchRows, DataRefusedError, JournalEntry, commit
from service.store.connection import Database
from service.store.lanes import LaneFencedError, LaneMovedError, LaneRow, fingerprints_json
from statemachine.adoption import CannotAdoptError, Told, adopt
from statemachine.decision import Policy
from statemachine.timers import wake_at


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
class Tools:
    """What a rebase works with. `forward` sends a record to the lane's partition of its topic once more."""

    database: Database
    broker: Broker
    inbox: Inbox
    policy: Policy
    forward: Callable[[ConsumerRecord, int], Awaitable[None]]
    transactional_prefix: str


async def rebase(tools: Tools, lane: int) -> Rebased:
    """Makes the lane fit what Kafka has, and frees it. Raises NotRebasedError, having changed nothing."""
    database, broker = tools.database, tools.broker
    await _check_topics(broker, await lane_rows.lane_count(database))
    row, halt_reason = await _halted(database, lane)
    await _end_transactions(broker, tools.transactional_prefix, lane)
    # Before anything is locked: a topic can be long.
    found = await places(broker, row)
    try:
        lost = await lost_events(broker, row)
        events = await told(broker, tools.inbox, lane, lost)
        async with database.acquire() as connection, connection.transaction():
            locked, _ = await lane_rows.halted(connection, lane)
            if (locked.epoch, locked.lane_seq) != (row.epoch, row.lane_seq):
                raise NotRebasedError(f"lane {lane} has moved meanwhile")
            now = await connection.fetchval("select clock_timestamp()")
            rows = _rows(row, found)
            await _free(connection, rows, found)
            await _adopt(connection, rows, events, tools.policy, now)
            rows.journal = [_entry(rows, each) for each in lost]
            for record in await _waiting_for(connection, rows, events):
                await tools.forward(record, lane)
            await commit(connection, rows)
    except (CannotAdoptError, TooMuchLostError, DataRefusedError, LaneFencedError, LaneMovedError) as error:
        raise NotRebasedError(str(error)) from None
    return Rebased(lane, halt_reason, [place for place in found if place.why_not], len(lost), len(events))


async def _halted(database: Database, lane: int) -> tuple[LaneRow, str]:
    async with database.acquire() as connection, connection.transaction():
        row, halt_reason = await lane_rows.halted(connection, lane)
    if halt_reason is None:
        raise NotRebasedError(f"lane {lane} is not halted")
    return row, halt_reason


async def _end_transactions(broker: Broker, prefix: str, lane: int) -> None:
    """From now on nothing is published any more that is not seen yet, and would be missing in what is read."""
    async with contextlib.AsyncExitStack() as stack:
        ours = lane_producers(broker, prefix, lane)
        producers = [await stack.enter_async_context(started(each)) for each in ours]
        try:
            await check_closed(broker, lane)
        except OpenTransactionError:
            await end_hanging(broker, producers, lane)


async def _free(connection: asyncpg.Connection, rows: BatchRows, found: Sequence[Place]) -> None:
    """Lets the lane be claimed, once this is committed, with its offsets where the topics are now."""
    rows.epoch = await lane_rows.free(connection, rows.lane, _shifts(found))
    # A lane that the database has never known to be owned.
    await lane_rows.begin_in(connection, rows.lane, rows.epoch, rows.offsets)
    for place in found:
        if place.why_not is not None:
            await parked_rows.set_apart(connection, rows.lane, place.topic, rows.epoch)


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
    # It is published already.
    rows.published_seq = max(rows.published_seq, rows.next_seq if told else 0)


def _entry(rows: BatchRows, lost: LostEvent) -> JournalEntry:
    event = lost.event
    return JournalEntry(event.lane_seq, event.order_id, event.version, rows.orders[event.order_id], lost.value)


async def _waiting_for(
    connection: asyncpg.Connection, rows: BatchRows, told: Mapping[str, Sequence[Told]]
) -> list[ConsumerRecord]:
    """What waits for the orders that are known now. It waits no longer; answers those that no event tells of.

    They may have been decided, without an entry, or not: each is taken once more, and is a duplicate or is not.
    """
    waiting = await parked_rows.load(connection, rows.lane, list(told))
    rows.unparked = [(record.topic, record.offset) for record in waiting]
    taken = {(e.event.cause_topic, e.event.cause_offset) for events in told.values() for e in events}
    return [record for record in waiting if (record.topic, record.offset) not in taken]
