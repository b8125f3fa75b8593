"""The results, as a table for people on a terminal and as one for a page."""

import os
import platform
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.bench.bridge import WANTED_RATIO, Taken
from tests.bench.latency import Latency
from tests.bench.throughput import Result

THROUGHPUT = (
    "from a filled topic", "events", "events/s", "× floor", "× naive", "CPU µs/event", "program", "Postgres",
    "broker",
)  # fmt: skip
BRIDGE = ("verified callbacks", "callbacks", "a second", "a second a core", "× bare", "CPU µs each")
LATENCY = ("latency, 1 process", "events/s", "events", "p50 ms", "p99 ms", "worst ms")


def throughput_rows(results: Sequence[Result]) -> list[list[str]]:
    """A row a contender; the ratios are to the floor and the naive service of the same run."""
    rates = {result.contender.name: result.rate for result in results}
    rows = []
    for result in results:
        ratios = [
            ""
            if base is None
            else f"{result.rate / base:.2f}"
            if result.rate < 10 * base
            else f"{result.rate / base:.0f}"
            for base in (rates.get("raw-copy floor"), rates.get("naive service"))
        ]
        cpu = result.cpu
        parts = (cpu.total_s, cpu.program_s, cpu.postgres_s, cpu.broker_s)
        rows.append(
            [
                result.contender.name,
                f"{result.events:,}",
                f"{result.rate:,.0f}",
                *ratios,
                *(f"{result.cpu_us(seconds):.0f}" for seconds in parts),
            ]
        )
    return rows


def latency_rows(results: Sequence[Latency]) -> list[list[str]]:
    """A row a rate."""
    return [
        [
            f"{result.lanes} lane{'s' if result.lanes > 1 else ''}",
            f"{result.rate:,}",
            f"{result.events:,}",
            f"{result.p50_ms:.1f}",
            f"{result.p99_ms:.1f}",
            f"{result.worst_ms:.0f}",
        ]
        for result in results
    ]


def signing_lines(results: Sequence[Result], signatures_per_s: float) -> list[str]:
    """What an order costs with its order string, beside what its signature alone must cost."""
    each_us = 1e6 / signatures_per_s
    lines = [f"RSA-2048 signs {signatures_per_s:,.0f} times a second a core here: {each_us:,.0f} µs a signature."]
    for result in results:
        if result.contender.issue:
            orders = result.events / 2
            lines.append(
                f"{result.contender.name}: {orders / result.seconds:,.0f} orders/s; the program takes"
                f" {result.cpu.program_s / orders * 1e6:,.0f} µs of CPU an order, signature and verification"
                f" included, all told {result.cpu.total_s / orders * 1e6:,.0f} µs."
            )
    return lines


def bridge_rows(taken: Sequence[Taken]) -> list[list[str]]:
    """A row a program; the ratio is to the bare loop of the same run."""
    return [
        [
            each.name,
            f"{each.callbacks:,}",
            f"{each.callbacks / each.wall_s:,.0f}",
            f"{each.per_core:,.0f}",
            f"{each.per_core / taken[0].per_core:.2f}",
            f"{1e6 / each.per_core:.0f}",
        ]
        for each in taken
    ]


def print_report(
    throughput: Sequence[Result],
    latency: Sequence[Latency],
    taken: Sequence[Taken],
    signatures_per_s: float | None,
) -> None:
    """Everything, twice: drawn, and as Markdown."""
    console = Console(highlight=False, width=150)
    tables = []
    if throughput:
        tables.append((THROUGHPUT, throughput_rows(throughput)))
    if latency:
        tables.append((LATENCY, latency_rows(latency)))
    if taken:
        tables.append((BRIDGE, bridge_rows(taken)))
    load = os.getloadavg()[1]
    # Ours is about the number of cores; more says that the machine had other work.
    console.print(
        f"\n{os.cpu_count()} cores, load average {load:.1f}, {platform.machine()}, Python"
        f" {platform.python_version()}"
    )
    for head, rows in tables:
        table = Table(*head)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*row)
        console.print(table)
    notes = signing_lines(throughput, signatures_per_s) if signatures_per_s else []
    if taken:
        ratio = taken[-1].per_core / taken[0].per_core
        notes.append(f"The bridge takes {ratio:.2f} of what a bare loop does a core; {WANTED_RATIO} is wanted.")
    for line in notes:
        console.print(line, soft_wrap=True)
    print("\nMarkdown:\n")
    for head, rows in tables:
        print("\n".join(_markdown(head, rows)), end="\n\n")
    print("\n".join(notes))


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    aligned = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (head, aligned, *rows)]
