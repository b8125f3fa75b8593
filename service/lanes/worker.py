"""The lane worker: open -> load -> decide -> commit, a batch at a time. One owner, one writer, no row locks.

Any exception around a commit means that nobody knows whether it was done. The worker then ends; its
supervisor closes the connection, reads the lane row again and starts a new one, with nothing remembered.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg
import structlog
from aiokafka import ConsumerRecord

from service.clock import DatabaseClock, Ids
from service.kafka.partition import lane_of
from service.lanes.batch import LaneBatch, LanePosition, Published, Started
from service.lanes.errors import LaneHaltedError
from service.lanes.inbox import Inbox, Opened
from service.lanes.lane_queue import LaneQueue
from service.lanes.units import Due, Inner, Stray, Unit
from service.observability import BATCHES, RECORDS, WAITED_FOR
from service.store import orders as order_rows
from service.store import parked as parked_rows
from service.store import timers as timer_rows
from service.store.commit import BatchRows, DataRefusedError, commit
from service.store.lanes import COUNTERS
from statemachine.decision import Policy
from statemachine.inputs import Input, OrderCreated, TimerFired
from statemachine.order import Order
from statemachine.timers import wake_at

log = structlog.get_logger()

# Large enough to make the round trip cheap per record, small enough to commit in some tens of milliseconds.
MAX_BATCH = 400
MAX_TIMERS_PER_BATCH = 200
# Records that are opened between two turns of the event loop: less than a millisecond.
OPENED_AT_ONCE = 8
# Orders that stay in memory: a few kilobytes each.
CACHE_ORDERS = 20_000
# A timer that did not move its order's next wake time must not spin.
TIMER_GUARD_S = 60


@dataclass(slots=True)
class LaneWorker:
    """Runs one lane for as long as it is owned. Built anew for each claim and after each doubt."""

    position: LanePosition
    connection: asyncpg.Connection
    queue: LaneQueue
    inbox: Inbox
    clock: DatabaseClock
    ids: Ids
    policy: Policy
    lanes: int
    forward: Callable[[ConsumerRecord, int], Awaitable[None]]
    on_committed: Callable[[list[Published], Started], None]
    published_seq: Callable[[], int]
    _cache: OrderedDict[str, Order] = field(default_factory=OrderedDict)
    _inner: list[Inner] = field(default_factory=list)
    _parked: dict[str, int] = field(default_factory=dict)
    _next_due: datetime | None = None
    _draining: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    # What the next batch takes, and that it has been taken.
    _opened: list[Opened] = field(default_factory=list)
    _taken: asyncio.Event = field(default_factory=asyncio.Event)

    def submit(
        self, order_id: str, given: Input, cause_type: str, traceparent: str | None = None
    ) -> asyncio.Future[Order | None]:
        """Hands in an input from inside; the future gets the order once it is committed."""
        done: asyncio.Future[Order | None] = asyncio.get_running_loop().create_future()
        self._inner.append(Inner(order_id, given, cause_type, traceparent, done))
        self._wake.set()
        return done

    def drain(self) -> None:
        """Asks the worker to end after the batch under way."""
        self._draining = True
        self._wake.set()

    async def run(self) -> None:
        """Works until drained. Raises whatever made it doubt, halt or lose the lane."""
        lane = self.position.lane
        self._parked = await parked_rows.counts(self.connection, lane)
        self._next_due = await timer_rows.earliest(self.connection, lane)
        opener = asyncio.create_task(self._open_ahead())
        opener.add_done_callback(lambda _: self._wake.set())
        # Not before nothing can fail any more that is outside of the try: the last one would stay for ever.
        WAITED_FOR.labels(lane).set(len(self._parked))
        try:
            while not self._draining:
                await self._sleep()
                if opener.done():
                    opener.result()
                await self._one_batch()
        finally:
            opener.cancel()
            WAITED_FOR.remove(lane)
            for inner in self._inner:
                inner.fail()

    async def _sleep(self) -> None:
        """Until there is work: opened records, an inner input, a timer, or the order to drain."""
        if self._inner or self._opened:
            return
        self._wake.clear()
        wait_s = None if self._next_due is None else (self._next_due - self.clock.now()).total_seconds()
        if wait_s is not None and wait_s <= 0:
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _open_ahead(self) -> None:
        """Parses and verifies the next batch while this one commits."""
        while True:
            await self.queue.ready.wait()
            while len(self._opened) >= MAX_BATCH:
                self._taken.clear()
                await self._taken.wait()
            opened = await self._open(self.queue.take(MAX_BATCH - len(self._opened)))
            self._opened += opened
            self._wake.set()

    async def _open(self, records: Sequence[ConsumerRecord]) -> list[Opened]:
        # Not in a thread, though RSA releases the interpreter's lock: the thread and the loop then wait up to 5 ms
        # for it in turn, which costs a quarter of the throughput.
        opened: list[Opened] = []
        for first in range(0, len(records), OPENED_AT_ONCE):
            if opened:
                await asyncio.sleep(0)
            opened += self.inbox.open_all(records[first : first + OPENED_AT_ONCE])
        return opened

    async def _one_batch(self) -> None:
        inner, self._inner = self._inner, []
        units: list[Unit] = [*inner]
        try:
            units += await self._due()
            if self._opened:
                opened, self._opened = self._opened, []
                self._taken.set()
                units += await self._send_strays_on(opened)
            if units:
                await self._process(units)
        finally:
            for one in inner:
                one.fail()

    async def _due(self) -> list[Due]:
        if self._next_due is None or self.clock.now() < self._next_due:
            return []
        order_ids, told = await timer_rows.due_orders(self.connection, self.position.lane, MAX_TIMERS_PER_BATCH)
        # What is due by Postgres's clock must be due by ours, or the batch would find nothing to do.
        self.clock.sync(told)
        if not order_ids:
            self._next_due = await timer_rows.earliest(self.connection, self.position.lane)
        return [Due(order_id) for order_id in order_ids]

    async def _send_strays_on(self, opened: list[Opened]) -> list[Unit]:
        units: list[Unit] = []
        for one in opened:
            if one.order_id and one.order_id not in self._cache:
                lane = lane_of(one.order_id, self.lanes)
                if lane != self.position.lane:
                    await self.forward(one.record, lane)
                    units.append(Stray(one.record))
                    continue
            units.append(one)
        return units

    async def _process(self, units: Sequence[Unit]) -> None:
        """Commits the units in one batch; where the database refuses the rows, in ever smaller ones."""
        try:
            await self._commit(units)
        except DataRefusedError as error:
            if len(units) > 1:
                middle = len(units) // 2
                await self._process(units[:middle])
                await self._process(units[middle:])
            elif isinstance(units[0], Opened):
                log.error("record_refused_by_database", lane=self.position.lane, error=str(error))
                units[0].dead = f"the database refuses what it leads to: {error}"
                await self._commit(units)
            else:
                raise LaneHaltedError(f"the database refuses what {units[0]!r} leads to: {error}") from error

    async def _commit(self, units: Sequence[Unit]) -> None:
        await self._load(units)
        batch = LaneBatch(
            self.position, self._cache, self._parked, now=self.clock.now(), ids=self.ids, policy=self.policy
        )
        answers = [await self._stage(batch, unit) for unit in units]
        rows = batch.finish()
        rows.published_seq = self.published_seq()
        started_at = asyncio.get_running_loop().time()
        told = await _uncancelled(commit(self.connection, rows))
        BATCHES.observe(asyncio.get_running_loop().time() - started_at)
        self.clock.sync(told)
        self._remember(batch, rows)
        self.on_committed(batch.published, batch.started)
        for unit, order in zip(units, answers, strict=True):
            if isinstance(unit, Inner) and not unit.done.done():
                unit.done.set_result(order)

    async def _stage(self, batch: LaneBatch, unit: Unit) -> Order | None:
        if isinstance(unit, Opened):
            batch.take(unit)
            if isinstance(unit.given, OrderCreated) and unit.dead is None and unit.order_id in self._parked:
                waited = await parked_rows.load(self.connection, self.position.lane, [unit.order_id])
                for opened in await self._open(waited):
                    batch.take_parked(opened)
        elif isinstance(unit, Inner):
            return batch.take_inner(unit.order_id, unit.given, unit.cause_type, unit.traceparent)
        elif isinstance(unit, Stray):
            batch.forwarded(unit.record)
        else:
            # By the moment of the batch: the clock goes on while it is being decided.
            order = batch.take_inner(unit.order_id, TimerFired(batch.now), "timer", None)
            wake = None if order is None else wake_at(order)
            if wake is not None and wake <= batch.now:
                log.error("timer_stuck", lane=self.position.lane, order_id=unit.order_id)
                wake = batch.now + timedelta(seconds=TIMER_GUARD_S)
            batch.rows.timers[unit.order_id] = wake
        return None

    async def _load(self, units: Sequence[Unit]) -> None:
        wanted = {unit.order_id for unit in units if not isinstance(unit, Stray) and unit.order_id}
        # Not `wanted.difference(cache)`: with an OrderedDict that walks through all of the cache.
        missing = [order_id for order_id in wanted if order_id not in self._cache]
        if missing:
            self._cache.update(await order_rows.load(self.connection, self.position.lane, missing))

    def _remember(self, batch: LaneBatch, rows: BatchRows) -> None:
        self.position = batch.position()
        self.queue.committed = list(self.position.offsets)
        batch.count_parked()
        WAITED_FOR.labels(rows.lane).set(len(self._parked))
        for order_id, order in rows.orders.items():
            self._cache[order_id] = order
            self._cache.move_to_end(order_id)
        while len(self._cache) > CACHE_ORDERS:
            self._cache.popitem(last=False)
        dues = [due for due in rows.timers.values() if due is not None]
        if self._next_due is not None:
            dues.append(self._next_due)
        # An overdue time stays until a look at the table finds nothing due: see _due.
        self._next_due = min(dues, default=None)
        for index, count in enumerate(rows.counted):
            if count:
                RECORDS.labels(rows.lane, COUNTERS[index]).inc(count)


async def _uncancelled(committing: Awaitable[datetime]) -> datetime:
    """Never cancels a commit: a cancelled one might have been done, and its lock might live on."""
    task = asyncio.ensure_future(committing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        # Looked at, so that nobody complains: whoever cancelled us begins anew from the lane row, or not at all.
        task.exception()
        raise
