"""`make simulate`: many seeds, each a world of its own, and the shortest story of the first that fails.

Run as `python -m tests.simulation.run --seeds 3000 --from 0`; with `--story`, one seed's whole story.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.simulation.coverage import WHOLE_RUN, Seen, missing
from tests.simulation.plan import Plan, plan_of
from tests.simulation.shrink import shortest
from tests.simulation.world import World

# Seeds that one process takes at a time.
CHUNK = 50
# Failing seeds that are named.
SHOWN = 10
# Of the processor; a world takes some hundredths. Whoever never gives way to the event loop would hang the run.
HANGS_AFTER_S = 20.0


class HangsError(KeyboardInterrupt):
    """A world that does not come to an end, and not even to its next moment.

    An interrupt, because asyncio lets those through: any other exception ends the task that hangs, and its session
    would take it for a bug of the lane's and begin anew.
    """


@dataclass
class Result:
    """What some seeds have seen, and how those failed that did: by seed, in one line."""

    seeds: int = 0
    seen: Seen = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Result") -> None:
        self.seeds += other.seeds
        self.seen += other.seen
        self.failed |= other.failed


def failure_of(plan: Plan, *, tells: bool = False) -> tuple[World, Exception | HangsError | None]:
    """Runs the plan's world; answers it, and what went wrong that may not."""
    world = World(plan, tells)
    try:
        with _patience():
            world.run()
    except (Exception, HangsError) as error:  # noqa: BLE001 - whatever it is, the seed fails
        return world, error
    return world, None


@contextmanager
def _patience() -> Iterator[None]:
    def lost(_: int, __: object) -> None:
        raise HangsError(f"nothing has come to an end in {HANGS_AFTER_S:.0f} s")

    before = signal.signal(signal.SIGVTALRM, lost)
    # Again each second: whoever hangs may catch the first one.
    signal.setitimer(signal.ITIMER_VIRTUAL, HANGS_AFTER_S, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run_seeds(seeds: Iterable[int]) -> Result:
    """Runs each seed's world."""
    result = Result()
    for seed in seeds:
        world, error = failure_of(plan_of(seed))
        result.seeds += 1
        result.seen += world.seen
        result.seen.update({("fault", kind): n for kind, n in world.faults.fired.items()})
        if error is not None:
            result.failed[seed] = _line(error)
    return result


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]


def _chunks(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, CHUNK):
        yield range(start, min(start + CHUNK, first + count))


def run(first: int, count: int, processes: int) -> Result:
    """Runs so many seeds in so many processes."""
    result = Result()
    with ProcessPoolExecutor(processes) as pool:
        for part in pool.map(run_seeds, _chunks(first, count)):
            result.add(part)
    return result


def figures(result: Result) -> Iterator[str]:
    """What a run amounts to, as Markdown: how much happened, and how often each fault."""
    entries = sum(n for each, n in result.seen.items() if each[0] == "entry")
    orders = sum(n for each, n in result.seen.items() if each[0] == "end")
    faults = {each[1]: n for each, n in result.seen.items() if each[0] == "fault"}
    yield f"{result.seeds:,} seeds, {orders:,} orders, {entries:,} state events, {sum(faults.values()):,} faults,"
    yield f"{len(result.failed)} violations."
    yield ""
    yield "| fault | times |"
    yield "| --- | ---: |"
    for kind, n in sorted(faults.items()):
        yield f"| `{kind}` | {n:,} |"


def tell_shortest(seed: int) -> None:
    """Prints the shortest story of a failing seed."""
    plan = shortest(plan_of(seed), lambda smaller: failure_of(smaller)[1])
    world, error = failure_of(plan, tells=True)
    faults = sorted(kind for kind in world.faults.fired if kind not in plan.without)
    print(f"\nthe shortest story of seed {seed} that still fails, with {faults}:")
    print("\n".join(world.story))
    print(error)


def main() -> int:
    """Answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=WHOLE_RUN)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--story", action="store_true", help="tell the story of the first seed, whatever it is")
    parser.add_argument("--figures", action="store_true", help="how often each fault came, as Markdown")
    given = parser.parse_args()
    if given.story:
        world, error = failure_of(plan_of(given.first), tells=True)
        print("\n".join(world.story))
        print(error or "the world came to rest")
        return int(error is not None)
    began = time.monotonic()
    result = run(given.first, given.seeds, os.cpu_count() or 1)
    took_s = time.monotonic() - began
    print(f"{result.seeds} seeds from {given.first} in {took_s:.0f} s: {len(result.failed)} failed")
    for seed, line in sorted(result.failed.items())[:SHOWN]:
        print(f"seed {seed}: {line}")
    if given.figures:
        print("\n".join(figures(result)))
    unseen = missing(result.seen) if given.seeds >= WHOLE_RUN else []
    for each in unseen:
        print(f"never seen: {' '.join(each)}")
    if result.failed:
        tell_shortest(min(result.failed))
    return int(bool(result.failed or unseen))


if __name__ == "__main__":
    sys.exit(main())
