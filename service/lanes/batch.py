"""A batch in the making: what each input decides, staged on copies, until one commit makes it true."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson
from aiokafka import ConsumerRecord

from schemas.vocabulary import Disposition, State, Trigger
from service.clock import Ids
from service.lanes.fingerprints import fingerprint
from service.lanes.inbox import Opened
from service.state_events import Cause, headers, rfc3339, state_event, to_json
from service.store.commit import BatchRows, JournalEntry, Record
from service.store.lanes import COUNTERS, TOPIC_INDEX, Fingerprint, fingerprints_json
from statemachine.check import BrokenInvariantError
from statemachine.decide import decide
from statemachine.decision import Decision, Policy
from statemachine.inputs import Input, OrderCreated
from statemachine.lifecycle import IllegalTransitionError
from statemachine.order import Operation, Order
from statemachine.timers import wake_at

APPLIED, ABSORBED, REFUSED, FLAGGED, DUPLICATE, PARKED, DEAD, FORWARDED, SKIPPED = range(len(COUNTERS))
_COUNTER_OF = {
    Disposition.APPLIED: APPLIED,
    Disposition.ABSORBED: ABSORBED,
    Disposition.REFUSED: REFUSED,
    Disposition.FLAGGED: FLAGGED,
}
# Early records of one order wait for it, up to so many; more are not reordering but a mistake.
MAX_PARKED_PER_ORDER = 64


@dataclass(slots=True)
class Published:
    """A journal entry on its way to Kafka. `order` is set where its order string has to be sent too."""

    lane_seq: int
    order_id: str
    version: int
    value: bytes
    headers: list[tuple[str, bytes]]
    order: Order | None


@dataclass(slots=True)
class LanePosition:
    """How far a lane has come: what the next commit starts from."""

    lane: int
    epoch: int
    lane_seq: int
    offsets: list[int]
    fingerprints: dict[str, Fingerprint]


@dataclass(slots=True)
class Started:
    """Work that the batch gives rise to, once it is committed: operations to carry out, orders to ask about."""

    operations: dict[str, tuple[Order, Operation, str | None]] = field(default_factory=dict)
    queries: dict[str, tuple[Order, str | None]] = field(default_factory=dict)


class LaneBatch:
    """Stages inputs over the lane's cache. Nothing outside changes until the commit has succeeded."""

    def __init__(
        self,
        position: LanePosition,
        known: dict[str, Order],
        parked_counts: dict[str, int],
        *,
        now: datetime,
        ids: Ids,
        policy: Policy,
    ) -> None:
        self._known = known
        self._parked_counts = parked_counts
        self.now = now
        self._recorded_at = rfc3339(now)
        self._ids = ids
        self._policy = policy
        self._last: dict[str, ConsumerRecord] = {}
        # Early records of this batch, until their order turns up in it or they are parked at its end.
        self._early: dict[str, list[Opened]] = {}
        self._fingerprints = position.fingerprints
        self.published: list[Published] = []
        self.started = Started()
        self.rows = BatchRows(
            lane=position.lane,
            epoch=position.epoch,
            seq=position.lane_seq,
            next_seq=position.lane_seq,
            published_seq=0,
            offsets=list(position.offsets),
            next_offsets=list(position.offsets),
        )

    def order(self, order_id: str) -> Order | None:
        """The order as this batch has it so far."""
        return self.rows.orders.get(order_id) or self._known.get(order_id)

    def pass_record(self, record: ConsumerRecord) -> None:
        """Moves the offset past a record; offsets that the topic left out are counted as skipped."""
        index = TOPIC_INDEX[record.topic]
        self.rows.counted[SKIPPED] += record.offset - self.rows.next_offsets[index]
        self.rows.next_offsets[index] = record.offset + 1
        self._last[record.topic] = record

    def take(self, opened: Opened) -> None:
        """One record of the lane: decided, parked or put with the dead letters."""
        self.pass_record(opened.record)
        if opened.dead is not None:
            self.bury(opened.record, opened.dead)
        elif opened.given is None:
            self.rows.counted[ABSORBED] += 1
        elif self.order(opened.order_id) is None and not isinstance(opened.given, OrderCreated):
            self._keep_early(opened)
        else:
            self._decide_record(opened, count=True)
            for early in self._early.pop(opened.order_id, ()):
                self._decide_record(early, count=True)

    def take_parked(self, opened: Opened) -> None:
        """A record that had been parked: its order is known now. It has been counted when it was parked."""
        record = opened.record
        self.rows.unparked.append((record.topic, record.offset))
        if opened.dead is not None:
            self.rows.dead.append((_kept(record), opened.dead))
        elif opened.given is not None:
            self._decide_record(opened, count=False)

    def take_inner(self, order_id: str, given: Input, cause_type: str, traceparent: str | None) -> Order | None:
        """A timer, or what the dispatcher and the reconciler report; answers the order afterwards."""
        order = self.order(order_id)
        if order is None:
            return None
        cause = Cause(cause_type, None, given.occurred_at, traceparent=traceparent)
        decision = decide(order, given, now=self.now, policy=self._policy)
        self._stage(order, decision, cause)
        return decision.order

    def bury(self, record: ConsumerRecord, reason: str) -> None:
        """Puts a record with the dead letters, with its bytes and the reason."""
        self.rows.counted[DEAD] += 1
        self.rows.dead.append((_kept(record), reason))

    def forwarded(self, record: ConsumerRecord) -> None:
        """A stray record that has been sent on to its own partition."""
        self.pass_record(record)
        self.rows.counted[FORWARDED] += 1

    def finish(self) -> BatchRows:
        """The rows, ready to commit."""
        for order_id, early in self._early.items():
            self.rows.parked.extend((_kept(opened.record), order_id) for opened in early)
            self.rows.counted[PARKED] += len(early)
        if self._last:
            self._fingerprints = self._fingerprints | {
                topic: fingerprint(record) for topic, record in self._last.items()
            }
            self.rows.fingerprints = fingerprints_json(self._fingerprints)
        return self.rows

    def position(self) -> LanePosition:
        """Where the lane is once this batch has been committed."""
        rows = self.rows
        return LanePosition(rows.lane, rows.epoch, rows.next_seq, rows.next_offsets, self._fingerprints)

    def count_parked(self) -> None:
        """Once this batch has been committed: how many records wait for each order now.

        In place: of strangers' records there may be a hundred thousand, and each commit would go through them.
        """
        counts = self._parked_counts
        for order_id in self.rows.orders:
            counts.pop(order_id, None)
        for order_id, early in self._early.items():
            counts[order_id] = counts.get(order_id, 0) + len(early)

    def _keep_early(self, opened: Opened) -> None:
        waiting = self._early.setdefault(opened.order_id, [])
        count = self._parked_counts.get(opened.order_id, 0) + len(waiting)
        if count >= MAX_PARKED_PER_ORDER:
            self.bury(
                opened.record,
                f"order {opened.order_id} is not known, and {count} records are waiting for it already",
            )
        else:
            waiting.append(opened)

    def _decide_record(self, opened: Opened, *, count: bool) -> None:
        record = opened.record
        assert opened.given is not None
        order = self.order(opened.order_id)
        try:
            decision = decide(order, opened.given, now=self.now, policy=self._policy)
        except (BrokenInvariantError, IllegalTransitionError) as error:
            # A bug of ours, caught before it could touch money: the record is kept for the people who mend it.
            reason = f"deciding it would break a rule of the lifecycle: {error}"
            if count:
                self.bury(record, reason)
            else:
                self.rows.dead.append((_kept(record), reason))
            return
        if count:
            index = DUPLICATE if decision.duplicate else _COUNTER_OF[decision.entries[0].disposition]
            self.rows.counted[index] += 1
        cause = Cause(
            opened.cause_type,
            opened.cause_event_id,
            opened.given.occurred_at,
            record.topic,
            record.partition,
            record.offset,
            opened.traceparent,
        )
        self._stage(order, decision, cause)

    def _stage(self, before: Order | None, decision: Decision, cause: Cause) -> None:
        if decision.duplicate:
            return
        after, rows = decision.order, self.rows
        rows.orders[after.order_id] = after
        for entry in decision.entries:
            rows.next_seq += 1
            event = state_event(
                after,
                entry,
                cause,
                event_id=self._ids.uuid7(),
                lane=rows.lane,
                lane_seq=rows.next_seq,
                recorded_at=self._recorded_at,
            )
            value = to_json(event)
            rows.journal.append(JournalEntry(rows.next_seq, after.order_id, entry.version, after, value))
            self.published.append(
                Published(
                    rows.next_seq,
                    after.order_id,
                    entry.version,
                    value,
                    headers(event),
                    after if issues_order_string(entry.trigger, entry.state) else None,
                )
            )
        wake = wake_at(after)
        if before is None or wake != wake_at(before):
            rows.timers[after.order_id] = wake
        for operation in decision.operations:
            rows.operations[operation.id] = (after.order_id, operation)
            self.started.operations[operation.id] = (after, operation, cause.traceparent)
        if decision.query:
            self.started.queries[after.order_id] = (after, cause.traceparent)


def issues_order_string(trigger: str, state: str) -> bool:
    """Whether a journal entry is the one that makes an order `paying`: its order string goes out with it."""
    return trigger == Trigger.ISSUE and state == State.PAYING


# The end of the year 9999, behind which Python has no times. A producer that counts in microseconds is there.
_LAST_MS = 253_402_300_799_999


def _kept(record: ConsumerRecord) -> Record:
    names = [[name, (value or b"").decode("latin-1")] for name, value in record.headers]
    # Header values are bytes; Latin-1 keeps every one of them, and NUL, which JSON in Postgres would keep too.
    text = orjson.dumps(names).decode()
    return Record(
        record.topic,
        record.offset,
        record.key,
        record.value,
        text,
        datetime.fromtimestamp(min(max(record.timestamp, 0), _LAST_MS) / 1000, UTC),
    )
