"""What a run has to have seen. A generator that is too narrow proves nothing, so what is missing fails the run."""

from collections import Counter
from itertools import product

from schemas.vocabulary import Flag, OperationKind, OperationState, State, Trigger
from service.store.lanes import COUNTERS
from statemachine.lifecycle import ROWS
from tests.simulation.faults import MOST
from tests.simulation.limits import NAMES
from tests.simulation.rest import RESTING

# So many seeds and more must have seen everything below.
WHOLE_RUN = 3_000

Seen = Counter[tuple[str, ...]]

# Rows that no story comes to, each with its reason.
OUT_OF_REACH: dict[tuple[State, Trigger, State], str] = {
    (State.CREATED, trigger, state): "nobody can pay or close what has not been issued"
    for trigger, state in (
        (Trigger.PAYMENT_SUCCEEDED, State.PAID),
        (Trigger.AUTHORIZATION_GRANTED, State.AUTHORIZED),
        (Trigger.AUTHORIZATION_GRANTED, State.CAPTURING),
        (Trigger.AUTHORIZATION_GRANTED, State.VOIDING),
        (Trigger.WALLET_CLOSED, State.CLOSED),
    )
}


def required() -> set[tuple[str, ...]]:
    """Everything that must be seen, as `World.seen` and `Faults.fired` name it."""
    names: set[tuple[str, ...]] = {("fault", kind) for kind in MOST}
    names |= {("narrow", name) for name in NAMES}
    names |= {("end", state) for state in RESTING}
    names |= {("counter", name) for name in COUNTERS}
    names |= {("flag", flag) for flag in Flag}
    names |= {("call", kind) for kind in OperationKind}
    names |= {("operation", kind, state) for kind in OperationKind for state in OperationState}
    for (source, trigger), rows in ROWS.items():
        names |= {("move", source, trigger, row.dest) for row in rows}
    names |= {("entry", *pair, "refused") for pair in product(State, _ASKED) if pair not in ROWS}
    return names - {("move", *cell) for cell in OUT_OF_REACH}


_ASKED = (Trigger.CREATE, Trigger.ISSUE, Trigger.CANCEL, Trigger.REFUND_REQUESTED)


def missing(seen: Seen) -> list[tuple[str, ...]]:
    """What should have been seen and was not."""
    return sorted(each for each in required() if not seen[each])
