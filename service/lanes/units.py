"""What a lane's batch is made of: records that were opened, and what comes from inside."""

import asyncio
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from service.lanes.errors import LaneGoneError
from service.lanes.inbox import Opened
from statemachine.inputs import Input
from statemachine.order import Order


@dataclass(slots=True)
class Inner:
    """An input from inside: what the dispatcher or the reconciler has learned. `done` gets the order."""

    order_id: str
    given: Input
    cause_type: str
    traceparent: str | None
    done: asyncio.Future[Order | None]

    def fail(self) -> None:
        """Raises LaneGoneError in whoever waits for it, unless it is done."""
        if not self.done.done():
            self.done.set_exception(LaneGoneError(self.order_id))
            # Nobody may be waiting for it any more; that is no error.
            self.done.exception()


@dataclass(frozen=True, slots=True)
class Due:
    """An order whose timer has come."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Stray:
    """A record of another lane, sent on to it before this lane's offset passes it."""

    record: ConsumerRecord


Unit = Opened | Inner | Due | Stray
