"""Which orders count as one: those that differ only in names, absolute times, and what no longer matters.

That they do have the same future is tested, too: see `test_orders_that_count_as_one_have_one_future`.
"""

from schemas.vocabulary import Flag, Kind, OperationKind, OperationState, State
from statemachine.lifecycle import ENDED_UNPAID, HOLDING, RELEASING, UNPAID
from statemachine.order import BY_TIMER, Operation, Order

_CAPTURES = frozenset({*HOLDING, State.CAPTURING})
_COMPLETES = frozenset({*UNPAID, *_CAPTURES})
_ASKS_ANYHOW = frozenset({State.PAYING, *_CAPTURES})
_RELEASES = frozenset({*RELEASING, State.REFUNDING})


def facts(order: Order) -> tuple[int, int, int, int]:
    return (order.frozen_minor, order.taken_minor, order.released_minor, order.refunded_minor)


def canonical(order: Order) -> tuple[object, ...]:
    """What can matter to the future of an order where it stands."""
    state, held = order.state, order.held_minor
    may_release = held > 0 and state in _RELEASES
    return (
        state,
        *facts(order),
        _flags(order, held) if order.flags else (),
        None if order.operation is None else _operation(order, order.operation),
        _asked_so_far(order, may_release=may_release),
        # More than is held cannot be captured, so that any larger cost is the same.
        tuple((min(each.amount_minor, held or order.amount_minor), each.final) for each in order.waiting),
        order.final and state in _COMPLETES,
        order.ending == BY_TIMER and _may_end(order),
        0 if order.next_query_at is None else _questions(order, may_release=may_release),
    )


def _flags(order: Order, held: int) -> tuple[Flag, ...]:
    matter = []
    if held > 0 and Flag.RELEASE_REJECTED in order.flags:
        matter.append(Flag.RELEASE_REJECTED)
    if order.state in ENDED_UNPAID and Flag.CLOSE_UNCONFIRMED in order.flags:
        matter.append(Flag.CLOSE_UNCONFIRMED)
    if order.state in _CAPTURES and Flag.CAPTURE_PAST_AUTHORIZATION in order.flags:
        matter.append(Flag.CAPTURE_PAST_AUTHORIZATION)
    return tuple(matter)


def _operation(order: Order, live: Operation) -> tuple[object, ...]:
    """With how much of its total came from beside it: from its whole amount on, it is all the same."""
    if live.kind is OperationKind.CAPTURE:
        beside = order.taken_minor - order.captured_by_us_minor
    elif live.kind is OperationKind.RELEASE:
        beside = order.released_minor - order.released_by_us_minor
    else:
        beside = order.refunded_minor - order.refunded_by_us_minor
    return (
        live.kind,
        live.amount_minor,
        live.complete,
        live.attempts > 0,
        # Then a person may say what became of it.
        live.state is OperationState.UNKNOWN,
        bool(live.reason),
        min(beside, live.amount_minor),
    )


def _asked_so_far(order: Order, *, may_release: bool) -> int:
    """How many closes or releases there were, up to the number at which `exploration.POLICY` gives up."""
    if order.state is State.EXPIRING:
        return min(order.request_counts.get("V", 0), 2)
    return min(order.request_counts.get("R", 0), 2) if may_release else 0


def _may_end(order: Order) -> bool:
    """Whether it matters why: to a close, to a release, and to one that a late authorization can begin."""
    if order.state in (State.EXPIRING, State.VOIDING):
        return True
    return order.state in ENDED_UNPAID and order.kind is Kind.PREAUTH and order.frozen_minor == 0


def _questions(order: Order, *, may_release: bool) -> int:
    """That a question is planned, and how many there were, as far as they are counted: 0 where it is all one."""
    state = order.state
    if state in _ASKS_ANYHOW:
        return 1
    if state is State.EXPIRING or (state in ENDED_UNPAID and Flag.CLOSE_UNCONFIRMED in order.flags):
        # A live close has the say; what becomes of it plans the next question anew.
        return 0 if order.operation else 1 + min(order.queries, 2)
    if may_release and (order.operation is None or state is State.REFUNDING):
        return 1 + min(order.queries, 1)
    return 0
