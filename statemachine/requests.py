"""What upstream asks for: create, issue, cancel, refund; and what the buyer's client said."""

from datetime import datetime, timedelta

from schemas.money import to_decimal
from schemas.vocabulary import Disposition, OperationKind, State, Trigger
from statemachine.inputs import CancelRequested, ClientResult, IssueRequested, OrderCreated, RefundRequested
from statemachine.lifecycle import ENDED_UNPAID, may_fire
from statemachine.operations import begin
from statemachine.order import BY_CANCEL, Order
from statemachine.seen import REFUND, remember
from statemachine.turn import Turn

# Where an order stands, as an upstream developer reads it in "refused because the order …".
STANDING = {
    State.CREATED: "has not been issued yet",
    State.PAYING: "is waiting for the buyer to pay",
    State.EXPIRING: "is being closed already",
    State.PAID: "is already paid",
    State.AUTHORIZED: "is authorized and nothing has been captured",
    State.CAPTURING: "has a capture under way",
    State.PARTIALLY_CAPTURED: "is partially captured",
    State.CAPTURED: "is already captured",
    State.VOIDING: "is being released already",
    State.VOIDED: "has been voided",
    State.REFUNDING: "has a refund under way",
    State.PARTIALLY_REFUNDED: "has been partially refunded",
    State.REFUNDED: "has been refunded",
    State.EXPIRED: "has expired",
    State.CLOSED: "is closed",
}


def order_from(created: OrderCreated, now: datetime) -> Order:
    """The order as upstream has made it; nothing is journaled yet."""
    return Order(
        created.order_id,
        created.kind,
        created.profile,
        created.currency,
        created.amount_minor,
        created.subject,
        created.pay_timeout_s,
        created.pay_window_s,
        created.authorization_timeout_s,
        created.late_payment,
        now,
        created.metadata,
    )


def refuse(turn: Turn, trigger: Trigger, why: str) -> None:
    """An answer that upstream can read, as a journal entry."""
    turn.note(trigger, Disposition.REFUSED, f"refused because {why}")


def _refuse_here(turn: Turn, trigger: Trigger) -> None:
    refuse(turn, trigger, f"the order {STANDING[turn.order.state]}")


def pay_time(turn: Turn) -> timedelta:
    """How long the buyer can pay: as long as the wallet lets them, and the grace."""
    return timedelta(seconds=turn.order.pay_window_s + turn.policy.pay_grace_s)


def take_creation(turn: Turn, created: OrderCreated) -> None:
    """Version 1; with `issue` version 2, and the order is out."""
    turn.order.pay_deadline = turn.now + pay_time(turn)
    turn.note_creation()
    if created.issue:
        _issue(turn)


def take_second_creation(turn: Turn, _: OrderCreated) -> None:
    """Another event that would create an order which is there."""
    refuse(turn, Trigger.CREATE, "the order exists already")


def take_issue(turn: Turn, _: IssueRequested) -> None:
    """The order string is to go out."""
    if may_fire(turn.order, Trigger.ISSUE):
        _issue(turn)
    elif turn.order.issued_at is not None and turn.order.state is State.PAYING:
        refuse(turn, Trigger.ISSUE, "the order has been issued already")
    else:
        _refuse_here(turn, Trigger.ISSUE)


def _issue(turn: Turn) -> None:
    order = turn.order
    order.issued_at = turn.now
    order.pay_deadline = turn.now + pay_time(turn)
    order.next_query_at = turn.now + timedelta(seconds=turn.policy.first_query_s)
    turn.move(Trigger.ISSUE)


def take_cancel(turn: Turn, asked: CancelRequested) -> None:
    """The order is no longer wanted: closed, being closed, or what is held is given back."""
    order = turn.order
    if not may_fire(order, Trigger.CANCEL):
        _refuse_here(turn, Trigger.CANCEL)
        return
    order.ending = BY_CANCEL
    turn.move(Trigger.CANCEL, f"by cancel: {asked.reason}" if asked.reason else "by cancel")


def take_client_result(turn: Turn, said: ClientResult) -> None:
    """A hint and no proof, not even 9000: where the money is still open it leads to a question."""
    order = turn.order
    turn.query = order.state in (State.PAYING, State.EXPIRING, *ENDED_UNPAID)
    turn.learn(Trigger.CLIENT_RESULT, f"the buyer's client says {said.result_code}")


def take_refund(turn: Turn, asked: RefundRequested) -> None:
    """Money is to go back: one refund at a time, and never more than is left."""
    order = turn.order
    left_minor = order.taken_minor - order.refunded_minor
    if asked.currency != order.currency:
        refuse(turn, Trigger.REFUND_REQUESTED, f"the order is in {order.currency}, not in {asked.currency}")
    elif order.operation is not None:
        refuse(
            turn,
            Trigger.REFUND_REQUESTED,
            f"the {order.operation.kind} {order.operation.id} is under way; ask again when it has ended",
        )
    elif not may_fire(order, Trigger.REFUND_REQUESTED):
        _refuse_here(turn, Trigger.REFUND_REQUESTED)
    elif not 0 < asked.amount_minor <= left_minor:
        refuse(
            turn,
            Trigger.REFUND_REQUESTED,
            f"{to_decimal(left_minor, order.currency)} {order.currency} can be refunded, "
            f"not {to_decimal(max(asked.amount_minor, 0), order.currency)}",
        )
    else:
        # Only a refund that is begun is remembered by its own id: a refused one may be asked for again.
        remember(order, REFUND, asked.refund_id)
        turn.move(Trigger.REFUND_REQUESTED, asked.reason)
        turn.show_in_last_entry(begin(turn, OperationKind.REFUND, asked.amount_minor))
