"""One lane while this process owns it: worker, relay, dispatcher and reconciler, started and ended together.

A doubt (a commit without an answer, a lost connection, a bug) ends all of them; the session then takes the
lane again, under a new epoch, for which whatever is still on its way to Postgres comes too late, and begins anew
with nothing remembered, until the lane is drained, fenced or halted.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import asyncpg
import structlog

from service.clock import DatabaseClock
from service.dispatch.dispatcher import Dispatcher
from service.dispatch.reconciler import Reconciler
from service.kafka import clients
from service.lanes.batch import LanePosition, Published, Started
from service.lanes.errors import LaneHaltedError
from service.lanes.fingerprints import places
from service.lanes.lane_queue import LaneQueue
from service.lanes.ports import Ports
from service.lanes.worker import LaneWorker
from service.relay import Relay
from service.store import connection as store_connection
from service.store import lanes as lane_rows
from service.store import operations as operation_rows
from service.store.lanes import LaneFencedError, LaneMovedError, LaneRow
from statemachine.inputs import Input
from statemachine.order import Order

log = structlog.get_logger()

RETRY_S = 0.5
# A lane that fails this often in a row, each time without a commit, and not for want of a server, is stopped.
MAX_FAILURES = 20
# How long a handover waits for the relay before it leaves the rest to the next owner.
FLUSH_S = 5.0
# And for a look at whether that can be read.
LOOK_S = 1.0
WAITS = (*store_connection.UNAVAILABLE, *clients.UNAVAILABLE, LaneMovedError)


@dataclass(frozen=True, slots=True)
class _Publishing:
    """A relay, and what it runs in."""

    relay: Relay
    task: asyncio.Task[None]


@dataclass(slots=True)
class LaneSession:
    """Keeps one lane going. `row` is the lane as it was claimed."""

    row: LaneRow
    ports: Ports
    on_end: Callable[[int], None]
    _worker: LaneWorker | None = None
    _draining: bool = False
    _lost: bool = False
    _released: bool = False
    _task: asyncio.Task[None] | None = field(default=None)

    def start(self) -> None:
        """Begins, in the background."""
        self._task = asyncio.create_task(self._keep())
        self._task.add_done_callback(lambda _: self.on_end(self.row.lane))

    def lose(self) -> None:
        """The lane belongs to somebody else: stop at once, hand nothing over."""
        # Once: a second cancellation would cut short what the first one ends in order.
        if self._task is None or self._lost or not self._task.cancel():
            return
        self._lost = True
        log.info("lane_fenced", lane=self.row.lane, reason="the lease ran out, and the lane was taken")

    async def hand_over(self) -> None:
        """Drains the lane, publishes what is committed, and frees it for the next owner."""
        self._draining = True
        if self._worker is not None:
            self._worker.drain()
        elif self._task is not None:
            # It is opening, or waiting for a server: there is nothing to drain.
            self._task.cancel()
        if self._task is not None:
            await asyncio.wait({self._task})
        if not self._released:
            # However it ended: under another epoch, or halted, the lane is left as it is.
            with contextlib.suppress(*store_connection.UNAVAILABLE):
                await lane_rows.release(self.ports.database, self.row.lane, self.row.epoch, self.row.published_seq)

    async def _keep(self) -> None:
        failures = 0
        while True:
            # For the log of all that begins below: tasks copy it, and so it is that of whoever started them.
            structlog.contextvars.bind_contextvars(lane=self.row.lane, epoch=self.row.epoch)
            before = self.row.lane_seq, self.row.next_offsets
            try:
                await self._once()
            except LaneFencedError as error:
                log.info("lane_fenced", reason=str(error))
                return
            except LaneHaltedError as error:
                await self._halt(error)
                return
            except WAITS as error:
                log.warning("lane_waits", error=repr(error))
            except Exception as error:
                # The top of the loop: a bug of ours. The lane begins anew, and stops if that does not help.
                failures += 1
                log.exception("lane_failed", failures=failures)
                if failures >= MAX_FAILURES:
                    reason = f"failed {failures} times in a row without a commit: {error!r}"
                    await self._halt(LaneHaltedError(reason))
                    return
            if self._draining or not await self._take_again():
                return
            if (self.row.lane_seq, self.row.next_offsets) != before:
                failures = 0

    async def _take_again(self) -> bool:
        """After a doubt: the lane under a new epoch, once there is a database. False when it is another's."""
        while True:
            await asyncio.sleep(RETRY_S)
            try:
                self.row = await lane_rows.take_again(self.ports.database, self.row.lane, self.row.epoch)
            except LaneFencedError as error:
                log.info("lane_fenced", reason=str(error))
                return False
            except store_connection.UNAVAILABLE as error:
                log.warning("postgres_unavailable", doing="taking the lane again", error=repr(error))
            else:
                return True

    async def _once(self) -> None:
        """Opens the lane and works until it is drained or something fails."""
        ports, row = self.ports, self.row
        relay = Relay(
            row.lane,
            ports.broker,
            ports.database,
            ports.adapters,
            row.published_seq,
            ports.transactional_prefix,
            row.epoch,
        )
        publishing = _Publishing(relay, asyncio.create_task(relay.run()))
        try:
            await self._go_on(publishing, await self._offsets(publishing))
        finally:
            await _end(publishing.task)

    async def _offsets(self, publishing: _Publishing) -> list[int]:
        """Where the lane reads on, once all that it has ever published is known to be in the journal."""
        ports, row = self.ports, self.row
        found = await places(ports.broker, row)
        for place in found:
            if place.why_not is not None:
                raise LaneHaltedError(place.why_not, "rebase")
        offsets = [place.position for place in found]
        if row.next_offsets is None:
            await lane_rows.begin_at(ports.database, row.lane, row.epoch, offsets)
        knowing = asyncio.create_task(publishing.relay.found())
        try:
            await _first_of(publishing.task, knowing)
        finally:
            knowing.cancel()
        return offsets

    async def _go_on(self, publishing: _Publishing, offsets: list[int]) -> None:
        ports, row = self.ports, self.row
        connection = await ports.database.connect()
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def lose(why: Exception) -> None:
            # A position: whether records were deleted or lost, or a broker has only not loaded them yet, the topics
            # are looked at again, and halt the lane with the reason.
            if not lost.done():
                lost.set_exception(why)

        queue = ports.intake.open(row.lane, offsets, lose)
        try:
            told = await connection.fetchval("select clock_timestamp()")
            await self._work(connection, queue, DatabaseClock(told), publishing, lost)
        finally:
            self._worker = None
            ports.intake.close(queue)
            lost.cancel()
            connection.terminate()

    async def _work(
        self,
        connection: asyncpg.Connection,
        queue: LaneQueue,
        clock: DatabaseClock,
        publishing: _Publishing,
        lost: asyncio.Future[None],
    ) -> None:
        ports, row, relay = self.ports, self.row, publishing.relay

        def submit(
            order_id: str, given: Input, cause_type: str, traceparent: str | None
        ) -> asyncio.Future[Order | None]:
            return worker.submit(order_id, given, cause_type, traceparent)

        dispatcher = Dispatcher(
            row.lane, ports.adapters, ports.carrier, submit, clock, ports.ids, ports.retry_schedule
        )
        reconciler = Reconciler(ports.adapters, ports.carrier, submit, clock)

        def committed(published: list[Published], started: Started) -> None:
            relay.offer(published)
            for order, operation, traceparent in started.operations.values():
                dispatcher.start(order, operation, traceparent)
            for order, traceparent in started.queries.values():
                reconciler.ask(order, traceparent)

        worker = LaneWorker(
            position=LanePosition(row.lane, row.epoch, row.lane_seq, list(queue.opened_at), row.fingerprints),
            connection=connection,
            queue=queue,
            inbox=ports.inbox,
            clock=clock,
            ids=ports.ids,
            policy=ports.policy,
            lanes=ports.lanes,
            forward=ports.forward,
            on_committed=committed,
            published_seq=relay.published_seq,
        )
        for order in await operation_rows.live(connection, row.lane):
            assert order.operation is not None
            dispatcher.start(order, order.operation)
        self._worker = worker
        if self._draining:
            worker.drain()
        working = asyncio.create_task(worker.run())
        try:
            await _first_of(publishing.task, working, lost)
            await self._release(publishing)
        finally:
            await _end(working)
            await dispatcher.stop()
            await reconciler.stop()

    async def _release(self, publishing: _Publishing) -> None:
        """After draining: what is committed is published, then the lane is free."""
        relay, relaying = publishing.relay, publishing.task
        flushed = asyncio.create_task(relay.flushed())
        await asyncio.wait({flushed, relaying}, timeout=FLUSH_S, return_when=asyncio.FIRST_COMPLETED)
        if flushed.done():
            # For the mark that the lane is left with. The next owner looks anyway.
            with contextlib.suppress(*clients.UNAVAILABLE):
                async with asyncio.timeout(LOOK_S):
                    await relay.look()
        flushed.cancel()
        await _end(relaying)
        await lane_rows.release(self.ports.database, self.row.lane, self.row.epoch, relay.published_seq())
        self._released = True
        log.info("lane_released", epoch=self.row.epoch)

    async def _halt(self, error: LaneHaltedError) -> None:
        reason = f"{error}. When that is understood: paystate {error.remedy} {self.row.lane}"
        log.error("lane_halted", lane=self.row.lane, epoch=self.row.epoch, reason=reason)
        with contextlib.suppress(*store_connection.UNAVAILABLE):
            await lane_rows.halt(self.ports.database, self.row.lane, self.row.epoch, reason)


async def _first_of(*awaited: asyncio.Future[None]) -> None:
    """Returns when one of them has ended; raises what any of them has failed with."""
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    for each in awaited:
        if each.done():
            each.result()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
