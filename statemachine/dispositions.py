"""What becomes of every trigger in every state: the whole matrix, from the table and the kinds of trigger."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.vocabulary import State, Trigger
from statemachine.lifecycle import ROWS


class Fate(StrEnum):
    """`fires` where the table has a row; the others say what is done where it has none."""

    FIRES = "fires"
    ABSORBED = "absorbed"
    REFUSED = "refused"
    FLAGGED = "flagged"
    IGNORED = "ignored"


# What upstream asks for gets an answer that it can read.
UPSTREAM = frozenset({Trigger.CREATE, Trigger.ISSUE, Trigger.CANCEL, Trigger.REFUND_REQUESTED})
# Our own clocks and dispatchers can be late; that is nobody's business.
OURS = frozenset(
    {
        Trigger.PAY_TIMER,
        Trigger.AUTHORIZATION_TIMER,
        Trigger.AUTHORIZATION_WARNING,
        Trigger.CLOSE_GIVEN_UP,
        Trigger.OPERATION_UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class DispositionOf:
    """`dests` are the states to which the trigger can lead, in the table's order; empty unless it fires."""

    fate: Fate
    dests: tuple[State, ...] = ()


def disposition_of(state: State, trigger: Trigger) -> DispositionOf:
    """What becomes of a trigger in a state. Where guards refuse every row, it is as if there were none."""
    rows = ROWS.get((state, trigger))
    if rows:
        return DispositionOf(Fate.FIRES, tuple(dict.fromkeys(row.dest for row in rows)))
    return DispositionOf(without_row(trigger))


def without_row(trigger: Trigger) -> Fate:
    """What is done with a trigger that moves nothing."""
    if trigger in UPSTREAM:
        return Fate.REFUSED
    if trigger is Trigger.SERVICE_COMPLETED:
        return Fate.FLAGGED
    return Fate.IGNORED if trigger in OURS else Fate.ABSORBED


def matrix() -> dict[tuple[State, Trigger], DispositionOf]:
    """Every pair. `create` is refused everywhere: it makes version 1 and never happens to an order."""
    return {(state, trigger): disposition_of(state, trigger) for state in State for trigger in Trigger}
