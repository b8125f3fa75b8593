"""THE TABLE: every move that an order can make. It decides the state and does nothing else.

A row reads: on `trigger`, from `source`, if all `conditions` hold (they are methods of Order, evaluated after
the facts have been merged and an operation that ended has been taken off), to `dest`.
No behaviour hides in callbacks; what a state needs when it is entered is in `turn` and `settle`.

(state, trigger) without a row: wallet evidence is absorbed, a request from upstream is refused with a reason,
a service completion is flagged, and what our own clocks and dispatchers say too late is ignored.
"""

from dataclasses import dataclass
from typing import Any

from transitions import Machine

from schemas.vocabulary import State as S
from schemas.vocabulary import Trigger as T
from statemachine.order import Order


class IllegalTransitionError(Exception):
    """A trigger was fired for which the table has no row, or whose guards all refused: a bug of ours."""


def _row(trigger: T, source: S | tuple[S, ...], dest: S, *conditions: str) -> list[dict[str, Any]]:
    """One row of the page, which may name several sources."""
    sources = source if isinstance(source, tuple) else (source,)
    return [{"trigger": trigger, "source": each, "dest": dest, "conditions": list(conditions)} for each in sources]


def _same(trigger: T, sources: tuple[S, ...], *conditions: str) -> list[dict[str, Any]]:
    """Rows in which the state stays what it is."""
    return [row for source in sources for row in _row(trigger, source, source, *conditions)]


UNPAID = (S.CREATED, S.PAYING)
ENDED_UNPAID = (S.EXPIRED, S.CLOSED)
HOLDING = (S.AUTHORIZED, S.PARTIALLY_CAPTURED)
# A wallet can refund on its own while the remainder is still being released.
AFTER_CAPTURE = (S.CAPTURED, S.PARTIALLY_REFUNDED, S.REFUNDED)
RELEASING = (S.VOIDING, *AFTER_CAPTURE)

TRANSITIONS: tuple[dict[str, Any], ...] = tuple(
    # Going out, and coming to nothing.
    _row(T.ISSUE, S.CREATED, S.PAYING)
    + _row(T.CANCEL, S.CREATED, S.CLOSED)
    + _row(T.CANCEL, S.PAYING, S.EXPIRING)
    + _row(T.PAY_TIMER, S.CREATED, S.EXPIRED)
    + _row(T.PAY_TIMER, S.PAYING, S.EXPIRING)
    + _same(T.PAYMENT_FAILED, (S.PAYING,))
    + _same(T.CLIENT_RESULT, (S.PAYING, S.EXPIRING))
    + _row(T.WALLET_CLOSED, UNPAID, S.CLOSED)
    # Closing: never straight to expired. A rejected close is tried again (pay timer) while it is still open.
    + _same(T.PAY_TIMER, (S.EXPIRING,), "nothing_is_under_way")
    + _row(T.WALLET_CLOSED, S.EXPIRING, S.EXPIRED, "by_timer")
    + _row(T.WALLET_CLOSED, S.EXPIRING, S.CLOSED, "not_by_timer")
    + _row(T.CLOSE_SUCCEEDED, S.EXPIRING, S.EXPIRED, "by_timer")
    + _row(T.CLOSE_SUCCEEDED, S.EXPIRING, S.CLOSED, "not_by_timer")
    + _same(T.CLOSE_REJECTED, (S.EXPIRING,), "nothing_is_under_way")
    + _row(T.CLOSE_GIVEN_UP, S.EXPIRING, S.EXPIRED, "by_timer")
    + _row(T.CLOSE_GIVEN_UP, S.EXPIRING, S.CLOSED, "not_by_timer")
    + _same(T.WALLET_CLOSED, ENDED_UNPAID, "the_close_is_unconfirmed")
    + _same(T.CLOSE_SUCCEEDED, ENDED_UNPAID, "the_close_is_unconfirmed")
    # Payment.
    + _row(T.PAYMENT_SUCCEEDED, (*UNPAID, S.EXPIRING), S.PAID, "is_a_payment")
    + _row(T.PAYMENT_SUCCEEDED, ENDED_UNPAID, S.REFUNDING, "is_a_payment", "late_money_goes_back")
    + _row(T.PAYMENT_SUCCEEDED, ENDED_UNPAID, S.PAID, "is_a_payment", "late_money_is_kept")
    # Authorization.
    + _row(T.AUTHORIZATION_GRANTED, UNPAID, S.AUTHORIZED, "is_a_preauth", "nothing_waits")
    + _row(T.AUTHORIZATION_GRANTED, UNPAID, S.CAPTURING, "is_a_preauth", "a_capture_waits")
    + _row(T.AUTHORIZATION_GRANTED, UNPAID, S.VOIDING, "is_a_preauth", "only_an_end_waits")
    + _row(T.AUTHORIZATION_GRANTED, (S.EXPIRING, *ENDED_UNPAID), S.VOIDING, "is_a_preauth")
    + _same(T.AUTHORIZATION_WARNING, HOLDING)
    # Service completions, which wait for the authorization and for one another.
    + _same(T.SERVICE_COMPLETED, UNPAID, "is_a_preauth")
    + _row(T.SERVICE_COMPLETED, HOLDING, S.CAPTURING, "a_capture_waits", "something_is_held")
    + _row(T.SERVICE_COMPLETED, HOLDING, S.VOIDING, "only_an_end_waits", "something_is_held")
    + _same(T.SERVICE_COMPLETED, (S.CAPTURING,))
    # Captures: ours, and those that only the wallet's totals tell of.
    + _row(T.CAPTURE_SUCCEEDED, S.CAPTURING, S.CAPTURED, "nothing_is_under_way", "nothing_more_to_come")
    + _row(T.CAPTURE_SUCCEEDED, S.CAPTURING, S.PARTIALLY_CAPTURED, "nothing_is_under_way", "more_may_come")
    + _row(T.CAPTURE_SUCCEEDED, HOLDING, S.CAPTURED, "nothing_is_held")
    + _row(T.CAPTURE_SUCCEEDED, HOLDING, S.PARTIALLY_CAPTURED, "something_is_held")
    + _row(T.CAPTURE_SUCCEEDED, S.VOIDING, S.CAPTURED, "nothing_is_held")
    + _row(T.CAPTURE_SUCCEEDED, S.REFUNDED, S.PARTIALLY_REFUNDED, "something_is_left")
    + _row(T.CAPTURE_REJECTED, S.CAPTURING, S.AUTHORIZED, "nothing_is_under_way", "nothing_was_captured")
    + _row(
        T.CAPTURE_REJECTED,
        S.CAPTURING,
        S.PARTIALLY_CAPTURED,
        "nothing_is_under_way",
        "something_was_captured",
    )
    # Releases: the end of what is held.
    + _row(T.CANCEL, HOLDING, S.VOIDING, "something_is_held")
    + _row(T.AUTHORIZATION_TIMER, HOLDING, S.VOIDING, "something_is_held")
    + _same(T.AUTHORIZATION_TIMER, (S.CAPTURING,))
    + _same(T.AUTHORIZATION_TIMER, RELEASING, "nothing_is_under_way", "something_is_held")
    + _row(T.WALLET_RELEASED, S.AUTHORIZED, S.EXPIRED, "nothing_is_held")
    + _row(T.WALLET_RELEASED, S.PARTIALLY_CAPTURED, S.CAPTURED, "nothing_is_held")
    + _row(
        T.WALLET_RELEASED,
        S.CAPTURING,
        S.EXPIRED,
        "nothing_is_under_way",
        "nothing_is_held",
        "nothing_was_captured",
    )
    + _row(
        T.WALLET_RELEASED,
        S.CAPTURING,
        S.CAPTURED,
        "nothing_is_under_way",
        "nothing_is_held",
        "something_was_captured",
    )
    + _row(
        T.WALLET_RELEASED,
        S.CAPTURING,
        S.AUTHORIZED,
        "nothing_is_under_way",
        "something_is_held",
        "nothing_was_captured",
    )
    + _row(
        T.WALLET_RELEASED,
        S.CAPTURING,
        S.PARTIALLY_CAPTURED,
        "nothing_is_under_way",
        "something_is_held",
        "something_was_captured",
    )
    + _row(T.WALLET_RELEASED, S.VOIDING, S.EXPIRED, "nothing_is_held", "nothing_was_captured", "by_timer")
    + _row(T.WALLET_RELEASED, S.VOIDING, S.VOIDED, "nothing_is_held", "nothing_was_captured", "not_by_timer")
    + _row(T.WALLET_RELEASED, S.VOIDING, S.CAPTURED, "nothing_is_held", "something_was_captured")
    + _row(T.RELEASE_SUCCEEDED, S.VOIDING, S.EXPIRED, "nothing_is_held", "nothing_was_captured", "by_timer")
    + _row(T.RELEASE_SUCCEEDED, S.VOIDING, S.VOIDED, "nothing_is_held", "nothing_was_captured", "not_by_timer")
    + _row(T.RELEASE_SUCCEEDED, S.VOIDING, S.CAPTURED, "nothing_is_held", "something_was_captured")
    + _same(T.RELEASE_SUCCEEDED, AFTER_CAPTURE)
    + _same(T.RELEASE_REJECTED, RELEASING, "nothing_is_under_way")
    # Refunds: ours, and the wallet's own.
    + _row(
        T.REFUND_REQUESTED,
        (S.PAID, S.CAPTURED, S.PARTIALLY_REFUNDED),
        S.REFUNDING,
        "nothing_is_under_way",
        "something_can_be_refunded",
    )
    + _row(T.REFUND_SUCCEEDED, S.REFUNDING, S.REFUNDED, "nothing_is_under_way", "everything_was_refunded")
    + _row(T.REFUND_SUCCEEDED, S.REFUNDING, S.PARTIALLY_REFUNDED, "nothing_is_under_way", "something_is_left")
    + _row(T.REFUND_REJECTED, S.REFUNDING, S.PARTIALLY_REFUNDED, "nothing_is_under_way", "something_was_refunded")
    + _row(
        T.REFUND_REJECTED,
        S.REFUNDING,
        S.CAPTURED,
        "nothing_is_under_way",
        "nothing_was_refunded",
        "is_a_preauth",
    )
    + _row(T.REFUND_REJECTED, S.REFUNDING, S.PAID, "nothing_is_under_way", "nothing_was_refunded", "is_a_payment")
    + _row(T.WALLET_REFUNDED, (S.PAID, S.CAPTURED, S.PARTIALLY_REFUNDED), S.REFUNDED, "everything_was_refunded")
    + _row(
        T.WALLET_REFUNDED,
        (S.PAID, S.CAPTURED, S.PARTIALLY_REFUNDED),
        S.PARTIALLY_REFUNDED,
        "something_is_left",
    )
    + _row(T.WALLET_REFUNDED, S.REFUNDING, S.REFUNDED, "nothing_is_under_way", "everything_was_refunded")
    + _row(T.WALLET_REFUNDED, S.REFUNDING, S.PARTIALLY_REFUNDED, "nothing_is_under_way", "something_is_left")
    # What can happen to any operation, and what a person can do in any state.
    + _same(T.OPERATION_UNKNOWN, (S.EXPIRING, S.CAPTURING, S.REFUNDING, *RELEASING))
    + _same(T.OPERATOR_RESOLVED, tuple(S))
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table, as the guards and the documents read it."""

    trigger: T
    source: S
    dest: S
    conditions: tuple[str, ...]


ROWS: dict[tuple[S, T], tuple[Row, ...]] = {}
for _each in TRANSITIONS:
    _read = Row(_each["trigger"], _each["source"], _each["dest"], tuple(_each["conditions"]))
    ROWS[_read.source, _read.trigger] = (*ROWS.get((_read.source, _read.trigger), ()), _read)

MACHINE = Machine(
    model=None,
    states=S,
    transitions=[dict(each) for each in TRANSITIONS],
    initial=S.CREATED,
    auto_transitions=False,
    send_event=False,
)
_EVENTS = {T(name): event for name, event in MACHINE.events.items()}


def has_row(state: S, trigger: T) -> bool:
    """Whether the table knows the trigger in the state, whatever its guards say."""
    return (state, trigger) in ROWS


def may_fire(order: Order, trigger: T) -> bool:
    """Whether the table has a row for the order as it is, with guards that hold."""
    rows = ROWS.get((order.state, trigger))
    if rows is None:
        return False
    for row in rows:
        for guard in row.conditions:
            if not getattr(order, guard)():
                break
        else:
            return True
    return False


def fire(order: Order, trigger: T) -> None:
    """Moves the order's state as the table says; raises IllegalTransitionError where it says nothing.

    `transitions` itself answers False, in silence, when a guard refuses.
    """
    if (order.state, trigger) not in ROWS:
        raise IllegalTransitionError(f"no row for {trigger} in {order.state} (order {order.order_id})")
    if not _EVENTS[trigger].trigger(order):
        raise IllegalTransitionError(f"every guard refuses {trigger} in {order.state} (order {order.order_id})")
