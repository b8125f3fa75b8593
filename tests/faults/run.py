"""`make faults`: every fault, in full count, on the embedded broker and on Apache Kafka; a table at the end.

`--only NAME` runs one of them, `--seed N` repeats a choice of orders and moments (not the machine's timing).
"""

import argparse
import random
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from service.dev.child import ServerFailedError
from tests.faults import breaking, crowding, cutting, filling, remaking
from tests.faults.breaking import Breaking
from tests.faults.judge import Verdict, judge
from tests.faults.load import Load
from tests.faults.stories import plan
from tests.faults.world import BROKERS, WALLET_FAULTS, running_world

SHOWN = 12
# Of fewer recoveries the 99th percentile says nothing.
ENOUGH_FOR_P99 = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in full count."""

    break_it: Callable[[Breaking], list[float]]
    times: int
    orders: int
    brokers: tuple[str, ...] = tuple(BROKERS)
    # Postgres gets a disk of its own, which can be full.
    small_disk: bool = False
    # With orders that nobody pays, which takes a minute.
    patient: bool = True
    # Lanes halt, and a person lets them go on.
    halts: bool = False

    @property
    def name(self) -> str:
        return self.break_it.__name__


FAULTS = (
    Fault(breaking.engine_killed, 20, 2_000),
    Fault(breaking.engine_frozen, 5, 2_000),
    Fault(breaking.rolling_restart, 6, 600),
    Fault(breaking.postgres_away, 2, 400),
    Fault(breaking.postgres_killed, 5, 500),
    Fault(breaking.broker_frozen, 2, 400),
    Fault(breaking.ended_in_outage, 4, 400),
    Fault(cutting.postgres_cut_off, 4, 400),
    Fault(cutting.broker_cut_off, 4, 400),
    Fault(cutting.wallet_cut_off, 4, 400),
    Fault(cutting.engine_cut_off, 5, 400),
    Fault(cutting.wallet_slow, 2, 400),
    Fault(crowding.postgres_crowded, 3, 400),
    Fault(filling.disk_full, 4, 400, small_disk=True),
    # The embedded broker makes a topic by itself, with one partition, for whoever asks for it while it is away.
    Fault(remaking.topic_made_anew, 4, 400, ("apache",), halts=True),
    # The embedded broker loses what it acknowledged last when it is killed, and even when it is told to end.
    Fault(breaking.broker_away, 2, 400, ("apache",)),
    Fault(breaking.broker_killed, 5, 500, ("apache",)),
)


@dataclass(slots=True)
class Result:
    """One line of the table."""

    broker: str
    fault: str
    times: int
    recoveries: list[float] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    took_s: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.verdict.problems and len(self.recoveries) == self.times


def run(
    fault: Fault,
    broker: str,
    seed: int,
    *,
    outage_s: float = breaking.OUTAGE_S,
    logs: Path | None = None,
    durable: bool = True,
    **settings: str,
) -> Result:
    """A world of its own for one fault; `settings` are the engines' PAYSTATE_… ones."""
    result = Result(broker, fault.name, fault.times)
    rng = random.Random(f"{seed} {fault.name}")
    began = time.monotonic()
    with running_world(broker, durable=durable, small_disk=fault.small_disk, **settings) as world:
        world.set_wallet_faults(WALLET_FAULTS)
        load = Load(world, plan(fault.orders, rng, patient=fault.patient), random.Random(seed))
        load.start()
        try:
            result.recoveries = fault.break_it(Breaking(world, load, rng, fault.times, outage_s))
        except (ServerFailedError, AssertionError) as error:
            result.verdict.problems.append(str(error))
        else:
            load.allow(1)
            result.verdict = judge(world, load, halts=fault.halts)
        finally:
            load.allow(1)
            load.finish()
            result.verdict.problems += [text for text in load.failures if text not in result.verdict.problems]
            if logs is not None:
                kept = logs / f"{broker}-{fault.name}"
                shutil.copytree(world.folder, kept, ignore=_all_but_logs, dirs_exist_ok=True)
    result.took_s = time.monotonic() - began
    return result


def _all_but_logs(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if Path(folder, name).is_dir() or not name.endswith(".log")}


def _percentile_99(recoveries: list[float]) -> float:
    return quantiles(recoveries, n=100, method="inclusive")[98]


def table(results: list[Result]) -> Table:
    """For people."""
    shown = Table(box=None, pad_edge=False, width=118)
    counts = ("times", "orders", "events", "lost", "doubled", "median", "p99", "worst", "took")
    for name in ("broker", "fault", *counts, ""):
        shown.add_column(name, justify="left" if name in {"broker", "fault", ""} else "right")
    for result in results:
        verdict, recoveries = result.verdict, result.recoveries
        shown.add_row(
            result.broker,
            result.fault,
            f"{len(recoveries)}",
            f"{verdict.orders}",
            f"{verdict.events}",
            f"{verdict.lost}",
            f"{verdict.doubled}",
            f"{median(recoveries):.1f} s" if recoveries else "",
            f"{_percentile_99(recoveries):.1f} s" if len(recoveries) >= ENOUGH_FOR_P99 else "",
            f"{max(recoveries):.1f} s" if recoveries else "",
            f"{result.took_s:.0f} s",
            "[green]ok[/]" if result.ok else "[bold red]NO[/]",
        )
    return shown


def main() -> int:
    """0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.run", description=__doc__)
    parser.add_argument("--broker", choices=[*BROKERS, "both"], default="both")
    parser.add_argument("--only", choices=[fault.name for fault in FAULTS], action="append")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--times", type=int, help="instead of the full count")
    parser.add_argument("--orders", type=int, help="instead of the full count")
    parser.add_argument("--logs", type=Path, help="a folder for the logs of every process")
    asked = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"seed {asked.seed}")
    results: list[Result] = []
    for broker in BROKERS if asked.broker == "both" else [asked.broker]:
        for fault in FAULTS:
            if broker not in fault.brokers or (asked.only and fault.name not in asked.only):
                continue
            counted = replace(fault, times=asked.times or fault.times, orders=asked.orders or fault.orders)
            console.print(f"[dim]{broker}: {fault.name}, {counted.times} times, {counted.orders} orders …[/]")
            results.append(run(counted, broker, asked.seed, logs=asked.logs))
            for problem in results[-1].verdict.problems[:SHOWN]:
                console.print(f"[bold red]NO[/]  {problem}", markup=True)
            if (more := len(results[-1].verdict.problems) - SHOWN) > 0:
                console.print(f"    and {more} more")
            console.print(f"auditor: {results[-1].verdict.audited or 'not asked'}")
            console.print(table(results[-1:]))
    console.print()
    console.print(table(results))
    return 0 if results and all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
