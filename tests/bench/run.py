"""`make bench`: throughput and latency, with their own servers; prints tables and writes nothing.

    make bench ARGS="--quick"
    make bench ARGS="--only latency"

Numbers of one run are for comparing with one another: machines differ, and so do their other users.
"""

import argparse
import sys
from collections.abc import Sequence

from service.dev.child import ServerFailedError
from service.wiring import run_loop
from tests.bench import bridge, latency, throughput
from tests.bench.report import print_report
from tests.bench.workload import Signer, signatures_per_second
from tests.bench.world import World, running_world

WARM_UP_EVENTS = 20_000
RATES = (240, 3_000, 10_000)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measures throughput and latency.")
    parser.add_argument("--quick", action="store_true", help="an eighth of the events, and shorter rates")
    parser.add_argument("--events", type=int, default=None, metavar="N", help="input records a run (60,000)")
    parser.add_argument("--only", choices=("throughput", "latency", "bridge"), help="a part of it")
    parser.add_argument("--contender", action="append", metavar="TEXT", help="only those whose name has this in it")
    parser.add_argument("--lanes", type=int, default=8, metavar="N", help="lanes in the throughput runs (8)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="throughput runs; the best counts")
    options = parser.parse_args(arguments)
    options.events = options.events or (7_500 if options.quick else 60_000)
    return options


def main() -> int:
    options = parsed()
    identity = None
    results: list[throughput.Result] = []
    latencies: list[latency.Latency] = []
    signatures_per_s = None
    taken: list[bridge.Taken] = []
    try:
        if options.only in (None, "throughput"):
            signer = Signer(options.lanes)
            identity = signer.identity
            signatures_per_s = signatures_per_second(identity)
            with running_world(options.lanes, identity) as world:
                # Not counted: a broker whose Java is cold would make whoever comes first look bad.
                run_loop(throughput.run(world, throughput.CONTENDERS[0], signer, WARM_UP_EVENTS))
                for contender in chosen(options.contender):
                    runs = [
                        run_loop(throughput.run(world, contender, signer, options.events))
                        for _ in range(options.repeat)
                    ]
                    results.append(max(runs, key=lambda result: result.rate))
                    say(results[-1])
                if options.only is None:
                    latencies += latency_of(world, signer, results, options)
        if options.only in (None, "bridge"):
            signer = Signer(options.lanes, identity)
            with running_world(options.lanes, signer.identity) as world:
                taken = run_loop(bridge.run(world, signer, options.events // 2))
        if options.only in (None, "latency"):
            signer = Signer(1, identity)
            with running_world(1, signer.identity) as world:
                latencies = latency_of(world, signer, results, options) + latencies
    except ServerFailedError as error:
        print(error, file=sys.stderr)
        return 1
    print_report(results, latencies, taken, signatures_per_s)
    return 0


def chosen(wanted: list[str] | None) -> list[throughput.Contender]:
    return [each for each in throughput.CONTENDERS if not wanted or any(text in each.name for text in wanted)]


def latency_of(
    world: World, signer: Signer, results: Sequence[throughput.Result], options: argparse.Namespace
) -> list[latency.Latency]:
    """At the fixed rates, but never at more than half of what one process can do here."""
    one = [result.rate for result in results if result.contender.name == "paystate, 1 process"]
    most = int(one[0] / 2) if one else RATES[-1]
    rates = sorted({min(rate, most) for rate in RATES})
    return run_loop(latency.run(world, signer, rates, 4.0 if options.quick else 10.0))


def say(result: throughput.Result) -> None:
    cpu = result.cpu
    counted = {name: count for name, count in result.dispositions.items() if count}
    print(
        f"{result.contender.name}: {result.rate:,.0f} events/s, {result.cpu_us(cpu.total_s):.0f} µs an event"
        f" ({result.cpu_us(cpu.program_s):.0f} + {result.cpu_us(cpu.postgres_s):.0f}"
        f" + {result.cpu_us(cpu.broker_s):.0f}) {counted or ''}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
