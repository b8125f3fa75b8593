"""The simulated broker: logs, transactions, fencing, and what a reader of committed records sees of them.

A transaction is decided at the coordinator; its markers reach the partitions later, and until then readers of
committed records see nothing from its first record on (the last stable offset). Source: KIP-98.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, ProducerFenced

from schemas.vocabulary import INPUT_TOPICS, Topic
from tests.simulation.server import WORLD, Server, Troubles

# What a client sends: key, value, headers.
Message = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]
# As `transactional_producer` asks for.
TRANSACTION_TIMEOUT_S = 15.0
BEGINNING_MS = 1_772_366_400_000


class Fate(Enum):
    """How a transaction stands."""

    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()


@dataclass(eq=False, slots=True)
class Transaction:
    """`logs` are those that it has written to. Markers are written when it has been decided."""

    fate: Fate = Fate.OPEN
    logs: list["Log"] = field(default_factory=list)
    # Whether it was once said to be committed.
    is_answered: bool = False


@dataclass(slots=True)
class Entry:
    """One offset of a log: a record, or (None) a marker."""

    record: ConsumerRecord | None
    transaction: Transaction | None


@dataclass(eq=False, slots=True)
class Log:
    """One partition. `undecided`: the first offset of each transaction whose marker is not here yet.

    `ended_by`: of a transaction that hung, the one whose marker ended it here, in its own way.
    """

    topic: str
    partition: int
    entries: list[Entry] = field(default_factory=list)
    undecided: dict[Transaction, int] = field(default_factory=dict)
    ended_by: dict[Transaction, Transaction] = field(default_factory=dict)

    @property
    def stable(self) -> int:
        """The last stable offset."""
        return min(self.undecided.values(), default=len(self.entries))

    def read(self, position: int, end: int, limit: int, *, committed: bool) -> tuple[list[ConsumerRecord], int]:
        """Up to `limit` records that may be seen in `[position, end)`, and the position after them."""
        found: list[ConsumerRecord] = []
        while position < end and len(found) < limit:
            entry = self.entries[position]
            position += 1
            transaction = entry.transaction and self.ended_by.get(entry.transaction, entry.transaction)
            is_aborted = transaction is not None and transaction.fate is Fate.ABORTED
            if entry.record is not None and not (committed and is_aborted):
                found.append(entry.record)
        return found, position


@dataclass(slots=True)
class Coordinated:
    """What the coordinator knows of a transactional id."""

    epoch: int = 0
    transaction: Transaction | None = None
    # Decided, with markers under way.
    closing: Transaction | None = None
    # Decided, with markers that will never come by themselves.
    hanging: list[Transaction] = field(default_factory=list)


class Broker(Server):
    """One broker for all processes. `on_settled` is called when readers may see more of a log than before."""

    def __init__(self, lanes: int, troubles: Troubles, on_settled: Callable[[Log], None]) -> None:
        super().__init__("broker", troubles, lambda: KafkaConnectionError("simulated broker is away"))
        self.lanes = lanes
        self.on_settled = on_settled
        self.logs = {(str(topic), lane): Log(str(topic), lane) for topic in Topic for lane in range(lanes)}
        self._coordinated: dict[str, Coordinated] = {}
        self._waiting: list[asyncio.Future[None]] = []

    # ------------------------------------------------------------------------------------------ what is written

    def append(
        self, topic: str, partition: int, messages: Sequence[Message], transaction: Transaction | None = None
    ) -> int:
        """Writes records; answers the offset of the last."""
        log = self.logs[topic, partition]
        if transaction is not None and log not in transaction.logs:
            transaction.logs.append(log)
            log.undecided[transaction] = len(log.entries)
        timestamp_ms = BEGINNING_MS + int(self.troubles.loop.time() * 1000)
        for key, value, headers in messages:
            record = ConsumerRecord(
                log.topic,
                partition,
                len(log.entries),
                timestamp_ms,
                0,
                key,
                value,
                None,
                len(key or b""),
                len(value or b""),
                tuple(headers),
            )
            log.entries.append(Entry(record, transaction))
        if transaction is None:
            self._settled(log)
        return len(log.entries) - 1

    def leave_gap(self, topic: str, partition: int) -> None:
        """An offset at which nobody finds a record."""
        self.logs[topic, partition].entries.append(Entry(None, None))

    def initialize(self, transactional_id: str) -> int | None:
        """InitProducerId: the new epoch, which fences all earlier ones; None while it has to be tried again."""
        known = self._coordinated.setdefault(transactional_id, Coordinated())
        if known.transaction is not None:
            known.epoch += 1
            self._decide(known, Fate.ABORTED)
        if known.closing is not None:
            return None
        known.epoch += 1
        return known.epoch

    def produce(
        self, transactional_id: str, epoch: int, topic: str, partition: int, messages: Sequence[Message]
    ) -> int:
        """Writes in the producer's transaction, which its first record begins."""
        return self.append(topic, partition, messages, self._begun(self._of(transactional_id, epoch)))

    def add(self, transactional_id: str, epoch: int, partitions: Sequence[TopicPartition]) -> None:
        """AddPartitionsToTxn: its end will be marked there, whether it writes there or not."""
        transaction = self._begun(self._of(transactional_id, epoch))
        for partition in partitions:
            self.append(partition.topic, partition.partition, (), transaction)

    def _begun(self, known: Coordinated) -> Transaction:
        if known.transaction is None:
            known.transaction = Transaction()
            self.troubles.loop.call_later(
                TRANSACTION_TIMEOUT_S, self._time_out, known, known.transaction, context=WORLD
            )
        return known.transaction

    def commit(self, transactional_id: str, epoch: int) -> None:
        """EndTxn: it is decided when this is answered; the markers follow."""
        known = self._of(transactional_id, epoch)
        if known.transaction is not None:
            self._decide(known, Fate.COMMITTED)
            if self.troubles.faults.happens("markers_lost"):
                self._shut_down(known)

    def _shut_down(self, known: Coordinated) -> None:
        """The coordinator goes away, having completed what it had just decided without its markers.

        Kafka 4.4 was seen to do so (see `service.kafka.published.end_hanging`).
        """
        assert known.closing is not None
        known.hanging.append(known.closing)
        known.closing = None
        self.go_down()
        after_s = self.troubles.faults.between("markers_lost", 0.3, 2) ** 3
        self.troubles.loop.call_later(after_s, self.come_up, context=WORLD)

    def committed(self, topic: str, partition: int) -> int:
        """How many different records have been committed, whether readers see them yet or not."""
        answered = [
            entry.record.value
            for entry in self.logs[topic, partition].entries
            if entry.record is not None and entry.transaction is not None and entry.transaction.is_answered
        ]
        # What hung, and was aborted with whoever was about to end it, is published again.
        return len(set(answered))

    def is_closing(self, transactional_id: str, epoch: int) -> bool:
        """Whether the markers of the last transaction are still under way, so that none can begin."""
        return self._of(transactional_id, epoch).closing is not None

    def _of(self, transactional_id: str, epoch: int) -> Coordinated:
        known = self._coordinated[transactional_id]
        if known.epoch != epoch:
            raise ProducerFenced
        return known

    def _decide(self, known: Coordinated, fate: Fate) -> None:
        transaction = known.transaction
        assert transaction is not None
        transaction.fate = fate
        transaction.is_answered = fate is Fate.COMMITTED
        known.transaction, known.closing = None, transaction
        faults = self.troubles.faults
        after_s = faults.between("markers", 0.0005, 0.01)
        if faults.happens("markers_late"):
            after_s = faults.between("markers_late", 0.05, 3)
        self.troubles.loop.call_later(after_s, self._mark, known, transaction, context=WORLD)

    def _mark(self, known: Coordinated, transaction: Transaction) -> None:
        if self.is_down:
            self.troubles.loop.call_later(0.5, self._mark, known, transaction, context=WORLD)
            return
        if known.closing is not transaction:
            return
        known.closing = None
        for log in transaction.logs:
            log.entries.append(Entry(None, transaction))
            del log.undecided[transaction]
            for left_open in known.hanging:
                # A marker ends whatever its producer has open there, and in the same way.
                if log.undecided.pop(left_open, None) is not None:
                    log.ended_by[left_open] = transaction
        # After all: a reader sees a transaction of several partitions at once, as far as our checks go.
        for log in transaction.logs:
            self._settled(log)

    def _time_out(self, known: Coordinated, transaction: Transaction) -> None:
        if known.transaction is transaction:
            self.troubles.faults.fired["transaction timed out"] += 1
            known.epoch += 1
            self._decide(known, Fate.ABORTED)

    def _settled(self, log: Log) -> None:
        self.on_settled(log)
        if log.topic in INPUT_TOPICS:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                if not each.done():
                    each.set_result(None)

    # -------------------------------------------------------------------------------------------- what is read

    def news(self, within_s: float) -> asyncio.Future[None]:
        """Done when there is something new in the input topics, or after so long."""
        waiting: asyncio.Future[None] = self.troubles.loop.create_future()
        self._waiting = [each for each in self._waiting if not each.done()]
        self._waiting.append(waiting)
        self.troubles.loop.call_later(within_s, _end, waiting, context=WORLD)
        return waiting


def _end(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
