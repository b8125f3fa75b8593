"""The dispatcher: carries out a lane's operations after their commit, until each has ended with evidence.

Before every call the attempt is committed; so an operation without attempts has certainly not been sent, and
one with attempts may have been: it is asked about first, and sent again only under its own request number,
when the wallet says that it never arrived. Replies go back into the lane like any other input.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from schemas.vocabulary import OperationKind, Outcome
from service.clock import Clock, Ids
from service.dispatch.carrier import Carrier
from service.lanes.errors import LaneGoneError
from service.wallets.adapter import BuilderRefusedError, WalletAdapter
from statemachine.inputs import Input, OperationAttempted, OperationGivenUp, Trade, WalletEvidence
from statemachine.order import Operation, Order

log = structlog.get_logger()

Submit = Callable[[str, Input, str, str | None], Awaitable[Order | None]]


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Waits between tries double from the first to the longest; after `tries` a person has to look.

    The defaults take about six minutes. An operation under review is still asked about, ever `review_every_s`.
    """

    first_s: float = 0.5
    longest_s: float = 60.0
    tries: int = 12
    review_every_s: float = 600.0

    def wait_s(self, tries: int, jitter: float) -> float:
        """How long to wait after so many tries; `jitter` (0 to 1) spreads them by a quarter."""
        if tries >= self.tries:
            return self.review_every_s
        return float(min(self.longest_s, self.first_s * 2 ** (tries - 1)) * (1 - jitter / 4))


@dataclass(slots=True)
class Dispatcher:
    """Drives the live operations of one lane."""

    lane: int
    adapters: Mapping[str, WalletAdapter]
    carrier: Carrier
    submit: Submit
    clock: Clock
    ids: Ids
    schedule: RetrySchedule
    _driven: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self, order: Order, operation: Operation, traceparent: str | None = None) -> None:
        """Begins to drive an operation, unless it is being driven or has ended."""
        if operation.id in self._driven or not _is_live(order, operation):
            return
        task = asyncio.create_task(self._drive(order, operation, traceparent))
        self._driven[operation.id] = task
        task.add_done_callback(lambda _: self._driven.pop(operation.id, None))

    async def stop(self) -> None:
        """Lets go of everything: what was under way is unknown to the lane's next owner, who will ask."""
        tasks = list(self._driven.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, order: Order, operation: Operation, traceparent: str | None) -> None:
        while True:
            try:
                adapter = self.adapters.get(order.profile)
                if adapter is None:
                    raise BuilderRefusedError(f"no wallet profile is named {order.profile!r} any more")  # noqa: TRY301
                await _Drive(self, adapter, order, operation, traceparent).to_the_end()
            except LaneGoneError:
                # The lane has another owner or begins anew; whoever has it loads the operation from the table.
                return
            except BuilderRefusedError as error:
                # The call cannot even be made, with this configuration: a person has to look.
                log.error("operation_refused_by_builder", operation_id=operation.id, error=str(error))
                given_up = OperationGivenUp(self.clock.now(), operation.id)
                with contextlib.suppress(LaneGoneError):
                    await self.submit(order.order_id, given_up, "operation_given_up", traceparent)
                return
            except Exception:
                # The top of a loop that must not die: the operation stays live, and is taken up again later.
                log.exception("operation_not_driven", lane=self.lane, operation_id=operation.id)
                await asyncio.sleep(self.schedule.longest_s)
            else:
                return


@dataclass(slots=True)
class _Drive:
    """One operation's way to its end."""

    dispatcher: Dispatcher
    adapter: WalletAdapter
    order: Order
    operation: Operation
    traceparent: str | None
    tries: int = 0

    async def to_the_end(self) -> None:
        """Calls and asks in turn, ever more slowly, until the operation is no longer live."""
        may_have_been_sent = self.operation.attempts > 0
        while True:
            if await self._is_to_be_sent(asking_first=may_have_been_sent):
                may_have_been_sent = True
                await self._call()
            if not self._live:
                return
            self.tries += 1
            if self.tries == self.dispatcher.schedule.tries:
                await self._give_up()
                if not self._live:
                    return
            await asyncio.sleep(self._wait_s())

    @property
    def _live(self) -> bool:
        return _is_live(self.order, self.operation)

    async def _is_to_be_sent(self, *, asking_first: bool) -> bool:
        """Asks first where that is needed; True when the call has to be made (again)."""
        if self.operation.kind is OperationKind.RELEASE:
            # A wallet releases by itself, too: with a final capture, or when the authorization runs out.
            await self._ask(None)
            if not self._live:
                return False
        if not asking_first:
            return True
        evidence = await self._ask(self.operation)
        if not self._live:
            return False
        if self.operation.kind is OperationKind.CLOSE:
            return evidence.trade in (Trade.OPEN, Trade.MISSING)
        return evidence.trade is Trade.MISSING

    async def _ask(self, operation: Operation | None) -> WalletEvidence:
        evidence = await self.dispatcher.carrier.ask(self.adapter, self.order, operation, self.dispatcher.clock)
        if evidence.outcome is not Outcome.UNKNOWN:
            await self._report(evidence)
        return evidence

    async def _call(self) -> None:
        now = self.dispatcher.clock.now()
        await self._hand_in(OperationAttempted(now, self.operation.id), "operation_attempted")
        if not self._live:
            return
        evidence = await self.dispatcher.carrier.call(
            self.adapter, self.order, self.operation, self.dispatcher.clock
        )
        if self.adapter.blames_configuration(evidence.code):
            # The same again fails until a person has mended it: that person is called now, not after all tries.
            self.tries = max(self.tries, self.dispatcher.schedule.tries - 1)
        await self._report(evidence)

    async def _report(self, evidence: WalletEvidence) -> None:
        await self._hand_in(evidence, f"wallet_{evidence.source}")

    async def _give_up(self) -> None:
        deadline = self.order.pay_deadline
        now = self.dispatcher.clock.now()
        if self.operation.kind is OperationKind.CLOSE and deadline is not None and now <= deadline:
            # Until then "no such trade" is the expected answer and proves nothing: the buyer may still pay.
            self.tries -= 1
            return
        await self._hand_in(OperationGivenUp(now, self.operation.id), "operation_given_up")

    async def _hand_in(self, given: Input, cause_type: str) -> None:
        order = await self.dispatcher.submit(self.order.order_id, given, cause_type, self.traceparent)
        if order is not None:
            self.order = order

    def _wait_s(self) -> float:
        wait_s = self.dispatcher.schedule.wait_s(self.tries, self.dispatcher.ids.jitter())
        deadline = self.order.pay_deadline
        if self.operation.kind is OperationKind.CLOSE and deadline is not None:
            until_s = (deadline - self.dispatcher.clock.now()).total_seconds()
            if until_s > 0:
                return min(wait_s, until_s + self.dispatcher.schedule.first_s)
        return wait_s


def _is_live(order: Order, operation: Operation) -> bool:
    return order.operation is not None and order.operation.id == operation.id
