"""After each input: what follows from the new facts. A stored completion, a remainder, a late payment."""

from schemas.vocabulary import Disposition, Flag, OperationKind, State, Trigger
from statemachine.lifecycle import HOLDING, RELEASING, UNPAID
from statemachine.operations import begin, begin_release
from statemachine.turn import Turn

# In these a completion can still wait for something.
WAITS_IN = frozenset({*UNPAID, State.EXPIRING, State.CAPTURING, *HOLDING})


def settle(turn: Turn) -> None:
    """Goes on until nothing follows. Bounded: each round takes a completion, an operation or a state."""
    order = turn.order
    if order.waiting:
        _take_what_waits(turn)
    if order.state is State.CAPTURED and order.refunded_minor > 0:
        turn.move(Trigger.WALLET_REFUNDED, "refunded by the wallet before everything was captured")
    if order.operation is not None:
        return
    if order.state is State.REFUNDING:
        amount_minor = order.taken_minor - order.refunded_minor
        turn.show_in_last_entry(begin(turn, OperationKind.REFUND, amount_minor))
    elif order.state in RELEASING and order.held_minor > 0 and Flag.RELEASE_REJECTED not in order.flags:
        turn.show_in_last_entry(begin_release(turn))


def _take_what_waits(turn: Turn) -> None:
    order = turn.order
    if order.state in HOLDING and order.operation is None:
        # Leads to capturing or to voiding, in which nothing more is taken from the queue until it ends.
        turn.move(Trigger.SERVICE_COMPLETED, "a completion had been waiting")
    if order.state in WAITS_IN:
        return
    for completion in order.waiting:
        if completion.amount_minor == 0:
            turn.note(Trigger.SERVICE_COMPLETED, Disposition.ABSORBED, "nothing is left to capture")
        else:
            turn.flag(Flag.SHORTFALL if order.taken_minor > 0 else Flag.UNEXPECTED_COMPLETION)
            turn.note(
                Trigger.SERVICE_COMPLETED,
                Disposition.FLAGGED,
                f"completion {completion.completion_id} of {completion.amount_minor} had been waiting, "
                "and nothing is left to capture",
            )
    order.waiting = ()
