"""An event loop whose time is simulated, and processes on it that can be killed or stopped between any two steps.

Nothing waits: when nothing is ready, time jumps to the next timer. Threads run inline. What a process is made
of is said by a context variable, which every task and callback inherits: a dead process's callbacks are never
run again, a stopped one's are run when it goes on. That is SIGKILL and SIGSTOP, at any await.
"""

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

# A world that does as much at one moment goes round in circles.
MAX_STEPS_AT_A_MOMENT = 20_000
# A life takes some ten thousand rounds.
MAX_STEPS = 500_000


class StuckError(AssertionError):
    """The world is busy without any time passing, or has nothing left to wait for."""


@dataclass(eq=False)
class Process:
    """What is killed and stopped together. `deferred` is what it has not done since it was."""

    name: str
    is_dead: bool = False
    is_stopped: bool = False
    deferred: list[asyncio.Handle] = field(default_factory=list)


RUNNING: ContextVar[Process | None] = ContextVar("RUNNING", default=None)


@contextlib.contextmanager
def running_as(process: Process | None) -> Iterator[None]:
    """Everything begun in here belongs to the process; to the world itself, if None."""
    token = RUNNING.set(process)
    try:
        yield
    finally:
        RUNNING.reset(token)


class SimulatedLoop(asyncio.BaseEventLoop):
    """See above. `time` begins at 0."""

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_made = 0
        self._steps_at_a_moment = 0
        self._steps = 0
        # Every task, so that none is lost unfinished, and warns about it, while the world goes on.
        self.tasks: list[asyncio.Task[Any]] = []
        self._prune_at = 500
        self.failures: list[str] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._take_failure)

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        """One round: the timers that have come, then everything that was ready when it began."""
        self._pass_time()
        timers, ready = self._timers, self._ready
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process: Process | None = handle._context.get(RUNNING)
            if process is None or not (process.is_dead or process.is_stopped):
                handle._run()
            else:
                process.deferred.append(handle)

    def _pass_time(self) -> None:
        """To the next timer, when nothing is ready."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not self._ready and not self._stopping:
            if not timers:
                raise StuckError("nothing is left to wait for")
            if timers[0][0] > self._now:
                self._now = timers[0][0]
                self._steps_at_a_moment = 0
        self._steps_at_a_moment += 1
        self._steps += 1
        if self._steps > MAX_STEPS or self._steps_at_a_moment > MAX_STEPS_AT_A_MOMENT:
            raise StuckError(f"the world is busier than any should be, at {self._now:.3f} s")

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        # Those of one moment in the order in which they were made.
        self._timers_made += 1
        heapq.heappush(self._timers, (when, self._timers_made, timer))
        return timer

    def kill(self, process: Process) -> None:
        """Ends a process: nothing of it happens any more, until the world is taken down."""
        process.is_dead = True

    def go_on(self, process: Process) -> None:
        """Lets a stopped process go on, with everything that has come up meanwhile; a dead one never does."""
        process.is_stopped = False
        if process.is_dead:
            return
        deferred, process.deferred = process.deferred, []
        self._ready.extend(deferred)

    def run_in_executor(self, _executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            done.set_exception(error)
        return done

    def add_signal_handler(self, _sig: int, _callback: Callable[..., object], *_args: Any) -> None:
        """No signals here: processes are killed by name."""

    def remove_signal_handler(self, _sig: int) -> bool:
        return True

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def _process_events(self, _events: list[Any]) -> None:
        """There are none."""

    def _make_task(self, _loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, **options)
        if len(self.tasks) >= self._prune_at:
            self.tasks = [each for each in self.tasks if not each.done()]
            self._prune_at = 2 * len(self.tasks) + 500
        self.tasks.append(task)
        return task

    def _take_failure(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(f"{context['message']}: {context.get('exception')!r}")
