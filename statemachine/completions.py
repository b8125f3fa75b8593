"""Service completions: what the service cost. They are captured, or wait, or a person is told."""

from schemas.vocabulary import Disposition, Flag, State, Trigger
from statemachine.inputs import ServiceCompleted
from statemachine.lifecycle import UNPAID, may_fire
from statemachine.order import Completion
from statemachine.requests import STANDING
from statemachine.seen import COMPLETION, remember
from statemachine.turn import Turn


def take_completion(turn: Turn, done: ServiceCompleted) -> None:
    """Captures now, stores it, or flags what can no longer be captured."""
    order = turn.order
    if done.currency != order.currency:
        # Not remembered by its own id: the right one may follow under it.
        turn.flag(Flag.AMOUNT_MISMATCH)
        turn.note(
            Trigger.SERVICE_COMPLETED,
            Disposition.FLAGGED,
            f"the completion says {done.currency}, the order is in {order.currency}",
        )
        return
    remember(order, COMPLETION, done.completion_id)
    waiting = order.waiting
    if order.final or (waiting and waiting[-1].final):
        unexpected(turn, done, "the final completion has been seen")
        return
    order.waiting = (*waiting, Completion(done.completion_id, done.amount_minor, done.final))
    if not may_fire(order, Trigger.SERVICE_COMPLETED):
        order.waiting = waiting
        unexpected(turn, done, f"the order {STANDING[order.state]}")
    elif done.amount_minor == 0 and not done.final:
        order.waiting = waiting
        turn.note(Trigger.SERVICE_COMPLETED, Disposition.ABSORBED, "there is nothing to capture")
    else:
        stays = order.state in (*UNPAID, State.CAPTURING)
        turn.move(Trigger.SERVICE_COMPLETED, "it waits" if stays else "")


def unexpected(turn: Turn, done: ServiceCompleted, why: str) -> None:
    """Flags a completion that nothing can follow from any more."""
    turn.flag(Flag.UNEXPECTED_COMPLETION)
    turn.note(
        Trigger.SERVICE_COMPLETED,
        Disposition.FLAGGED,
        f"completion {done.completion_id} of {done.amount_minor} is unexpected: {why}",
    )
