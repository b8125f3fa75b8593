"""`decide(order, given)`: what one input does to one order. Pure: no I/O, no clock, no randomness.

seen before? -> compare with the order -> merge facts -> fire the trigger -> settle what follows -> check.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from schemas.vocabulary import Trigger
from statemachine.check import BrokenInvariantError, check
from statemachine.completions import take_completion, unexpected
from statemachine.decision import Decision, Policy
from statemachine.evidence import take_evidence
from statemachine.inputs import (
    CancelRequested,
    ClientResult,
    Input,
    IssueRequested,
    OperationAttempted,
    OperationGivenUp,
    OperatorResolved,
    OrderCreated,
    RefundRequested,
    ServiceCompleted,
    TimerFired,
    WalletEvidence,
)
from statemachine.order import Order, copy_of
from statemachine.reports import take_attempt, take_giving_up, take_resolution
from statemachine.requests import (
    order_from,
    refuse,
    take_cancel,
    take_client_result,
    take_creation,
    take_issue,
    take_refund,
    take_second_creation,
)
from statemachine.seen import (
    CALLBACK,
    COMPLETION,
    EVENT,
    MAX_INPUTS_WITH_CLIENTS,
    MAX_UPSTREAM_INPUTS,
    REFUND,
    is_full,
    is_seen,
    remember,
)
from statemachine.settle import settle
from statemachine.timers import take_timer
from statemachine.turn import Turn

# By the kind of input; each function takes that kind only.
_UPSTREAM: dict[type[Any], tuple[Trigger, Callable[[Turn, Any], None]]] = {
    OrderCreated: (Trigger.CREATE, take_second_creation),
    IssueRequested: (Trigger.ISSUE, take_issue),
    CancelRequested: (Trigger.CANCEL, take_cancel),
    ClientResult: (Trigger.CLIENT_RESULT, take_client_result),
    RefundRequested: (Trigger.REFUND_REQUESTED, take_refund),
    ServiceCompleted: (Trigger.SERVICE_COMPLETED, take_completion),
}
_OURS: dict[type[Any], Callable[[Turn, Any], None]] = {
    TimerFired: take_timer,
    OperationAttempted: take_attempt,
    OperationGivenUp: take_giving_up,
}


def decide(order: Order | None, given: Input, *, now: datetime, policy: Policy) -> Decision:
    """The order afterwards, its journal entries, and what is to be done. `order` itself is never changed.

    `order` is None only together with OrderCreated. Raises BrokenInvariantError or IllegalTransitionError,
    which are bugs of ours, and nothing else, whatever the input says.
    """
    if order is None:
        assert isinstance(given, OrderCreated), f"{type(given).__name__} cannot come before its order"
        turn = Turn(order_from(given, now), now, policy)
        remember(turn.order, EVENT, given.event_id)
        take_creation(turn, given)
        return _decision(turn)
    if _is_duplicate(order, given):
        return Decision(order, duplicate=True)
    turn = Turn(copy_of(order), now, policy)
    may_settle = _take(turn, given)
    if may_settle and turn.entries:
        settle(turn)
    _check_totals(order, turn.order)
    return _decision(turn)


def _decision(turn: Turn) -> Decision:
    check(turn.order)
    return Decision(turn.order, turn.entries, list(turn.operations.values()), duplicate=False, query=turn.query)


def _is_duplicate(order: Order, given: Input) -> bool:
    if isinstance(given, WalletEvidence):
        return given.event_id is not None and is_seen(order, CALLBACK, given.event_id)
    if isinstance(given, TimerFired | OperationAttempted | OperationGivenUp):
        return False
    if is_seen(order, EVENT, given.event_id):
        return True
    if isinstance(given, ServiceCompleted):
        return is_seen(order, COMPLETION, given.completion_id)
    return isinstance(given, RefundRequested) and is_seen(order, REFUND, given.refund_id)


def _take(turn: Turn, given: Input) -> bool:
    """Hands the input to what knows its kind. False when nothing may follow from it."""
    if isinstance(given, WalletEvidence):
        if given.event_id is not None:
            remember(turn.order, CALLBACK, given.event_id)
        take_evidence(turn, given)
        return True
    if isinstance(given, OperatorResolved):
        remember(turn.order, EVENT, given.event_id)
        return take_resolution(turn, given)
    if isinstance(given, TimerFired | OperationAttempted | OperationGivenUp):
        _OURS[type(given)](turn, given)
        return True
    trigger, take = _UPSTREAM[type(given)]
    most = MAX_INPUTS_WITH_CLIENTS if isinstance(given, ClientResult) else MAX_UPSTREAM_INPUTS
    if is_full(turn.order, most):
        if isinstance(given, ServiceCompleted):
            unexpected(turn, given, f"the order has taken {most} events")
        else:
            refuse(turn, trigger, f"an order takes at most {most} events")
        return False
    remember(turn.order, EVENT, given.event_id)
    take(turn, given)
    return True


def _check_totals(before: Order, after: Order) -> None:
    """Rule 4 over time: what has happened to money does not unhappen."""
    if (
        after.frozen_minor < before.frozen_minor
        or after.taken_minor < before.taken_minor
        or after.released_minor < before.released_minor
        or after.refunded_minor < before.refunded_minor
    ):
        raise BrokenInvariantError(f"order {before.order_id}: rule 4: a total has decreased")
