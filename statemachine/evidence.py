"""What a wallet says, compared with the order and merged into its facts. Totals are set, never added to."""

from dataclasses import dataclass
from datetime import timedelta

from schemas.money import to_decimal
from schemas.vocabulary import Disposition, Flag, Kind, OperationKind, OperationState, Outcome, State, Trigger
from statemachine import outcomes
from statemachine.doubts import resolve
from statemachine.inputs import EvidenceSource, Trade, WalletEvidence
from statemachine.naming import named_by
from statemachine.operations import (
    SEEN_IN_TOTALS,
    account_for_growth,
    end,
    make_room,
)
from statemachine.order import Operation, Order
from statemachine.turn import Turn


@dataclass(slots=True)
class Totals:
    """The facts as they are to be, in minor units."""

    frozen: int
    taken: int
    released: int
    refunded: int


def take_evidence(turn: Turn, said: WalletEvidence) -> None:
    """Compares, merges, moves. A callback always leaves an entry, an answer only when it told news."""
    order = turn.order
    is_callback = said.source is EvidenceSource.CALLBACK
    totals = totals_after(order, said)
    mismatch = compare(order, said, totals)
    if mismatch:
        if is_callback or Flag.AMOUNT_MISMATCH not in order.flags:
            turn.flag(Flag.AMOUNT_MISMATCH)
            turn.note(named_by(order, said), Disposition.FLAGGED, mismatch)
        return
    order.wallet_trade_no = order.wallet_trade_no or said.trade_no
    order.wallet_auth_no = order.wallet_auth_no or said.auth_no
    needs_no_person = resolve(turn, said)
    # Before anything is merged: afterwards the totals are the larger ones.
    if _may_be_old(order, said):
        turn.doubt()
    if totals.frozen > order.frozen_minor:
        _frozen(turn, totals.frozen)
    outcomes.take_success(turn, said)
    if totals.taken > order.taken_minor:
        _taken(turn, totals.taken)
    if totals.released > order.released_minor:
        _released(turn, totals.released)
    if totals.refunded > order.refunded_minor:
        _refunded(turn, totals.refunded)
    outcomes.take_other_outcome(turn, said)
    outcomes.take_trade(turn, said)
    if is_callback and not turn.entries:
        turn.note(named_by(order, said), Disposition.ABSORBED, "the wallet says nothing new")
    elif needs_no_person and not turn.entries:
        turn.note(named_by(order, said), Disposition.ABSORBED, "the wallet has answered")


def _may_be_old(order: Order, said: WalletEvidence) -> bool:
    """Whether a callback's totals tell of money in which something of ours is counted.

    It says how it was when it was made. Whether that was before ours or after it does not say, so the larger of
    the two may be too little, and two that are equal may be two; only the totals of now can tell.
    """
    if said.source is not EvidenceSource.CALLBACK or said.request_no is not None:
        return False
    return any(
        by_us_minor and total_minor
        for total_minor, by_us_minor in (
            (said.total_taken_minor, order.captured_by_us_minor),
            (said.total_released_minor, order.released_by_us_minor),
            (said.total_refunded_minor, order.refunded_by_us_minor),
        )
    )


def totals_after(order: Order, said: WalletEvidence) -> Totals:
    """The larger of what is known and what is said, with what a status implies where no total is given."""
    frozen, taken, refunded = said.total_frozen_minor, said.total_taken_minor, said.total_refunded_minor
    if said.order_amount_minor is not None:
        # A status is only worth the amount that it is said of.
        if taken is None and said.trade is Trade.PAID and order.kind is Kind.PAYMENT:
            taken = said.order_amount_minor
        if frozen is None and said.trade is Trade.FROZEN and order.kind is Kind.PREAUTH:
            frozen = said.order_amount_minor
    if taken is None and refunded and order.kind is Kind.PAYMENT:
        # What went back had been paid: a fully refunded trade may be told of as closed, without the payment.
        taken = order.amount_minor
    return Totals(
        max(order.frozen_minor, frozen or 0),
        max(order.taken_minor, taken or 0),
        max(order.released_minor, said.total_released_minor or 0),
        max(order.refunded_minor, refunded or 0),
    )


def compare(order: Order, said: WalletEvidence, totals: Totals) -> str:
    """Why the evidence cannot be about this order's money; empty when it can."""
    if said.order_id != order.order_id:
        return f"the wallet speaks of order {said.order_id}"
    if said.currency is not None and said.currency != order.currency:
        return f"the wallet says {said.currency}, the order is in {order.currency}"
    if said.order_amount_minor is not None and said.order_amount_minor != order.amount_minor:
        return f"the wallet says {_money(said.order_amount_minor, order)}, {_the_order_is(order)}"
    operation = order.operation if _is_of_live(order, said) else None
    if operation is not None and operation.kind is not OperationKind.CLOSE:
        amount_minor = said.request_amount_minor
        if amount_minor is not None and amount_minor != operation.amount_minor:
            return (
                f"the wallet says {_money(amount_minor, order)} of {operation.id}, "
                f"which is over {_money(operation.amount_minor, order)}"
            )
        if said.outcome is Outcome.SUCCEEDED:
            totals = _with_success(order, totals)
    return _breaks_a_rule(order, said, totals)


def _is_of_live(order: Order, said: WalletEvidence) -> bool:
    return order.operation is not None and order.operation.id == said.request_no


def _with_success(order: Order, totals: Totals) -> Totals:
    operation = order.operation
    assert operation is not None
    after = Totals(totals.frozen, totals.taken, totals.released, totals.refunded)
    if operation.kind is OperationKind.CAPTURE:
        after.taken = max(after.taken, order.captured_by_us_minor + operation.amount_minor)
    elif operation.kind is OperationKind.RELEASE:
        after.released = max(after.released, order.released_by_us_minor + operation.amount_minor)
    else:
        after.refunded = max(after.refunded, order.refunded_by_us_minor + operation.amount_minor)
    return after


def _breaks_a_rule(order: Order, said: WalletEvidence, totals: Totals) -> str:
    given = (
        said.total_frozen_minor,
        said.total_taken_minor,
        said.total_released_minor,
        said.total_refunded_minor,
    )
    if any(each is not None and each < 0 for each in given):
        return "the wallet says a negative total"
    if order.kind is Kind.PAYMENT:
        if totals.frozen or totals.released:
            return "the wallet says that something was frozen or released, and the order is a payment"
        if totals.taken not in (0, order.amount_minor):
            return f"the wallet says {_money(totals.taken, order)} was paid, {_the_order_is(order)}"
    else:
        if totals.frozen not in (0, order.amount_minor):
            return f"the wallet says {_money(totals.frozen, order)} is frozen, {_the_order_is(order)}"
        if totals.taken + totals.released > totals.frozen:
            return (
                f"the wallet's totals, {_money(totals.taken, order)} captured and "
                f"{_money(totals.released, order)} released, exceed what was frozen"
            )
    if totals.refunded > totals.taken:
        return f"the wallet says {_money(totals.refunded, order)} was refunded, more than was taken"
    return ""


def _the_order_is(order: Order) -> str:
    return f"the order is {_money(order.amount_minor, order)}"


def _money(amount_minor: int, order: Order) -> str:
    if amount_minor < 0:
        return f"{amount_minor} minor units of {order.currency}"
    return f"{to_decimal(amount_minor, order.currency)} {order.currency}"


def _frozen(turn: Turn, total: int) -> None:
    order = turn.order
    late = order.state not in (State.CREATED, State.PAYING)
    order.frozen_minor = total
    ended = _supersede_close(turn, "the amount was frozen first")
    if late:
        turn.flag(Flag.LATE_AUTHORIZATION)
    life_s = order.authorization_timeout_s
    order.authorization_deadline = turn.now + timedelta(seconds=life_s)
    order.queries = 0
    # Near its end an authorization is warned about, and asked about.
    warning_s = life_s * (1 - turn.policy.authorization_warning_share)
    order.next_query_at = turn.now + timedelta(seconds=warning_s)
    turn.learn(Trigger.AUTHORIZATION_GRANTED, "later than the order waited" if late else "", ended)


def _supersede_close(turn: Turn, reason: str) -> Operation | None:
    live = turn.order.operation
    if live is None or live.kind is not OperationKind.CLOSE:
        return None
    return end(turn, OperationState.SUPERSEDED, reason)


def _taken(turn: Turn, total: int) -> None:
    order = turn.order
    growth = total - order.taken_minor
    order.taken_minor = total
    if order.kind is Kind.PAYMENT:
        ended = _supersede_close(turn, "it was paid first")
        late = order.state in (State.EXPIRED, State.CLOSED)
        if late:
            turn.flag(Flag.LATE_PAYMENT)
        order.next_query_at = None
        turn.learn(Trigger.PAYMENT_SUCCEEDED, "after the order had ended" if late else "", ended)
        return
    ended = make_room(turn)
    account_for_growth(turn, OperationKind.CAPTURE, growth)
    if _is_awaited(turn, OperationKind.CAPTURE, growth):
        turn.note(Trigger.CAPTURE_SUCCEEDED, Disposition.ABSORBED, _AWAITED, order.operation)
        return
    if ended is None or ended.state is not OperationState.SUCCEEDED:
        # Somebody captured past us, on the wallet's own console: it counts, and a person should know.
        turn.flag(Flag.NEEDS_REVIEW)
    turn.learn(Trigger.CAPTURE_SUCCEEDED, SEEN_IN_TOTALS, ended)


_AWAITED = "the wallet's total has grown; what became of the operation is still asked"


def _is_awaited(turn: Turn, kind: OperationKind, growth_minor: int) -> bool:
    """Whether a live operation of ours may be what made a total grow: then its own answer decides."""
    live = turn.order.operation
    return live is not None and live.kind is kind and live.attempts > 0 and growth_minor == live.amount_minor


def _released(turn: Turn, total: int) -> None:
    order = turn.order
    order.released_minor = total
    ended = make_room(turn)
    if order.held_minor == 0:
        turn.unflag(Flag.RELEASE_REJECTED)
    succeeded = ended is not None and ended.state is OperationState.SUCCEEDED
    if ended is not None and succeeded and ended.kind is OperationKind.CAPTURE:
        # The total had grown by what was sent, and the wallet let go of the rest: a final capture, done.
        turn.learn(Trigger.CAPTURE_SUCCEEDED, SEEN_IN_TOTALS, ended)
        turn.learn(Trigger.WALLET_RELEASED, "the wallet released the rest")
    elif succeeded:
        # A release is always of all that is held, so that none is left live beside what was released now.
        turn.learn(Trigger.RELEASE_SUCCEEDED, SEEN_IN_TOTALS, ended)
    else:
        turn.learn(Trigger.WALLET_RELEASED, "the wallet released by itself", ended)


def _refunded(turn: Turn, total: int) -> None:
    order = turn.order
    growth = total - order.refunded_minor
    order.refunded_minor = total
    ended = make_room(turn)
    account_for_growth(turn, OperationKind.REFUND, growth)
    if _is_awaited(turn, OperationKind.REFUND, growth):
        turn.note(Trigger.REFUND_SUCCEEDED, Disposition.ABSORBED, _AWAITED, order.operation)
    elif ended is not None and ended.state is OperationState.SUCCEEDED:
        turn.learn(Trigger.REFUND_SUCCEEDED, SEEN_IN_TOTALS, ended)
    else:
        turn.flag(Flag.REFUND_BY_WALLET)
        turn.learn(Trigger.WALLET_REFUNDED, "the wallet refunded by itself", ended)
