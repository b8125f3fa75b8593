"""What a lane has published and its journal has lost, read back from Kafka, with the inputs behind it."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from schemas.state_events import StateEvent
from schemas.vocabulary import Topic
from service.kafka.broker import Broker
from service.kafka.clients import FETCH_MAX_WAIT_MS, PRODUCE_TIMEOUT_S, started, within
from service.kafka.published import TAIL_DEPTH
from service.lanes.inbox import Inbox
from service.store.lanes import LaneRow
from statemachine.adoption import Told, needs_its_input
from statemachine.inputs import Input

# Events of one lane that are held in memory at once, with their orders.
MAX_EVENTS = 200_000
# Whose records tell what a state event does not; what a wallet has said is all in the events.
UPSTREAM_TOPICS = (Topic.ORDERS, Topic.COMPLETIONS)
# An order, and the id of an event about it.
_Name = tuple[str, str]


class TooMuchLostError(Exception):
    """What is missing cannot be taken over; the message says why."""


@dataclass(frozen=True, slots=True)
class LostEvent:
    """A published event that the journal does not have, with its bytes."""

    event: StateEvent
    value: bytes


@dataclass(slots=True)
class _Causes:
    """The inputs that were found, and why others cannot be taken although they are there."""

    given: dict[_Name, Input] = field(default_factory=dict)
    why_not: dict[_Name, str] = field(default_factory=dict)


async def lost_events(broker: Broker, row: LaneRow) -> list[LostEvent]:
    """The published events after the end of the journal, in order. Raises TooMuchLostError."""
    partition = TopicPartition(Topic.STATE_EVENTS, row.lane)
    lost: list[LostEvent] = []
    async with started(broker.consumer()) as reader:
        reader.assign([partition])
        begin = (await within(reader.beginning_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        end = (await within(reader.end_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        reader.seek(partition, await _known_offset(reader, partition, row.lane_seq, begin, end))
        while await reader.position(partition) < end:
            for record in (await reader.getmany(partition, timeout_ms=FETCH_MAX_WAIT_MS)).get(partition, ()):
                event = StateEvent.model_validate_json(record.value)
                if event.lane_seq > row.lane_seq:
                    lost.append(LostEvent(event, record.value))
            if len(lost) > MAX_EVENTS:
                raise TooMuchLostError(
                    f"more than {MAX_EVENTS} state events are not in the journal: restore a newer copy"
                )
    for expected, each in enumerate(lost, row.lane_seq + 1):
        if each.event.lane_seq != expected:
            raise TooMuchLostError(f"{Topic.STATE_EVENTS}[{row.lane}] has no lane_seq {expected} any more")
    return lost


async def _known_offset(
    reader: AIOKafkaConsumer, partition: TopicPartition, lane_seq: int, begin: int, end: int
) -> int:
    """An offset at which stands what the journal has: the topic may keep years of it, and little was lost."""
    depth = TAIL_DEPTH
    while end - depth > begin:
        reader.seek(partition, end - depth)
        while await reader.position(partition) < end:
            fetched = await reader.getmany(partition, timeout_ms=FETCH_MAX_WAIT_MS, max_records=1)
            for record in fetched.get(partition, ()):
                if StateEvent.model_validate_json(record.value).lane_seq <= lane_seq:
                    return end - depth
            if fetched:
                break
        depth *= 8
    return begin


async def told(broker: Broker, inbox: Inbox, lane: int, lost: Sequence[LostEvent]) -> dict[str, list[Told]]:
    """The events of each order, with their inputs as far as those are to be had."""
    causes = _Causes()
    for topic in UPSTREAM_TOPICS:
        await _find(broker, inbox, TopicPartition(topic, lane), [e.event for e in lost], causes)
    found: dict[str, list[Told]] = defaultdict(list)
    for each in lost:
        event = each.event
        name = event.order_id, event.cause_event_id or ""
        is_upstreams = event.cause_topic in UPSTREAM_TOPICS
        given = causes.given.get(name) if is_upstreams else None
        found[event.order_id].append(Told(event, given, causes.why_not.get(name, "")))
    return found


async def _find(
    broker: Broker, inbox: Inbox, partition: TopicPartition, events: Sequence[StateEvent], causes: _Causes
) -> None:
    """Looks where each was read first; what is needed and not there, in all that the topic has.

    A topic that was made anew has other records at the same offsets, and what has left a topic can be sent again.
    """
    at: dict[_Name, int] = {}
    needed: set[_Name] = set()
    for event in events:
        if event.cause_topic != partition.topic or event.cause_event_id is None or event.cause_offset is None:
            continue
        name = event.order_id, event.cause_event_id
        at[name] = event.cause_offset
        if needs_its_input(event):
            needed.add(name)
    if not at:
        return
    offsets = set(at.values())
    there = await _records(broker, partition, min(offsets), max(offsets) + 1, lambda r: r.offset in offsets)
    _open(inbox, there, at, causes)
    missing = needed - causes.given.keys()
    if missing:
        keys = {order_id.encode() for order_id, _ in missing}
        _open(inbox, await _records(broker, partition, 0, None, lambda r: r.key in keys), at, causes)


def _open(inbox: Inbox, records: Sequence[ConsumerRecord], wanted: Mapping[_Name, int], causes: _Causes) -> None:
    for record in records:
        opened = inbox.open(record)
        name = opened.order_id, opened.cause_event_id or ""
        if name not in wanted or name in causes.given:
            continue
        if opened.given is not None:
            causes.given[name] = opened.given
        elif opened.dead is not None:
            causes.why_not[name] = f"it cannot be taken: {opened.dead}"


async def _records(
    broker: Broker,
    partition: TopicPartition,
    first: int,
    last: int | None,
    is_wanted: Callable[[ConsumerRecord], bool],
) -> list[ConsumerRecord]:
    """Those of the records from `first` to before `last`, or the end, that the topic still has."""
    found: list[ConsumerRecord] = []
    async with started(broker.consumer()) as reader:
        reader.assign([partition])
        begin = (await within(reader.beginning_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        end = (await within(reader.end_offsets([partition]), PRODUCE_TIMEOUT_S))[partition]
        reader.seek(partition, max(begin, first))
        try:
            while await reader.position(partition) < min(end, end if last is None else last):
                fetched = await reader.getmany(partition, timeout_ms=FETCH_MAX_WAIT_MS)
                found += filter(is_wanted, fetched.get(partition, ()))
        except OffsetOutOfRangeError:
            # Cut short this very moment: what is gone is gone.
            pass
    return found
