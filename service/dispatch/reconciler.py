"""The reconciler: asks the wallet about orders whose fate is not known, when the lifecycle says so."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from schemas.vocabulary import Outcome
from service.clock import Clock
from service.dispatch.carrier import Carrier
from service.dispatch.dispatcher import Submit
from service.lanes.errors import LaneGoneError
from service.wallets.adapter import WalletAdapter
from statemachine.order import Order

log = structlog.get_logger()


@dataclass(slots=True)
class Reconciler:
    """Asks about the orders of one lane, each at most once at a time.

    Whoever wants to know while a question is under way has it asked once more: the answer to the first may have
    been made before what they want to know about.
    """

    adapters: Mapping[str, WalletAdapter]
    carrier: Carrier
    submit: Submit
    clock: Clock
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _again: dict[str, tuple[Order, str | None]] = field(default_factory=dict)

    def ask(self, order: Order, traceparent: str | None = None) -> None:
        """Begins to ask about an order. A lost answer is no matter: the order's timer comes again."""
        if order.order_id in self._asking:
            self._again[order.order_id] = order, traceparent
            return
        task = asyncio.create_task(self._ask(order, traceparent))
        self._asking[order.order_id] = task
        task.add_done_callback(lambda _: self._asked(order.order_id))

    def _asked(self, order_id: str) -> None:
        del self._asking[order_id]
        again = self._again.pop(order_id, None)
        if again is not None:
            self.ask(*again)

    async def stop(self) -> None:
        """Lets go of all questions."""
        self._again.clear()
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, order: Order, traceparent: str | None) -> None:
        adapter = self.adapters.get(order.profile)
        if adapter is None:
            log.error("order_without_profile", order_id=order.order_id, profile=order.profile)
            return
        try:
            evidence = await self.carrier.ask(adapter, order, None, self.clock)
            if evidence.outcome is not Outcome.UNKNOWN:
                await self.submit(order.order_id, evidence, "wallet_query", traceparent)
        except LaneGoneError:
            return
        except Exception:
            # The top of a task that nobody awaits: the order's next timer asks again.
            log.exception("order_not_asked_about", order_id=order.order_id)
