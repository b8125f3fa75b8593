"""What is done to the world, one function a fault. Each answers how long recovery took, each time.

Recovery of an engine's fault is the time from the fault to the moment at which every lane of the victim has a
commit of its new owner; that of an outage is counted from the return of the server.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from service.dev.child import ServerFailedError
from tests.faults.load import Load
from tests.faults.watch import LaneNow
from tests.faults.world import Engine, World, until

RECOVERY_S = 90.0
OUTAGE_S = 30.0


@dataclass(slots=True)
class Breaking:
    """One fault run: what is broken, how often, and chance."""

    world: World
    load: Load
    rng: random.Random
    times: int
    outage_s: float = OUTAGE_S

    def rounds(self) -> Iterator[int]:
        """One round a fault; each lets its part of the orders begin, so that there is load throughout."""
        for number in range(self.times):
            self.load.allow((number + 1) / self.times)
            yield number

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
        return recovered_at - since

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
        engine = breaking.world.start_engine(wait=False)
        recoveries.append(breaking.recovery_s(before, since))
    return recoveries


def engine_frozen(breaking: Breaking) -> list[float]:
    """SIGSTOP past the lease; the second engine takes over; then the frozen one wakes, and is too late."""
    engines = [breaking.world.start_engine(), breaking.world.start_engine()]
    recoveries = []
    for number in breaking.rounds():
        breaking.settled(*engines)
        breaking.some_time()
        victim = engines[number % 2]
        fenced = len(victim.said("lane_fenced"))
        before = breaking.lanes_of(victim)
        victim.signal(signal.SIGSTOP)
        since = time.monotonic()
        try:
            recoveries.append(breaking.recovery_s(before, since))
            # Past the transactions' timeout now and then, too: then the broker has ended them by itself.
            breaking.some_time(0.5, 6.0)
        finally:
            victim.signal(signal.SIGCONT)
        victim.must_say("lane_fenced", fenced + len(before), RECOVERY_S)
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
        code = engines[number % 2].end()
        assert code == 0, f"an engine that was told to end ended with {code}"
        recoveries.append(breaking.recovery_s(before, since))
        engines[number % 2] = breaking.world.start_engine()
    breaking.settled(*engines)
    return recoveries


def postgres_away(breaking: Breaking) -> list[float]:
    """Postgres is stopped, and the next time killed; it comes back after the outage."""
    postgres = breaking.world.postgres
    return _outages(
        breaking, [postgres.stop, postgres.kill], postgres.start, ("lane_waits", "postgres_unavailable")
    )


def postgres_killed(breaking: Breaking) -> list[float]:
    """SIGKILL of the postmaster; it is started again at once."""
    postgres = breaking.world.postgres
    breaking.outage_s = 0.0
    return _outages(breaking, [postgres.kill], postgres.start, ("lane_waits", "postgres_unavailable"))


def broker_away(breaking: Breaking) -> list[float]:
    """The broker is stopped in order, and comes back after the outage."""
    broker = breaking.world.broker
    return _outages(breaking, [broker.stop], broker.start, ("kafka_unavailable", "relay_waits", "lane_waits"))


def broker_frozen(breaking: Breaking) -> list[float]:
    """The broker takes connections and answers nothing, as behind a network that drops everything."""
    broker = breaking.world.broker

    def freeze(number: signal.Signals) -> Callable[[], None]:
        return lambda: breaking.world.signal_server(broker, number)

    return _outages(
        breaking,
        [freeze(signal.SIGSTOP)],
        freeze(signal.SIGCONT),
        ("kafka_unavailable", "relay_waits", "lane_waits"),
    )


def broker_killed(breaking: Breaking) -> list[float]:
    """SIGKILL of the broker; it is started again at once. Not for one that keeps its log in memory."""
    broker = breaking.world.broker
    breaking.outage_s = 0.0
    return _outages(breaking, [broker.kill], broker.start, ())


def _outages(
    breaking: Breaking,
    ways: list[Callable[[], None]],
    come_back: Callable[[], object],
    says: tuple[str, ...],
) -> list[float]:
    """The server goes in these ways in turn; two engines must wait, say so, and go on by themselves."""
    engines = [breaking.world.start_engine(), breaking.world.start_engine()]
    recoveries = []
    for number in breaking.rounds():
        breaking.settled(*engines)
        breaking.some_time()
        said = [len(engine.said(*says)) for engine in engines]
        before = dict(breaking.load.watch.lanes)
        ways[number % len(ways)]()
        time.sleep(breaking.outage_s)
        come_back()
        since = time.monotonic()
        recoveries.append(breaking.reading_again_s(before | dict(breaking.load.watch.lanes), since))
        for engine, lines in zip(engines, said, strict=True):
            if engine.child.returncode is not None:
                raise ServerFailedError(
                    f"an engine ended with {engine.child.returncode}: {engine.child.log_tail()}"
                )
            if says and len(engine.said(*says)) == lines:
                raise ServerFailedError(f"{engine.log.stem} did not say that it waits")
    breaking.settled(*engines)
    return recoveries
