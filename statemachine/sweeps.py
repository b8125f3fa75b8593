"""A close that nobody confirmed: the order ends all the same, flagged, and goes on being asked about."""

from datetime import timedelta

from schemas.vocabulary import Flag, OperationState, Trigger
from statemachine.operations import end
from statemachine.turn import Turn


def give_close_up(turn: Turn, reason: str) -> None:
    """Ends an `expiring` order without proof. Should the buyer have paid, that is a late payment."""
    order = turn.order
    ended = None if order.operation is None else end(turn, OperationState.SUPERSEDED, "given up, never confirmed")
    # Before the entry is written, so that it shows the flag; entering the state takes earlier ones away.
    turn.move(Trigger.CLOSE_GIVEN_UP, reason, ended, flag=Flag.CLOSE_UNCONFIRMED)
    order.next_query_at = turn.now + timedelta(seconds=turn.policy.first_query_s)
