"""What our own dispatcher reports, and what a person has found out on the wallet's console."""

from datetime import timedelta

from schemas.vocabulary import Disposition, Flag, OperationKind, OperationState, Outcome, Trigger
from statemachine.inputs import OperationAttempted, OperationGivenUp, OperatorResolved
from statemachine.lifecycle import RELEASING
from statemachine.operations import GIVEN_UP, REJECTED_TRIGGER, SUCCEEDED_TRIGGER, change, reject, succeed
from statemachine.requests import refuse
from statemachine.sweeps import give_close_up
from statemachine.turn import Turn

CLOSE_NOT_CONFIRMED = "nobody could confirm it"


def take_attempt(turn: Turn, made: OperationAttempted) -> None:
    """A call is about to be made: stored, so that a crash leaves `unknown`, but no news for anybody."""
    live = turn.order.operation
    if live is not None and live.id == made.operation_id:
        change(turn, live, attempts=live.attempts + 1, state=OperationState.SUBMITTING)


def take_giving_up(turn: Turn, given_up: OperationGivenUp) -> None:
    """The bounded tries are used up. A close ends without proof; where money is concerned, a person looks."""
    live = turn.order.operation
    if live is None or live.id != given_up.operation_id or live.reason == GIVEN_UP:
        return
    if live.kind is OperationKind.CLOSE:
        give_close_up(turn, CLOSE_NOT_CONFIRMED)
        return
    unknown = change(turn, live, state=OperationState.UNKNOWN, reason=GIVEN_UP)
    turn.flag(Flag.NEEDS_REVIEW)
    turn.note(Trigger.OPERATION_UNKNOWN, Disposition.FLAGGED, GIVEN_UP, unknown)


def take_resolution(turn: Turn, resolved: OperatorResolved) -> bool:
    """A person's word, with evidence. False when it moved nothing that anything else could follow from."""
    order = turn.order
    live = order.operation
    why_not = ""
    if resolved.expected_version != order.version:
        why_not = f"the order is at version {order.version}, not {resolved.expected_version}"
    elif live is None and resolved.outcome is not None:
        why_not = "no operation is under way that could have an outcome"
    elif live is not None and resolved.outcome not in (Outcome.SUCCEEDED, Outcome.REJECTED):
        why_not = f"{live.id} is under way: say whether it succeeded or was rejected"
    elif live is not None and live.state is not OperationState.UNKNOWN:
        # A call that is on its way may yet be carried out, whatever the console shows at this moment.
        why_not = f"{live.id} is {live.state}: only what is unknown needs a person's word"
    if why_not:
        refuse(turn, Trigger.OPERATOR_RESOLVED, why_not)
        return False
    reason = f"{resolved.actor}: {resolved.reason} (evidence: {resolved.evidence})"
    if live is None:
        _clear_flags(turn)
        turn.move(Trigger.OPERATOR_RESOLVED, reason)
        return False
    turn.move(Trigger.OPERATOR_RESOLVED, reason, live)
    by_whom = f"by {resolved.actor}"
    if resolved.outcome is Outcome.SUCCEEDED:
        turn.move(SUCCEEDED_TRIGGER[live.kind], by_whom, succeed(turn, by_whom))
    else:
        turn.move(REJECTED_TRIGGER[live.kind], by_whom, reject(turn, by_whom))
    return True


def _clear_flags(turn: Turn) -> None:
    """Takes the order out of the queue, except where a flag is what keeps it from being forgotten."""
    order = turn.order
    keeps = frozenset({Flag.CLOSE_UNCONFIRMED} if order.next_query_at is not None else ())
    if order.state in RELEASING and order.held_minor > 0:
        keeps |= {Flag.RELEASE_REJECTED}
        # Somebody has seen to it: the wallet is asked again, unless that is planned already.
        order.next_query_at = order.next_query_at or turn.now + timedelta(seconds=turn.policy.first_query_s)
        order.queries = 0
    order.flags &= keeps
