"""An order in one or two plain sentences: where it stands, why, what it waits for and by when."""

from datetime import datetime

from schemas.money import to_decimal
from schemas.vocabulary import OperationKind, OperationState, State
from statemachine.order import Operation, Order
from statemachine.timers import wake_at

_WHERE = {
    State.CREATED: "has been created and not issued",
    State.PAYING: "is waiting for the buyer",
    State.EXPIRING: "is being closed at the wallet",
    State.PAID: "is paid",
    State.AUTHORIZED: "is authorized",
    State.CAPTURING: "is being captured",
    State.PARTIALLY_CAPTURED: "is partially captured",
    State.CAPTURED: "is captured",
    State.VOIDING: "is being released",
    State.VOIDED: "was voided",
    State.REFUNDING: "is being refunded",
    State.PARTIALLY_REFUNDED: "is partially refunded",
    State.REFUNDED: "is refunded",
    State.EXPIRED: "has expired",
    State.CLOSED: "is closed",
}


def explain(order: Order, now: datetime) -> str:
    """`Order o1 (payment of 1.00 CNY) is waiting for the buyer. It waits until …`"""
    why = f", {order.ending_in_words()}" if order.ending and order.state in _ENDING else ""
    first = (
        f"Order {order.order_id} ({order.kind} of {_money(order.amount_minor, order)}) "
        f"{_WHERE[order.state]}{why}{_so_far(order)}."
    )
    flags = ", ".join(sorted(order.flags))
    look = f" A person should look: {flags}." if flags else ""
    return f"{first} {_waits_for(order, now)}{look}"


_ENDING = frozenset({State.EXPIRING, State.VOIDING, State.VOIDED, State.EXPIRED, State.CLOSED})


def _money(amount_minor: int, order: Order) -> str:
    return f"{to_decimal(amount_minor, order.currency)} {order.currency}"


def _so_far(order: Order) -> str:
    parts = [
        f"{_money(amount_minor, order)} {word}"
        for amount_minor, word in (
            (order.taken_minor, "taken"),
            (order.held_minor, "still held"),
            (order.released_minor, "released"),
            (order.refunded_minor, "refunded"),
        )
        if amount_minor
    ]
    return f", with {', '.join(parts)}" if parts else ""


def _waits_for(order: Order, now: datetime) -> str:
    if order.operation is not None:
        return _operation(order.operation, order)
    wake = wake_at(order)
    if wake is None:
        return "Nothing more is to happen by itself."
    if order.state is State.CREATED:
        what = "It waits to be issued, and expires"
    elif order.pay_deadline == wake or order.state is State.PAYING:
        what = "It waits for the payment, and asks the wallet or begins to close it"
    elif order.authorization_deadline == wake:
        what = "It waits for a service completion, and releases what is held"
    elif order.state in (State.AUTHORIZED, State.PARTIALLY_CAPTURED):
        what = "It waits for a service completion, and is warned about"
    else:
        what = "It asks the wallet again"
    return f"{what} {_when(wake, now)}."


def _when(moment: datetime, now: datetime) -> str:
    seconds = int((moment - now).total_seconds())
    at = f"at {moment:%Y-%m-%d %H:%M:%S} UTC"
    return f"{at} (in {_span(seconds)})" if seconds > 0 else f"{at} (due now)"


def _span(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _operation(operation: Operation, order: Order) -> str:
    over = "" if operation.kind is OperationKind.CLOSE else f" of {_money(operation.amount_minor, order)}"
    what = f"The {operation.kind} {operation.id}{over}"
    if operation.state is OperationState.RESERVED:
        return f"{what} is about to be sent."
    if operation.state is OperationState.UNKNOWN:
        why = f" ({operation.reason})" if operation.reason else ""
        return f"{what} is unknown{why}: the wallet is asked before anything else is done."
    return f"{what} has been sent and waits for the wallet's answer."
