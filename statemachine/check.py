"""The rules that every order keeps, after every decision and every load; CHECK constraints repeat them."""

from schemas.vocabulary import LIVE_OPERATION_STATES, Flag, Kind, OperationKind, State
from statemachine.order import Order


class BrokenInvariantError(AssertionError):
    """An order that cannot be: a bug of ours, caught before it touches money. The message names the rule."""


def check(order: Order) -> None:
    """Raises BrokenInvariantError naming the rule that the order breaks. 1 µs."""
    broken = _broken(order)
    if broken:
        raise BrokenInvariantError(f"order {order.order_id} in {order.state}: {broken}")


def _broken(order: Order) -> str:
    taken, refunded = order.taken_minor, order.refunded_minor
    live = order.operation
    if order.version < 1:
        return "rule 10: an order that exists has a version"
    if min(order.frozen_minor, taken, order.released_minor, refunded) < 0:
        return "rule 4: no total is negative"
    if refunded + (live.amount_minor if live and live.kind is OperationKind.REFUND else 0) > taken:
        return "rule 1: refunds, with the live one, exceed what was taken"
    if order.kind is Kind.PAYMENT:
        if taken not in (0, order.amount_minor) or order.frozen_minor or order.released_minor:
            return "rule 2: a payment takes nothing or its amount, and freezes nothing"
    elif order.frozen_minor not in (0, order.amount_minor):
        return "rule 3: a pre-authorization freezes nothing or its amount"
    elif order.held_minor < (live.amount_minor if live and live.kind in _OUT_OF_HELD else 0):
        return "rule 3: captures and releases, with the live one, exceed what was frozen"
    if live is not None and (live.state not in LIVE_OPERATION_STATES or live.kind not in _LIVE_IN[order.state]):
        return f"rule 5: {live.kind} {live.id} ({live.state}) may not be live here"
    return _STATE_RULES[order.state](order)


_OUT_OF_HELD = (OperationKind.CAPTURE, OperationKind.RELEASE)
_RELEASE_ONLY = frozenset({OperationKind.RELEASE})
_LIVE_IN: dict[State, frozenset[OperationKind]] = dict.fromkeys(State, frozenset())
_LIVE_IN[State.EXPIRING] = frozenset({OperationKind.CLOSE})
_LIVE_IN[State.CAPTURING] = frozenset({OperationKind.CAPTURE})
_LIVE_IN[State.REFUNDING] = frozenset({OperationKind.REFUND})
for _state in (State.VOIDING, State.CAPTURED, State.PARTIALLY_REFUNDED, State.REFUNDED):
    _LIVE_IN[_state] = _RELEASE_ONLY


def _unpaid(order: Order) -> str:
    return "rule 9: money has moved" if order.frozen_minor or order.taken_minor else ""


def _expiring(order: Order) -> str:
    if order.operation is None and order.next_query_at is None:
        return "rule 7: neither a close nor a question is under way"
    return _unpaid(order)


def _ended(order: Order) -> str:
    if order.taken_minor != order.refunded_minor:
        return "rule 6: an order that came to nothing keeps money"
    return "rule 7: something is still held" if order.held_minor else ""


def _paid(order: Order) -> str:
    fits = order.kind is Kind.PAYMENT and order.taken_minor == order.amount_minor and not order.refunded_minor
    return "" if fits else "rule 9: paid means all of it taken, and nothing refunded"


def _authorized(order: Order) -> str:
    fits = order.held_minor > 0 and order.taken_minor == 0
    return "" if fits else "rule 9: authorized means something held, and nothing taken"


def _partially_captured(order: Order) -> str:
    fits = order.held_minor > 0 and order.taken_minor > 0
    return "" if fits else "rule 9: partially captured means something taken, and something held"


def _in_operation(order: Order) -> str:
    return "" if order.operation else "rule 7: nothing is under way"


def _voiding(order: Order) -> str:
    if order.held_minor == 0:
        return "rule 9: nothing is held that could be released"
    return _remainder(order)


def _remainder(order: Order) -> str:
    if order.held_minor and order.operation is None and Flag.RELEASE_REJECTED not in order.flags:
        return "rule 7: something is held, and no release is live or flagged"
    return ""


def _captured(order: Order) -> str:
    if order.kind is Kind.PAYMENT or order.taken_minor == 0 or order.refunded_minor:
        return "rule 9: captured means something taken, and nothing refunded"
    return _remainder(order)


def _partially_refunded(order: Order) -> str:
    fits = 0 < order.refunded_minor < order.taken_minor
    return _remainder(order) if fits else "rule 9: partially refunded means some of it, and not all"


def _refunded(order: Order) -> str:
    fits = 0 < order.refunded_minor == order.taken_minor
    return _remainder(order) if fits else "rule 9: refunded means all that was taken"


_STATE_RULES = {
    State.CREATED: _unpaid,
    State.PAYING: _unpaid,
    State.EXPIRING: _expiring,
    State.PAID: _paid,
    State.AUTHORIZED: _authorized,
    State.CAPTURING: _in_operation,
    State.PARTIALLY_CAPTURED: _partially_captured,
    State.CAPTURED: _captured,
    State.VOIDING: _voiding,
    State.VOIDED: _ended,
    State.REFUNDING: _in_operation,
    State.PARTIALLY_REFUNDED: _partially_refunded,
    State.REFUNDED: _refunded,
    State.EXPIRED: _ended,
    State.CLOSED: _ended,
}
