"""The relay: journal -> payment.state-events, in transactions, in order, each entry once.

Its position is the tail of its own output: on taking a lane it fences every producer of the lane, reads the
last committed `lane_seq` of the partition and goes on after it. Entries just committed are handed over in
memory; whenever those do not follow on the position, the journal is read instead.

Two transactional ids a lane are used in turn: Kafka 4 answers the first produce after a commit with a
retriable error until that commit's markers are written, and a client that waits then idles.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle

import orjson
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from schemas.vocabulary import Topic
from service.kafka.broker import Broker
from service.kafka.clients import (
    MAX_BATCH_BYTES,
    PRODUCE_TIMEOUT_S,
    UNAVAILABLE,
    abandon,
    connections,
    start,
    within,
)
from service.kafka.published import (
    OpenTransactionError,
    check_closed,
    committed_tail,
    end_hanging,
    lane_producers,
)
from service.lanes.backlog import Backlog, check_tail
from service.lanes.batch import Published
from service.observability import PUBLISHED
from service.state_events import rfc3339
from service.store import connection as store_connection
from service.store import journal
from service.store import lanes as lane_rows
from service.store.connection import Database
from service.store.journal import Tail
from service.wallets.adapter import BuilderRefusedError, WalletAdapter
from statemachine.order import Order

log = structlog.get_logger()

RETRY_S = 0.5
# A quiet lane looks once whether what it published can be read.
LOOK_AFTER_S = 20.0

Outgoing = tuple[bytes, bytes, list[tuple[str, bytes]]]  # Key, value and headers.


@dataclass(slots=True)
class Relay:
    """Publishes one lane for as long as it is owned."""

    lane: int
    broker: Broker
    database: Database
    adapters: Mapping[str, WalletAdapter]
    # The row's low-water mark: where to go on when the topic has been emptied by its retention.
    published_low: int
    transactional_prefix: str
    epoch: int
    position: int = -1
    _backlog: Backlog = field(init=False)
    _found: asyncio.Event = field(default_factory=asyncio.Event)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    # The newest sequence number that is known to be committed.
    _committed: int = 0
    # How far it is known that what was published can be read (see `end_hanging`).
    _seen: int = 0
    # Whether all of it was found to be readable since anything was sent: order strings, too.
    _has_looked: bool = False

    def __post_init__(self) -> None:
        self._backlog = Backlog(self.lane, self.database)

    def offer(self, published: Sequence[Published]) -> None:
        """Takes the entries of one commit that has just been made."""
        if not published:
            return
        self._committed = max(self._committed, published[-1].lane_seq)
        self._backlog.add(published)
        self._wake.set()

    def published_seq(self) -> int:
        """How far the lane is published for good; 0 while that is not known yet.

        What a broker may have left open does not count: should it be aborted, it has to be published again.
        """
        return self._seen

    async def found(self) -> None:
        """Returns when it is known how far the lane is published, and nobody else can publish it any more.

        Nothing may be decided before: what had been published and is not in the journal would be decided anew.
        """
        await self._found.wait()

    async def flushed(self) -> None:
        """Returns when everything committed so far is published."""
        while self.position < self._committed:
            self._moved.clear()
            await self._moved.wait()

    async def run(self) -> None:
        """Publishes until cancelled. Raises LaneHaltedError, and LaneFencedError when the lane is another's.

        Waits for a broker and a database that are away.
        """
        while True:
            producers: list[AIOKafkaProducer] = []
            try:
                # Postgres alone says whose the lane is. A producer is fenced by a new owner, but also by the
                # broker, when a transaction took too long; and one that opened its ids again without asking
                # would fence the new owner.
                await lane_rows.read(self.database, self.lane, self.epoch)
                await self._open(producers)
                try:
                    await check_closed(self.broker, self.lane)
                except OpenTransactionError as error:
                    log.warning("relay_ends_hanging_transaction", lane=self.lane, error=str(error))
                    await end_hanging(self.broker, producers, self.lane)
                await self._find_position()
                await self._publish(producers)
            except (*UNAVAILABLE, *store_connection.UNAVAILABLE) as error:
                log.warning("relay_waits", lane=self.lane, error=repr(error))
            finally:
                for producer in producers:
                    await abandon(producer)
            await asyncio.sleep(RETRY_S)

    async def _open(self, producers: list[AIOKafkaProducer]) -> None:
        # Every id is taken before the tail is read: each fences its predecessor and ends its transaction.
        producers += lane_producers(self.broker, self.transactional_prefix, self.lane)
        starts = [start(producer) for producer in producers]
        for outcome in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        # Asked once more, with all of them taken: should a new owner have opened the one id after us and the other
        # before us, it could publish over the one and we over the other. Whoever owns the lane now is fenced
        # wholly by whoever takes it from now on.
        await lane_rows.read(self.database, self.lane, self.epoch)

    async def _find_position(self) -> None:
        published = await committed_tail(self.broker, self.lane)
        position = self.published_low if published is None else published.lane_seq
        known = await journal.tail(self.database, self.lane, position)
        # In this order: what is offered in the meantime must not be forgotten.
        self._committed = max(known.lane_seq, self._committed)
        check_tail(self.lane, published or Tail(position, known.event_id), known)
        self.position = self._seen = position
        # What was ended just now can have been left open once more.
        self._has_looked = False
        self._found.set()
        self._moved.set()

    async def _publish(self, producers: Sequence[AIOKafkaProducer]) -> None:
        # Those over which the last commits were answered.
        used: list[AIOKafkaConnection] = []
        turns = cycle(producers)
        while True:
            entries = await self._next_entries()
            if not entries:
                await self._sleep()
                continue
            strings = await self._order_strings(entries)
            if not all(connection.connected() for connection in used):
                # A broker that went away may have left open what it had answered (see `end_hanging`), and should
                # the same producer's next transaction be aborted, that would be, too. So all is begun anew.
                raise KafkaConnectionError("a broker has closed its connection since the last commit")
            await within(self._transaction(next(turns), entries, strings), 2 * PRODUCE_TIMEOUT_S)
            used = [connection for producer in producers for connection in connections(producer)]
            self._seen, self._has_looked = self.position, False
            self.position = entries[-1].lane_seq
            self._moved.set()
            PUBLISHED.labels(self.lane).inc(len(entries))

    async def _sleep(self) -> None:
        """Until there is something to publish. Looks once, some time after the last, whether it can be read."""
        self._wake.clear()
        if self._backlog:
            return
        try:
            async with asyncio.timeout(None if self._has_looked else LOOK_AFTER_S):
                await self._wake.wait()
        except TimeoutError:
            await self.look()

    async def look(self) -> None:
        """Looks whether what was published last can be read, while nothing is being published.

        A transaction that a broker has left open (see `end_hanging`) is ended by the same producer's next one;
        where none follows, whoever reads would wait for ever. Raises OpenTransactionError.
        """
        if not self._has_looked:
            await check_closed(self.broker, self.lane)
            self._seen, self._has_looked = self.position, True
            # No commit may come that takes it along; and when the topic's retention has emptied it, the row is all
            # that tells how far the lane was published.
            await lane_rows.mark_published(self.database, self.lane, self.epoch, self._seen)

    async def _next_entries(self) -> list[Published]:
        entries = self._backlog.after(self.position)
        if entries or self.position >= self._committed:
            return entries
        return await self._backlog.from_journal(self.position)

    async def _order_strings(self, entries: Sequence[Published]) -> list[Outgoing]:
        issued = [(entry.order, entry) for entry in entries if entry.order is not None]
        if not issued:
            return []
        # In a thread: RSA-2048 takes most of a millisecond a signature, and releases the interpreter's lock.
        return await asyncio.to_thread(
            lambda: [record for order, entry in issued for record in self._order_string(order, entry)]
        )

    def _order_string(self, order: Order, entry: Published) -> list[Outgoing]:
        adapter = self.adapters.get(order.profile)
        # The terms were checked when the order came; where it fails now, the profile has changed since, and
        # the order will expire.
        if adapter is None:
            log.error("order_string_without_profile", order_id=order.order_id, profile=order.profile)
            return []
        try:
            text = adapter.order_string(order)
        except BuilderRefusedError as error:
            log.error("order_string_refused", lane=self.lane, order_id=order.order_id, error=str(error))
            return []
        assert order.issued_at is not None
        record = {
            "order_id": order.order_id,
            "version": entry.version,
            "profile": order.profile,
            "order_str": text,
            "issued_at": rfc3339(order.issued_at),
            "expires_at": rfc3339(order.issued_at + timedelta(seconds=order.pay_window_s)),
        }
        trace = [header for header in entry.headers if header[0] == "traceparent"]
        return [(order.order_id.encode(), orjson.dumps(record), trace)]

    async def _transaction(
        self, producer: AIOKafkaProducer, entries: Sequence[Published], strings: Sequence[Outgoing]
    ) -> None:
        await producer.begin_transaction()
        events = [(entry.order_id.encode(), entry.value, entry.headers) for entry in entries]
        sent = await self._send(producer, Topic.STATE_EVENTS, events)
        sent += await self._send(producer, Topic.ORDER_STRINGS, strings)
        # A produce that failed does not fail the commit unless its future is awaited.
        for future in sent:
            await future
        await producer.commit_transaction()

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, records: Sequence[Outgoing]
    ) -> list[asyncio.Future[object]]:
        """Hands whole batches over: that costs a fifth of handing over single records."""
        futures: list[asyncio.Future[object]] = []
        batch = None
        for key, value, record_headers in records:
            if batch is not None and (
                batch.size() + len(value) > MAX_BATCH_BYTES // 2
                or batch.append(key=key, value=value, timestamp=None, headers=record_headers) is None
            ):
                futures.append(await producer.send_batch(batch, topic, partition=self.lane))
                batch = None
            elif batch is not None:
                continue
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None, headers=record_headers)
        if batch is not None:
            futures.append(await producer.send_batch(batch, topic, partition=self.lane))
        return futures
