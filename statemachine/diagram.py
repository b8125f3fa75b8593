"""The lifecycle as pictures for people, made from the table, so that they cannot disagree with it."""

from schemas.vocabulary import State, Trigger
from statemachine.dispositions import Fate, disposition_of
from statemachine.lifecycle import ROWS
from statemachine.order import Order

RESTING = frozenset(
    {
        State.PAID,
        State.CAPTURED,
        State.REFUNDED,
        State.PARTIALLY_REFUNDED,
        State.EXPIRED,
        State.CLOSED,
        State.VOIDED,
    }
)


def mermaid() -> str:
    """A Mermaid state diagram of every move between two states, with its guards."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.CREATED}: {Trigger.CREATE}"]
    for rows in ROWS.values():
        for row in rows:
            if row.source is not row.dest:
                guards = f" [{', '.join(in_words(each) for each in row.conditions)}]" if row.conditions else ""
                lines.append(f"    {row.source} --> {row.dest}: {row.trigger}{guards}")
    lines += [f"    {state} --> [*]" for state in State if state in RESTING]
    return "\n".join(lines) + "\n"


def in_words(guard: str) -> str:
    """`nothing_is_held` as a person reads it; a guard that no Order has is a mistake in the table."""
    assert callable(getattr(Order, guard)), guard
    return guard.replace("_", " ")


def matrix_markdown() -> str:
    """Every trigger in every state: where it leads, or what is done with it instead."""
    lines = [
        "| trigger | " + " | ".join(State) + " |",
        "|---" * (len(State) + 1) + "|",
    ]
    for trigger in Trigger:
        if trigger is Trigger.CREATE:
            # It makes version 1 and never happens to an order that exists.
            continue
        cells = [_cell(state, trigger) for state in State]
        lines.append(f"| {trigger} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(state: State, trigger: Trigger) -> str:
    found = disposition_of(state, trigger)
    if found.fate is not Fate.FIRES:
        return f"*{found.fate}*"
    return ", ".join("same" if dest is state else f"**{dest}**" for dest in found.dests)
