"""What we ask of a wallet: begun with a request number and an amount that stay, ended only with evidence."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.identifiers import request_number
from schemas.vocabulary import Flag, OperationKind, OperationState, Trigger
from statemachine.order import Operation, Order

if TYPE_CHECKING:
    from statemachine.turn import Turn

LETTERS = {
    OperationKind.CAPTURE: "C",
    OperationKind.RELEASE: "R",
    OperationKind.CLOSE: "V",
    OperationKind.REFUND: "B",
}
SUCCEEDED_TRIGGER = {
    OperationKind.CLOSE: Trigger.CLOSE_SUCCEEDED,
    OperationKind.CAPTURE: Trigger.CAPTURE_SUCCEEDED,
    OperationKind.RELEASE: Trigger.RELEASE_SUCCEEDED,
    OperationKind.REFUND: Trigger.REFUND_SUCCEEDED,
}
REJECTED_TRIGGER = {
    OperationKind.CLOSE: Trigger.CLOSE_REJECTED,
    OperationKind.CAPTURE: Trigger.CAPTURE_REJECTED,
    OperationKind.RELEASE: Trigger.RELEASE_REJECTED,
    OperationKind.REFUND: Trigger.REFUND_REJECTED,
}
REJECTED_FLAG = {
    OperationKind.CAPTURE: Flag.CAPTURE_REJECTED,
    OperationKind.RELEASE: Flag.RELEASE_REJECTED,
    OperationKind.REFUND: Flag.REFUND_REJECTED,
}
# Each kind's total, and how much of it is accounted for (see Order). A close moves no money.
TOTALS = {
    OperationKind.CAPTURE: ("taken_minor", "captured_by_us_minor"),
    OperationKind.RELEASE: ("released_minor", "released_by_us_minor"),
    OperationKind.REFUND: ("refunded_minor", "refunded_by_us_minor"),
}
GIVEN_UP = "nobody knows what became of it: a person has to look"
NO_ANSWER = "the answer was lost"
SEEN_IN_TOTALS = "seen in the wallet's totals"


def begin(turn: "Turn", kind: OperationKind, amount_minor: int, *, complete: bool = False) -> Operation:
    """Reserves the next request number of the kind; the order must have no other live operation."""
    order = turn.order
    assert order.operation is None, f"{order.operation} is live, {kind} cannot begin"
    letter = LETTERS[kind]
    n = order.request_counts.get(letter, 0) + 1
    order.request_counts = {**order.request_counts, letter: n}
    names = TOTALS.get(kind)
    if names is not None:
        total, accounted = names
        setattr(order, accounted, getattr(order, total))
    operation = Operation(request_number(order.order_id, letter, n), kind, amount_minor, complete=complete)
    return _now_is(turn, operation)


def begin_close(turn: "Turn") -> Operation:
    """Asks the wallet to let nobody pay any more. It moves no money, so its amount is 0."""
    return begin(turn, OperationKind.CLOSE, 0)


def begin_release(turn: "Turn") -> Operation:
    """Gives back everything that is still held."""
    return begin(turn, OperationKind.RELEASE, turn.order.held_minor)


def begin_waiting_capture(turn: "Turn") -> Operation:
    """Captures what the first waiting completion cost, or as much of it as is held."""
    order = turn.order
    completion, *rest = order.waiting
    order.waiting = tuple(rest)
    order.final = order.final or completion.final
    if completion.amount_minor > order.held_minor:
        turn.flag(Flag.SHORTFALL)
        turn.remark = f"{completion.amount_minor - order.held_minor} more than is held"
    amount_minor = min(completion.amount_minor, order.held_minor)
    return begin(turn, OperationKind.CAPTURE, amount_minor, complete=completion.final)


def change(turn: "Turn", operation: Operation, **changes: object) -> Operation:
    """The live operation a step further on: attempts, state, reason. Id, kind and amount never change."""
    return _now_is(turn, replace(operation, **changes))  # type: ignore[arg-type]


def _now_is(turn: "Turn", operation: Operation) -> Operation:
    turn.order.operation = operation
    turn.operations[operation.id] = operation
    return operation


def end(turn: "Turn", state: OperationState, reason: str = "") -> Operation:
    """Ends the live operation. Facts are the caller's business, and come before."""
    order = turn.order
    live = order.operation
    assert live is not None, "no operation is live that could end"
    # A person may still have to look for another reason: the wallet will not let go of what is held.
    if live.reason == GIVEN_UP and Flag.RELEASE_REJECTED not in order.flags:
        turn.unflag(Flag.NEEDS_REVIEW)
    ended = replace(live, state=state, reason=reason)
    order.operation = None
    turn.operations[ended.id] = ended
    return ended


def succeed(turn: "Turn", reason: str = "") -> Operation:
    """Ends the live operation as done, and makes the totals at least what that means."""
    order = turn.order
    ended = end(turn, OperationState.SUCCEEDED, reason)
    names = TOTALS.get(ended.kind)
    if names is not None:
        total, accounted = names
        known, before = getattr(order, total), getattr(order, accounted)
        setattr(order, accounted, before + ended.amount_minor)
        setattr(order, total, max(known, before + ended.amount_minor))
        # The total had grown beside the operation, perhaps by it and perhaps not: only the wallet can say. And what
        # it answers about an older doubt may be from before this success, to which it would then be added.
        if known > before or order.doubt is not None:
            turn.doubt()
    if order.held_minor == 0:
        turn.unflag(Flag.RELEASE_REJECTED)
    return ended


def account_for_growth(turn: "Turn", kind: OperationKind, growth_minor: int) -> None:
    """Accounts for what a total grew by that the live operation of that kind can certainly not have done."""
    live = turn.order.operation
    if live is None or live.kind is not kind:
        return
    total, accounted = TOTALS[kind]
    if live.attempts == 0:
        setattr(turn.order, accounted, getattr(turn.order, total))
    else:
        covers = growth_minor >= live.amount_minor
        not_ours_minor = growth_minor - live.amount_minor if covers else growth_minor
        setattr(turn.order, accounted, getattr(turn.order, accounted) + not_ours_minor)


def reject(turn: "Turn", reason: str = "") -> Operation:
    """Ends the live operation as refused by the wallet, and lets the order not sleep for ever."""
    order = turn.order
    ended = end(turn, OperationState.REJECTED, reason)
    flag = REJECTED_FLAG.get(ended.kind)
    if flag is not None:
        turn.flag(flag)
    if ended.kind is OperationKind.CAPTURE:
        # Nothing of the final completion was captured, so there may be another one.
        order.final = False
    elif ended.kind in (OperationKind.CLOSE, OperationKind.RELEASE):
        # The next question comes soon, and later for every time that the wallet has said no.
        turn.query = True
        order.queries = 0
        order.next_query_at = turn.now + timedelta(seconds=query_wait_s(turn, refusals(order, ended.kind) - 1))
    return ended


def refusals(order: Order, kind: OperationKind) -> int:
    """How many operations of the kind there have been, which is what retries are bounded by."""
    return order.request_counts.get(LETTERS[kind], 0)


def query_wait_s(turn: "Turn", doublings: int) -> float:
    """Doubling from the first interval to the longest."""
    policy = turn.policy
    # 2**30 s are decades, and a float would overflow far beyond.
    return float(min(policy.longest_query_s, policy.first_query_s * 2 ** min(doublings, 30)))


def make_room(turn: "Turn") -> Operation | None:
    """Ends the live operation when the totals, just grown, leave no room for it; answers it as it ended.

    An operation that had been sent, and that its total has grown by since, now or with earlier evidence, is what
    the wallet speaks of. One that no longer fits and is not covered can never happen any more.
    """
    order = turn.order
    live = order.operation
    if live is None or live.kind is OperationKind.CLOSE:
        return None
    if live.kind is OperationKind.REFUND:
        fits = order.refunded_minor + live.amount_minor <= order.taken_minor
    else:
        fits = live.amount_minor <= order.held_minor
    if fits:
        return None
    total, accounted = TOTALS[live.kind]
    if live.attempts > 0 and getattr(order, total) - getattr(order, accounted) >= live.amount_minor:
        return succeed(turn, SEEN_IN_TOTALS)
    if live.kind is OperationKind.CAPTURE:
        turn.flag(Flag.CAPTURE_REJECTED)
        order.final = False
    return end(turn, OperationState.SUPERSEDED, "the wallet's totals leave no room for it")
