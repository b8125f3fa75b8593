"""An order's story for people: one line a journal entry, readable at a glance."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.money import to_decimal
from schemas.vocabulary import State
from statemachine.diagram import RESTING
from statemachine.explain import explain
from statemachine.order import Order

_COLOURS = {"applied": "", "absorbed": "dim", "refused": "yellow", "flagged": "bold yellow"}


# Wide enough for a line of a timeline, where nobody says how wide the page is.
PAGE_WIDTH = 118


def console_for_people() -> Console:
    """Standard output, as wide as the terminal; or as a page, when it goes to a file."""
    on_page = not sys.stdout.isatty()
    return Console(soft_wrap=True, highlight=False, width=PAGE_WIDTH if on_page else None)


def print_story(
    console: Console,
    order: Order,
    operations: Sequence[dict[str, Any]],
    timeline: Sequence[dict[str, Any]],
    now: datetime,
) -> None:
    """Where the order stands, how it came there, and what was asked of the wallet."""
    console.print(f"[bold]{escape(explain(order, now))}[/]")
    print_timeline(console, timeline)
    for operation in operations:
        amount = to_decimal(operation["amount_minor"], order.currency) if operation["amount_minor"] else ""
        console.print(
            f"  {operation['id']}  {operation['kind']} {amount}  [bold]{operation['state']}[/],"
            f" {operation['attempts']} call(s)  [dim]{escape(operation['reason'])}[/]"
        )


def print_timeline(console: Console, timeline: Sequence[dict[str, Any]]) -> None:
    """A line for each state event: seconds since the first, what happened, where it led, the money after it."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for justify in ("right", "left", "left", "left", "left"):
        table.add_column(justify=justify, overflow="fold")
    first = datetime.fromisoformat(timeline[0]["recorded_at"]) if timeline else None
    for event in timeline:
        assert first is not None
        seconds = (datetime.fromisoformat(event["recorded_at"]) - first).total_seconds()
        colour = _COLOURS.get(event["disposition"], "")
        what = event["trigger"].replace("_", " ")
        table.add_row(
            f"[dim]+{seconds:.2f} s[/]",
            f"[{colour}]{what}[/]" if colour else what,
            _where(event),
            _money(event),
            f"[dim]{escape(event['reason'] or '')}[/]",
        )
    console.print(table)


def _where(event: dict[str, Any]) -> str:
    if event["state"] == event["previous_state"]:
        return (
            f"[dim]{event['state']}[/]" if event["disposition"] == "applied" else f"[dim]{event['disposition']}[/]"
        )
    colour = "bold green" if State(event["state"]) in RESTING else "cyan"
    return f"[{colour}]{event['state']}[/]"


def _money(event: dict[str, Any]) -> str:
    parts = [
        f"{to_decimal(event[f'{fact}_minor'], event['currency'])} {fact}"
        for fact in ("frozen", "taken", "released", "refunded")
        if event[f"{fact}_minor"]
    ]
    return ", ".join(parts)
