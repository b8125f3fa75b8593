"""What an order waits for, and what happens when that time has come."""

from datetime import datetime, timedelta

from schemas.vocabulary import Disposition, Flag, State, Trigger
from statemachine.doubts import ask_in_doubt
from statemachine.inputs import TimerFired
from statemachine.lifecycle import ENDED_UNPAID, HOLDING, RELEASING
from statemachine.operations import query_wait_s
from statemachine.order import BY_TIMER, Order
from statemachine.sweeps import give_close_up
from statemachine.turn import Turn


def wake_at(order: Order) -> datetime | None:
    """The earliest moment at which time itself matters to the order; None when it rests.

    A live operation needs no waking, the dispatcher drives it; only deadlines go on beside it.
    """
    state = order.state
    if state in (State.CREATED, State.PAYING):
        return _earliest(order.pay_deadline, order.next_query_at)
    if state in HOLDING:
        return _earliest(order.authorization_deadline, order.next_query_at)
    if state is State.CAPTURING:
        is_flagged = Flag.CAPTURE_PAST_AUTHORIZATION in order.flags
        return None if is_flagged else order.authorization_deadline
    if order.operation is not None:
        return None
    planned = order.next_query_at if asks_later(order) else None
    return _earliest(planned, None if order.doubt is None else order.doubt.ask_at)


def asks_later(order: Order) -> bool:
    """Whether only a question can bring an order on that has nothing under way."""
    if order.state in ENDED_UNPAID:
        return Flag.CLOSE_UNCONFIRMED in order.flags
    return order.state is State.EXPIRING or (order.state in RELEASING and order.held_minor > 0)


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return min(one, other)


def take_timer(turn: Turn, _: TimerFired) -> None:
    """Goes by `now` alone: a timer that comes too early or twice finds nothing due."""
    order = turn.order
    wake = wake_at(order)
    if wake is None or wake > turn.now:
        return
    if order.state in (State.CREATED, State.PAYING) and _is_due(turn, order.pay_deadline):
        order.ending = BY_TIMER
        turn.move(Trigger.PAY_TIMER, "by timer")
    elif order.state in HOLDING and _is_due(turn, order.authorization_deadline):
        order.ending = BY_TIMER
        turn.move(Trigger.AUTHORIZATION_TIMER, "by timer")
    elif order.state in HOLDING:
        order.next_query_at = None
        turn.query = True
        turn.move(Trigger.AUTHORIZATION_WARNING, "the authorization ends soon", flag=Flag.AUTHORIZATION_EXPIRING)
    elif order.state is State.CAPTURING:
        turn.move(
            Trigger.AUTHORIZATION_TIMER,
            "the authorization has ended; the capture under way decides",
            flag=Flag.CAPTURE_PAST_AUTHORIZATION,
        )
    else:
        _ask_what_is_due(turn)


def _is_due(turn: Turn, moment: datetime | None) -> bool:
    return moment is not None and moment <= turn.now


def _ask_what_is_due(turn: Turn) -> None:
    order = turn.order
    if order.state is State.PAYING or (asks_later(order) and _is_due(turn, order.next_query_at)):
        _ask(turn)
    if order.doubt is not None and _is_due(turn, order.doubt.ask_at):
        ask_in_doubt(turn)


def _ask(turn: Turn) -> None:
    """Asks the wallet, and plans the next question; bounded where nothing else would end the asking."""
    order = turn.order
    turn.query = True
    order.queries += 1
    order.next_query_at = turn.now + timedelta(seconds=query_wait_s(turn, order.queries))
    if order.state in ENDED_UNPAID and order.pay_deadline is not None and turn.now < order.pay_deadline:
        # It could still be paid: each answer is true only for its moment. From then on it is counted anew.
        if order.next_query_at >= order.pay_deadline:
            order.next_query_at, order.queries = order.pay_deadline, 0
        return
    if order.state is State.PAYING or order.queries < turn.policy.close_sweeps:
        return
    if order.state is State.EXPIRING:
        give_close_up(turn, "the wallet never said that it is closed")
    elif order.state in ENDED_UNPAID:
        # Asked often enough: the flag stays.
        order.next_query_at = None
    elif Flag.NEEDS_REVIEW not in order.flags:
        # Something of the buyer's is still held, so the asking goes on, and a person looks.
        turn.flag(Flag.NEEDS_REVIEW)
        turn.note(Trigger.RELEASE_REJECTED, Disposition.FLAGGED, "the wallet does not answer: a person has to look")
