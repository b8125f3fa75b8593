"""An order brought up to what has been published of it, after the database has gone back in time.

What consumers have been told stays true: the database takes it over, and nothing is decided again. State events
carry all facts of an order. What they leave out (which completions wait, what has been seen) follows from the
inputs that caused them, which the input topics still hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from schemas.state_events import StateEvent
from schemas.vocabulary import (
    LIVE_OPERATION_STATES,
    Disposition,
    Flag,
    OperationKind,
    OperationState,
    State,
    Topic,
    Trigger,
)
from statemachine.check import BrokenInvariantError, check
from statemachine.decision import Policy
from statemachine.doubts import NO_ANSWER
from statemachine.inputs import Input, OrderCreated, RefundRequested, ServiceCompleted
from statemachine.lifecycle import ENDED_UNPAID, HOLDING, RELEASING, UNPAID
from statemachine.operations import (
    LETTERS,
    TOTALS,
    begin_release,
)
from statemachine.order import BY_CANCEL, BY_TIMER, Completion, Doubt, Operation, Order, copy_of
from statemachine.requests import order_from
from statemachine.seen import CALLBACK, COMPLETION, EVENT, REFUND, is_seen, remember
from statemachine.settle import WAITS_IN
from statemachine.turn import Turn


class CannotAdoptError(ValueError):
    """What was published does not lead to an order; the message names it and says what is missing."""


@dataclass(frozen=True, slots=True)
class Told:
    """A state event, and the input that caused it where one did and is still to be had.

    `why_not`: what is wrong with the input, where it is there and cannot be taken.
    """

    event: StateEvent
    given: Input | None = None
    why_not: str = ""


@dataclass(slots=True)
class Adopted:
    """The order afterwards, and its operations as far as the events or the order itself speak of them."""

    order: Order
    operations: dict[str, Operation] = field(default_factory=dict)
    # Whether the wallet's silence about a doubt has put up the flag that stands.
    silence_is_flagged: bool = False


def needs_its_input(event: StateEvent) -> bool:
    """Whether the event alone does not tell what became of its order: terms, what waits, and ids of upstream's."""
    if event.version == 1:
        return True
    if event.disposition != Disposition.APPLIED:
        return False
    return event.cause_topic == Topic.COMPLETIONS or (
        event.cause_topic == Topic.ORDERS and event.trigger == Trigger.REFUND_REQUESTED
    )


def adopt(before: Order | None, told: Sequence[Told], *, now: datetime, policy: Policy) -> Adopted:
    """The order after its published events, which follow on its version. Raises CannotAdoptError.

    An operation that is live afterwards counts as sent, so that the wallet is asked about it first, and an order
    that waits for the wallet is asked about at once.
    """
    first = told[0]
    for each in told:
        if each.given is None and needs_its_input(each.event):
            raise CannotAdoptError(_not_to_be_had(each))
    order = _created(first) if before is None else copy_of(before)
    if first.event.version != order.version + 1:
        raise CannotAdoptError(
            f"order {order.order_id} is at version {order.version}, and was published on from {first.event.version}"
        )
    adopted = Adopted(order, silence_is_flagged=order.doubt is not None and order.doubt.is_flagged)
    if order.operation is not None:
        adopted.operations[order.operation.id] = order.operation
    for each in told:
        _take_input(order, each)
        _take_event(adopted, each.event, policy)
    _begin_what_was_not_told(adopted, now, policy)
    if order.operation is not None:
        sent = replace(order.operation, state=OperationState.UNKNOWN, attempts=max(order.operation.attempts, 1))
        order.operation = adopted.operations[sent.id] = sent
    _ask_again(adopted, now, policy)
    try:
        check(order)
    except BrokenInvariantError as error:
        raise CannotAdoptError(f"what was published does not tell all of {error}") from None
    return adopted


def _created(first: Told) -> Order:
    if not isinstance(first.given, OrderCreated):
        raise CannotAdoptError(
            f"order {first.event.order_id} is not in the database,"
            f" and what was published begins with version {first.event.version}"
        )
    return order_from(first.given, first.event.recorded_at)


def _not_to_be_had(told: Told) -> str:
    event = told.event
    where = f"{event.cause_topic}[{event.cause_partition}]@{event.cause_offset}"
    remedy = told.why_not or "it is not there any more: have it sent again, with this event_id"
    return f"order {event.order_id}: {event.cause_type} {event.cause_event_id} of {where} is needed; {remedy}"


def _take_input(order: Order, told: Told) -> None:
    """The ids that it leaves behind, so that it is a duplicate when it is read again, and what it makes wait."""
    event, given = told.event, told.given
    if event.cause_event_id is not None:
        source = CALLBACK if event.cause_topic == Topic.CALLBACKS else EVENT
        if not is_seen(order, source, event.cause_event_id):
            remember(order, source, event.cause_event_id)
    if isinstance(given, RefundRequested) and event.disposition == Disposition.APPLIED:
        remember(order, REFUND, given.refund_id)
    if (
        isinstance(given, ServiceCompleted)
        and given.currency == order.currency
        and not is_seen(order, COMPLETION, given.completion_id)
    ):
        remember(order, COMPLETION, given.completion_id)
        if event.trigger == Trigger.SERVICE_COMPLETED and event.disposition == Disposition.APPLIED:
            waits = Completion(given.completion_id, given.amount_minor, given.final)
            order.waiting = (*order.waiting, waits)


def _take_event(adopted: Adopted, event: StateEvent, policy: Policy) -> None:
    order, previous = adopted.order, adopted.order.state
    order.version, order.state = event.version, State(event.state)
    if event.operation_id is not None and event.operation_id not in adopted.operations:
        _first_told(adopted, event)
    for name in ("frozen_minor", "taken_minor", "released_minor", "refunded_minor"):
        setattr(order, name, getattr(event, name))
    order.flags = frozenset(map(Flag, event.flags))
    order.wallet_trade_no, order.wallet_auth_no = event.wallet_trade_no, event.wallet_auth_no
    if event.operation_id is not None:
        _move(adopted, event)
    is_silence = event.trigger == Trigger.OPERATION_UNKNOWN and event.reason == NO_ANSWER
    adopted.silence_is_flagged = (adopted.silence_is_flagged or is_silence) and Flag.NEEDS_REVIEW in order.flags
    _take_times(order, event, policy)
    if order.state is not previous:
        _arrive(order, event)
    if order.state not in WAITS_IN:
        order.waiting = ()


def _first_told(adopted: Adopted, event: StateEvent) -> None:
    """The totals of the order are still those before the event.

    One that is live was begun with the totals of the event, one that has ended was begun some time before.
    """
    order = adopted.order
    assert event.operation_id is not None
    assert event.operation_kind is not None
    assert event.operation_amount_minor is not None
    kind = OperationKind(event.operation_kind)
    letter = LETTERS[kind]
    number = int(event.operation_id.rpartition(letter)[2])
    order.request_counts = {**order.request_counts, letter: max(number, order.request_counts.get(letter, 0))}
    if kind in TOTALS:
        total, accounted = TOTALS[kind]
        is_live = event.operation_state in LIVE_OPERATION_STATES
        setattr(order, accounted, getattr(event if is_live else order, total))
    complete = False
    if kind is OperationKind.CAPTURE and order.waiting:
        complete = order.waiting[0].final
        order.final = order.final or complete
        order.waiting = order.waiting[1:]
    adopted.operations[event.operation_id] = Operation(
        event.operation_id, kind, event.operation_amount_minor, complete=complete
    )


def _move(adopted: Adopted, event: StateEvent) -> None:
    order = adopted.order
    assert event.operation_id is not None
    assert event.operation_state is not None
    known = adopted.operations[event.operation_id]
    state = OperationState(event.operation_state)
    operation = replace(known, state=state)
    adopted.operations[operation.id] = operation
    if state in LIVE_OPERATION_STATES:
        if event.trigger == Trigger.OPERATION_UNKNOWN:
            operation = replace(operation, reason=event.reason or "")
        order.operation = adopted.operations[operation.id] = operation
        return
    if order.operation is not None and order.operation.id == operation.id:
        order.operation = None
    if state is OperationState.SUCCEEDED and operation.kind in TOTALS:
        _, accounted = TOTALS[operation.kind]
        setattr(order, accounted, getattr(order, accounted) + operation.amount_minor)
    elif state is not OperationState.SUCCEEDED and operation.kind is OperationKind.CAPTURE:
        # Nothing of the final completion was captured, so there may be another one.
        order.final = False


def _take_times(order: Order, event: StateEvent, policy: Policy) -> None:
    pay_time = timedelta(seconds=order.pay_window_s + policy.pay_grace_s)
    if event.trigger == Trigger.CREATE and event.version == 1:
        order.pay_deadline = event.recorded_at + pay_time
    elif event.trigger == Trigger.ISSUE and event.disposition == Disposition.APPLIED:
        order.issued_at = event.recorded_at
        order.pay_deadline = event.recorded_at + pay_time
    elif order.frozen_minor and order.authorization_deadline is None:
        order.authorization_deadline = event.recorded_at + timedelta(seconds=order.authorization_timeout_s)


def _arrive(order: Order, event: StateEvent) -> None:
    if event.trigger in (Trigger.PAY_TIMER, Trigger.AUTHORIZATION_TIMER):
        order.ending = BY_TIMER
    elif event.trigger == Trigger.CANCEL:
        order.ending = BY_CANCEL
    if order.state is State.VOIDING and order.only_an_end_waits():
        order.waiting = order.waiting[1:]
        order.final = True


def _begin_what_was_not_told(adopted: Adopted, now: datetime, policy: Policy) -> None:
    """An event names one operation: where it ended one and began a release, the release is not in it.

    It has the number that follows and the amount that is held, as it had when it was begun.
    """
    order = adopted.order
    holds = order.state in RELEASING and order.held_minor > 0 and Flag.RELEASE_REJECTED not in order.flags
    if holds and order.operation is None:
        begin_release(Turn(order, now, policy))


def _ask_again(adopted: Adopted, now: datetime, policy: Policy) -> None:
    order = adopted.order
    order.queries, order.next_query_at = 0, None
    if order.state in HOLDING:
        if order.authorization_deadline is not None and Flag.AUTHORIZATION_EXPIRING not in order.flags:
            warned_s = order.authorization_timeout_s * policy.authorization_warning_share
            order.next_query_at = order.authorization_deadline - timedelta(seconds=warned_s)
        return
    if order.frozen_minor or order.taken_minor:
        # Whether there was a doubt is in no event.
        order.doubt = Doubt(now, now, is_flagged=adopted.silence_is_flagged)
    is_out = order.state in UNPAID and order.issued_at is not None
    is_unconfirmed = order.state in ENDED_UNPAID and order.the_close_is_unconfirmed()
    if is_out or is_unconfirmed or order.state in (State.EXPIRING, *RELEASING):
        order.next_query_at = now
