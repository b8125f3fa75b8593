"""Throughput: a filled topic, a clock, and the moment at which a read_committed consumer sees the last event."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.vocabulary import Topic
from service.dev.child import Child
from service.kafka.access import KafkaAccess
from service.kafka.clients import consumer
from service.store.lanes import COUNTERS
from tests.bench.meter import Cpu
from tests.bench.workload import Signer, Workload
from tests.bench.world import ENGINE, FLOOR, NAIVE, World, partitions

# Orders with which a program is warmed up before it is stopped and its topics are filled.
WARM_ORDERS = 400
LOOK_EVERY_S = 0.05
# The output has not grown for this long: then it is counted.
QUIET_S = 1.5
LIMIT_S = 180.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A program, or several of one kind, and what they are given."""

    name: str
    commands: Sequence[list[str]]
    issue: bool = False
    is_engine: bool = False
    # The naive service would take minutes for the others' share.
    share: float = 1.0


CONTENDERS = (
    Contender("raw-copy floor", [FLOOR]),
    Contender("naive service", [NAIVE], share=0.1),
    Contender("paystate, 1 process", [ENGINE], is_engine=True),
    Contender("paystate, 2 processes", [ENGINE] * 2, is_engine=True),
    Contender("paystate, 1 process, signing", [ENGINE], is_engine=True, issue=True, share=0.5),
    Contender("paystate, 2 processes, signing", [ENGINE] * 2, is_engine=True, issue=True, share=0.5),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One run. `events` are input records; the CPU is that of the program, Postgres and the broker."""

    contender: Contender
    events: int
    state_events: int
    seconds: float
    cpu: Cpu
    dispositions: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Input records a second."""
        return self.events / self.seconds

    def cpu_us(self, seconds: float) -> float:
        """CPU microseconds an input record."""
        return seconds / self.events * 1e6


async def run(world: World, contender: Contender, signer: Signer, events: int) -> Result:
    """One contender on an empty database and empty topics. Raises TimeoutError when it does not finish."""
    orders = max(int(events * contender.share) // 2, 1)
    warm_orders = max(min(WARM_ORDERS, orders // 4), 1)
    signer.prepare(warm_orders + orders)
    warm = signer.workload(range(warm_orders), issue=contender.issue)
    workload = signer.workload(range(warm_orders, warm_orders + orders), issue=contender.issue)
    expected = workload.state_events if contender.is_engine else workload.events
    await world.fresh()
    with world.running(contender.commands) as children:
        if contender.is_engine:
            await world.shared_out(len(children))
        watch = Watch(world, children)
        await watch.begin()
        try:
            await world.fill(warm.records())
            await watch.until(warm.state_events if contender.is_engine else warm.events)
            await _fill_behind_their_backs(world, children, workload)
            began, cpu = time.perf_counter(), world.cpu(children)
            _signal(children, signal.SIGCONT)
            await watch.until(expected)
            result = Result(contender, workload.events, expected, watch.grew_at - began, watch.cpu_then.since(cpu))
        finally:
            _signal(children, signal.SIGCONT)
            await watch.end()
    if not contender.is_engine:
        return result
    counted = dict(zip(COUNTERS, await world.dispositions(), strict=True))
    return Result(contender, result.events, expected, result.seconds, result.cpu, counted)


async def _fill_behind_their_backs(world: World, children: Sequence[Child], workload: Workload) -> None:
    """Fills the topics while the programs, warm and connected, are stopped."""
    _signal(children, signal.SIGSTOP)
    await world.fill(workload.records())


def _signal(children: Sequence[Child], number: signal.Signals) -> None:
    for child in children:
        if child.returncode is None:
            os.kill(child.pid, number)


class Watch:
    """Looks at the ends of the output, as read_committed consumers see them; counts only when it is quiet."""

    def __init__(self, world: World, children: Sequence[Child]) -> None:
        self._world = world
        self._children = children
        self._partitions = partitions([Topic.STATE_EVENTS], world.lanes)
        self._reader = consumer(KafkaAccess(world.kafka.bootstrap))
        self.grew_at = 0.0
        self.cpu_then = world.cpu(children)

    async def begin(self) -> None:
        """What comes from now on is counted."""
        await self._reader.start()
        self._reader.assign(self._partitions)
        for at, end in (await self._reader.end_offsets(self._partitions)).items():
            self._reader.seek(at, end)

    async def end(self) -> None:
        """Stops looking."""
        await self._reader.stop()

    async def until(self, expected: int) -> None:
        """Returns when so many more are visible; `grew_at` says since when, `cpu_then` what it cost."""
        until, seen, last = time.monotonic() + LIMIT_S, 0, {}
        self.grew_at = time.perf_counter()
        while seen < expected:
            ends = await self._reader.end_offsets(self._partitions)
            now = time.perf_counter()
            if ends != last:
                last, self.grew_at, self.cpu_then = ends, now, self._world.cpu(self._children)
            elif now - self.grew_at > QUIET_S:
                seen += await self._count(ends)
            self._check(until, seen, expected)
            await asyncio.sleep(LOOK_EVERY_S)
        if seen > expected:
            raise AssertionError(f"{seen} state events came out, and {expected} were expected")

    async def _count(self, ends: dict) -> int:
        count = 0
        for at in self._partitions:
            while await self._reader.position(at) < ends[at]:
                count += len((await self._reader.getmany(at, timeout_ms=200)).get(at, ()))
        return count

    def _check(self, until: float, seen: int, expected: int) -> None:
        for child in self._children:
            if child.returncode is not None:
                raise ChildProcessError(f"a program ended with {child.returncode}:\n{child.log_tail()}")
        if time.monotonic() > until:
            tails = "\n".join(child.log_tail() for child in self._children)
            raise TimeoutError(f"{seen} of {expected} state events after {LIMIT_S:.0f} s:\n{tails}")
