"""What the simulated Postgres, broker and wallet have in common: requests travel, are done, and are answered.

Between any two of these the process may die, the answer may be lost, or the server may go away. What has been
sent is done even if nobody waits for it any more, and perhaps much later: nobody can take it back.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.simulation.faults import Faults
from tests.simulation.loop import RUNNING, Process, SimulatedLoop

T = TypeVar("T")
# One way between a process and a server, seconds.
WAY_S = (0.0002, 0.004)
# How long a client waits before it says that no answer came; the servers' own limits are of this order.
PATIENCE_S = 20.0
WORLD = Context()
LEASE_TTL_S = 6.0


@dataclass
class Troubles:
    """What may happen to processes while they wait; shared by all servers of a world."""

    loop: SimulatedLoop
    faults: Faults
    on_crash: Callable[[Process], None]
    is_over: bool = False

    def strike(self) -> None:
        """Asked with every request: the process that made it may end or be stopped while it is under way."""
        process = RUNNING.get()
        if process is None:
            return
        if self.faults.happens("crash"):
            after_s = self.faults.between("crash", 0, 0.012)
            self.loop.call_later(after_s, self.on_crash, process, context=WORLD)
        elif not process.is_stopped and self.faults.happens("stall"):
            process.is_stopped = True
            # Most are shorter than a lease; some are as long as it takes another to have just begun with the lane.
            dice = self.faults.dice("stall")
            after_s = dice.uniform(0.05, 3) ** 2.5 if dice.random() < 0.6 else LEASE_TTL_S + dice.uniform(-0.5, 3)
            self.loop.call_later(after_s, self.loop.go_on, process, context=WORLD)


@dataclass
class Server:
    """A server that can be away. `gone` makes the error with which a client notices."""

    name: str
    troubles: Troubles
    gone: Callable[[], Exception]
    is_down: bool = False
    # Counts restarts: what was under way during one is not done.
    life: int = 0
    _way: Any = field(init=False)

    def __post_init__(self) -> None:
        self._way = self.troubles.faults.dice(f"{self.name} ways").uniform

    def go_down(self) -> None:
        self.is_down = True
        self.life += 1

    def come_up(self) -> None:
        self.is_down = False

    def ask(self, effect: Callable[[], T], what: str) -> asyncio.Future[T]:
        """Sends a request: `effect` is what it does at the server. `what` names its faults."""
        troubles, loop = self.troubles, self.troubles.loop
        answer: asyncio.Future[T] = loop.create_future()
        if troubles.is_over:
            _fail(answer, self.gone())
            return answer
        troubles.strike()
        faults = troubles.faults
        there_s, is_heard = self._way(*WAY_S), True
        if faults.happens(f"{what}_refused"):
            loop.call_later(there_s, _fail, answer, self.gone(), context=WORLD)
            return answer
        if faults.happens(f"{what}_orphaned"):
            # The connection breaks at once, and what was sent is done all the same, some time.
            loop.call_later(there_s, _fail, answer, self.gone(), context=WORLD)
            there_s, is_heard = faults.between(f"{what}_orphaned", 0.02, 2.3) ** 2.5, False
        elif faults.happens(f"{what}_answer_lost"):
            is_heard = False
        elif faults.happens(f"{what}_late"):
            there_s = faults.between(f"{what}_late", 0.02, 4.0) ** 2.5
            if there_s > PATIENCE_S:
                loop.call_later(PATIENCE_S, _fail, answer, TimeoutError(), context=WORLD)
        loop.call_later(there_s, self._do, effect, answer, self.life, is_heard, what, context=WORLD)
        return answer

    def _do(self, effect: Callable[[], T], answer: asyncio.Future[T], life: int, is_heard: bool, what: str) -> None:
        if self.is_down or life != self.life:
            _fail(answer, self.gone())
            return
        loop, faults = self.troubles.loop, self.troubles.faults
        back_s = self._way(*WAY_S)
        if is_heard and faults.happens(f"{what}_answer_late"):
            # It is old when it comes: meanwhile, the server has gone on.
            back_s = faults.between(f"{what}_answer_late", 0.02, 3.3) ** 2.5
            if back_s > PATIENCE_S:
                loop.call_later(PATIENCE_S, _fail, answer, TimeoutError(), context=WORLD)
        try:
            done = effect()
        except Exception as error:  # noqa: BLE001 - the server's refusal, for the client
            if is_heard:
                loop.call_later(back_s, _fail, answer, error, context=WORLD)
                return
            done = None
        if is_heard:
            loop.call_later(back_s, _tell, answer, done, context=WORLD)
        else:
            # Mostly the connection breaks; sometimes there is just silence.
            dice = self.troubles.faults.dice(f"{what}_answer_lost")
            after_s, error = (back_s, self.gone()) if dice.random() < 0.8 else (PATIENCE_S, TimeoutError())
            loop.call_later(after_s, _fail, answer, error, context=WORLD)


def _tell(answer: asyncio.Future[Any], done: object) -> None:
    if not answer.done():
        answer.set_result(done)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        # Looked at: whoever asked may be dead.
        answer.exception()
