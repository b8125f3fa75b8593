"""What is done to the world, one function a fault. Each answers how long recovery took, each time.

Recovery of an engine's fault is the time from the fault to the moment at which every lane of the victim has a
commit of its new owner; that of an outage is counted from the return of the server.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from service.dev.child import ServerFailedError
from tests.faults.load import Load
from tests.faults.watch import LaneNow
from tests.faults.world import Engine, World, until

RECOVERY_S = 60.0
OUTAGE_S = 30.0
# The handover's limit, and what is left to close.
ENDED_WITHIN_S = 25.0


@dataclass(slots=True)
class Breaking:
    """One fault run: what is broken, how often, and chance."""

    world: World
    load: Load
    rng: random.Random
    times: int
    outage_s: float = OUTAGE_S
    _round: int = 0

    def rounds(self) -> Iterator[int]:
        """One round a fault; each lets half of its part of the orders begin, and `go_on` the other half."""
        for number in range(self.times):
            self.load.allow((number + 0.5) / self.times)
            self._round = number
            yield number

    def go_on(self) -> None:
        """The fault has happened: there is load after it, too, on every lane."""
        self.load.allow((self._round + 1) / self.times)

    def some_time(self, least_s: float = 0.3, most_s: float = 2.5) -> None:
        time.sleep(self.rng.uniform(least_s, most_s))

    def lanes_of(self, engine: Engine) -> dict[int, LaneNow]:
        return {lane: now for lane, now in self.load.watch.lanes.items() if engine.owns(now.owner)}

    def settled(self, *engines: Engine) -> None:
        """Waits until these engines own all lanes between them, each some."""

        def shared() -> bool:
            lanes = self.load.watch.lanes
            owned = [self.lanes_of(engine) for engine in engines]
            return bool(lanes) and all(owned) and sum(map(len, owned)) == len(lanes)

        until(shared, RECOVERY_S, f"{len(engines)} engines share all lanes")

    def recovery_s(self, before: dict[int, LaneNow], since: float) -> float:
        """How long after `since` each of these lanes had a commit of a new owner."""
        assert before, "the victim owned nothing"
        until(lambda: self.load.watch.recovered_at(before) is not None, RECOVERY_S, "the lanes have a new owner")
        recovered_at = self.load.watch.recovered_at(before)
        assert recovered_at is not None
        self.published_again()
        return recovered_at - since

    def overtaken_s(
        self, victim: Engine, go: Callable[[], object], come_back: Callable[[], object], longest_s: float
    ) -> float:
        """How long until another has the lanes of a victim that is gone past its lease.

        It comes back at most `longest_s` after that, and what it was about to do is too late: each of its lanes has
        to say that it is fenced.
        """
        self.some_time()
        fenced = len(victim.said("lane_fenced"))
        before = self.lanes_of(victim)
        go()
        since = time.monotonic()
        self.go_on()
        try:
            recovery_s = self.recovery_s(before, since)
            self.some_time(0.5, longest_s)
        finally:
            come_back()
        victim.must_say("lane_fenced", fenced + len(before), RECOVERY_S)
        return recovery_s

    def published_again(self) -> None:
        """Waits until consumers see something new: the next fault is to find the relay at work, too."""
        seen = len(self.load.seen)
        if self.load.ended < self.load.begun:
            until(lambda: len(self.load.seen) > seen or self.load.ended == self.load.begun, RECOVERY_S, "news")

    def reading_again_s(self, before: dict[int, LaneNow], since: float) -> float:
        """How long after `since` every lane has read new records."""
        until(lambda: self.load.watch.all_read_on_since(before), RECOVERY_S, "every lane reads on")
        return time.monotonic() - since


def engine_killed(breaking: Breaking) -> list[float]:
    """SIGKILL at any moment; another engine is started at once."""
    engine = breaking.world.start_engine()
    recoveries = []
    for _ in breaking.rounds():
        breaking.settled(engine)
        breaking.some_time()
        before = breaking.lanes_of(engine)
        engine.child.kill()
        since = time.monotonic()
        breaking.go_on()
        engine = breaking.world.start_engine(wait=False)
        recoveries.append(breaking.recovery_s(before, since))
    return recoveries


def engine_frozen(breaking: Breaking) -> list[float]:
    """SIGSTOP past the lease; the second engine takes over; then the frozen one wakes, and is too late."""
    engines = [breaking.world.start_engine(), breaking.world.start_engine()]
    recoveries = []
    for number in breaking.rounds():
        breaking.settled(*engines)
        victim = engines[number % 2]
        go, come_back = partial(victim.signal, signal.SIGSTOP), partial(victim.signal, signal.SIGCONT)
        # Past the transactions' timeout now and then, too: then the broker has ended them by itself.
        recoveries.append(breaking.overtaken_s(victim, go, come_back, 6.0))
    breaking.settled(*engines)
    return recoveries


def rolling_restart(breaking: Breaking) -> list[float]:
    """SIGTERM and a new one, each of two engines in turn; nobody waits for a lease."""
    engines = [breaking.world.start_engine(), breaking.world.start_engine()]
    recoveries = []
    for number in breaking.rounds():
        breaking.settled(*engines)
        breaking.some_time()
        before = breaking.lanes_of(engines[number % 2])
        since = time.monotonic()
        breaking.go_on()
        code = engines[number % 2].end()
        assert code == 0, f"an engine that was told to end ended with {code}"
        recoveries.append(breaking.recovery_s(before, since))
        engines[number % 2] = breaking.world.start_engine()
    breaking.settled(*engines)
    return recoveries


@dataclass(frozen=True, slots=True)
class Outage:
    """A way for a server to be gone, the way back, and one of the things that an engine says meanwhile.

    Where lanes read on all along, `answered_at` says when (time.monotonic) the server was last heard of.
    """

    go: Callable[[], object]
    come_back: Callable[[], object]
    says: tuple[str, ...]
    answered_at: Callable[[], float] | None = None


def _postgres(world: World, go: Callable[[], object]) -> Outage:
    return Outage(go, world.postgres.start, ("lane_waits", "postgres_unavailable"))


def _broker(world: World, go: Callable[[], object]) -> Outage:
    return Outage(go, world.broker.start, ("kafka_unavailable", "relay_waits", "lane_waits"))


def _broker_frozen(world: World) -> Outage:
    """It takes connections and answers nothing, as behind a network that drops everything."""

    def send(number: signal.Signals) -> Callable[[], None]:
        return lambda: os.kill(world.broker.pid, number)

    says = ("kafka_unavailable", "relay_waits", "lane_waits")
    return Outage(send(signal.SIGSTOP), send(signal.SIGCONT), says)


def postgres_away(breaking: Breaking) -> list[float]:
    """Postgres is stopped, and the next time killed; it comes back after the outage."""
    world = breaking.world
    return go_through(breaking, [_postgres(world, world.postgres.stop), _postgres(world, world.postgres.kill)])


def postgres_killed(breaking: Breaking) -> list[float]:
    """SIGKILL of the postmaster; it is started again at once."""
    breaking.outage_s = 0.0
    return go_through(breaking, [_postgres(breaking.world, breaking.world.postgres.kill)])


def broker_away(breaking: Breaking) -> list[float]:
    """The broker is stopped in order, and comes back after the outage. Not for one that keeps its log in memory."""
    return go_through(breaking, [_broker(breaking.world, breaking.world.broker.stop)])


def broker_frozen(breaking: Breaking) -> list[float]:
    """The broker is there and does not answer, and wakes after the outage."""
    return go_through(breaking, [_broker_frozen(breaking.world)])


def broker_killed(breaking: Breaking) -> list[float]:
    """SIGKILL of the broker; it is started again at once. Not for one that keeps its log in memory."""
    breaking.outage_s = 0.0
    return go_through(breaking, [_broker(breaking.world, breaking.world.broker.kill)])


def servers_away(breaking: Breaking) -> list[float]:
    """Postgres and the broker in turn."""
    world = breaking.world
    return go_through(breaking, [_postgres(world, world.postgres.kill), _broker_frozen(world)])


def go_through(breaking: Breaking, outages: list[Outage]) -> list[float]:
    """In turn; two engines must wait, say so, and go on by themselves."""
    engines = [breaking.world.start_engine(), breaking.world.start_engine()]
    recoveries = []
    for number in breaking.rounds():
        outage = outages[number % len(outages)]
        breaking.settled(*engines)
        breaking.some_time()
        said = [len(engine.said(*outage.says)) for engine in engines]
        outage.go()
        time.sleep(breaking.outage_s)
        before = dict(breaking.load.watch.lanes)
        breaking.go_on()
        outage.come_back()
        since = time.monotonic()
        if (answered_at := outage.answered_at) is not None:
            until(lambda: answered_at() > since, RECOVERY_S, "an answer")  # noqa: B023 - called at once
            recoveries.append(answered_at() - since)
        else:
            recoveries.append(breaking.reading_again_s(before, since))
        for engine, lines in zip(engines, said, strict=True):
            if engine.child.returncode is not None:
                raise ServerFailedError(
                    f"an engine ended with {engine.child.returncode}: {engine.child.log_tail()}"
                )
            if breaking.outage_s and len(engine.said(*outage.says)) == lines:
                raise ServerFailedError(f"{engine.log.stem} did not say that it waits")
    breaking.settled(*engines)
    return recoveries


def ended_in_outage(breaking: Breaking) -> list[float]:
    """SIGTERM while the engine can reach nobody: it ends all the same, and in order."""
    world = breaking.world
    outages = [_postgres(world, world.postgres.kill), _broker_frozen(world)]
    engine = world.start_engine()
    recoveries = []
    for number in breaking.rounds():
        outage = outages[number % len(outages)]
        breaking.settled(engine)
        breaking.some_time()
        outage.go()
        breaking.some_time(0.0, breaking.outage_s)
        code = engine.end(ENDED_WITHIN_S)
        outage.come_back()
        if code != 0:
            raise ServerFailedError(f"an engine that was told to end ended with {code}: {engine.child.log_tail()}")
        since = time.monotonic()
        before = dict(breaking.load.watch.lanes)
        breaking.go_on()
        engine = world.start_engine(wait=False)
        recoveries.append(breaking.recovery_s(before, since))
    breaking.settled(engine)
    return recoveries
