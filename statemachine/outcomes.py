"""The parts of evidence that are not totals: how an operation of ours went, and how the trade stands."""

from schemas.vocabulary import Disposition, Flag, OperationKind, OperationState, Outcome, State, Trigger
from statemachine.inputs import EvidenceSource, Trade, WalletEvidence
from statemachine.lifecycle import ENDED_UNPAID, RELEASING
from statemachine.naming import is_about_the_order
from statemachine.operations import (
    NO_ANSWER,
    REJECTED_FLAG,
    REJECTED_TRIGGER,
    SUCCEEDED_TRIGGER,
    begin_close,
    change,
    end,
    refusals,
    reject,
    succeed,
)
from statemachine.order import Operation
from statemachine.sweeps import give_close_up
from statemachine.turn import Turn


def _live(turn: Turn, said: WalletEvidence) -> Operation | None:
    operation = turn.order.operation
    if operation is None or operation.id != said.request_no:
        return None
    # What the totals of this very message have begun is not what the wallet speaks of.
    is_new = operation.state is OperationState.RESERVED and operation.id in turn.operations
    return None if is_new else operation


def take_success(turn: Turn, said: WalletEvidence) -> None:
    """A capture, release or refund that happened. Closes come later: a payment goes before one."""
    if said.outcome is not Outcome.SUCCEEDED or said.request_no is None:
        return
    operation = _live(turn, said)
    if operation is None:
        _doubt_a_rejection(turn)
    elif operation.kind is not OperationKind.CLOSE:
        ended = succeed(turn)
        turn.move(SUCCEEDED_TRIGGER[ended.kind], "", ended)


def _doubt_a_rejection(turn: Turn) -> None:
    """A success of what is not live counts nothing, but may contradict a rejection: ask for the totals."""
    if not turn.order.flags.isdisjoint(REJECTED_FLAG.values()):
        turn.doubt()


def take_other_outcome(turn: Turn, said: WalletEvidence) -> None:
    """Rejected, unknown, or a close that succeeded. Pending is no news."""
    operation = _live(turn, said)
    if operation is None:
        return
    if operation.kind is OperationKind.CLOSE:
        if said.trade in (Trade.MISSING, Trade.CLOSED):
            return
        if said.outcome is Outcome.SUCCEEDED:
            turn.move(Trigger.CLOSE_SUCCEEDED, turn.order.ending_in_words(), succeed(turn))
            return
    if said.source is EvidenceSource.CALLBACK:
        # A callback is not asked for and may be old: only an answer to a question is final about a rejection.
        return
    if said.outcome is Outcome.REJECTED:
        ended = reject(turn, said.code)
        if ended.kind is OperationKind.CAPTURE and said.source is EvidenceSource.REPLY:
            # An earlier call under this number may have gone through, and the wallet's word be about the repeat.
            turn.doubt()
        turn.move(REJECTED_TRIGGER[ended.kind], said.code and f"the wallet says {said.code}", ended)
    elif said.outcome is Outcome.UNKNOWN:
        _unknown(turn, operation, f"the answer says nothing: {said.code}" if said.code else NO_ANSWER)


def _unknown(turn: Turn, operation: Operation, why: str) -> None:
    now_unknown = change(turn, operation, state=OperationState.UNKNOWN, reason=operation.reason or why)
    if not operation.reason:
        turn.move(Trigger.OPERATION_UNKNOWN, why, now_unknown)


def _is_of_a_close(turn: Turn, said: WalletEvidence) -> bool:
    operation = _live(turn, said)
    return operation is not None and operation.kind is OperationKind.CLOSE


def take_trade(turn: Turn, said: WalletEvidence) -> None:
    """What the status says beside the totals: closed, missing, failed, or still open when we are closing."""
    order = turn.order
    trade = said.trade
    if not (is_about_the_order(said) or _is_of_a_close(turn, said)):
        return
    if order.frozen_minor or order.taken_minor:
        _release_again(turn, said)
    elif trade is Trade.CLOSED:
        _confirm_closed(turn, Trigger.WALLET_CLOSED, "the wallet closed it")
    elif trade is Trade.MISSING and order.pay_deadline is not None and said.occurred_at >= order.pay_deadline:
        # Only when the wallet was asked after it would let anybody pay does "no such trade" prove something. An
        # answer can be late: that it is decided upon after the deadline proves nothing.
        _confirm_closed(turn, Trigger.CLOSE_SUCCEEDED, order.ending_in_words())
    elif trade is Trade.FAILED and said.source is EvidenceSource.CALLBACK:
        turn.learn(Trigger.PAYMENT_FAILED, said.code)
        turn.query = turn.query or order.state in (State.PAYING, State.EXPIRING)
    elif trade in (Trade.PAID, Trade.FROZEN):
        # A status without an amount is not booked; a question brings the amounts.
        if said.source is not EvidenceSource.QUERY:
            turn.doubt()
    else:
        _close_again(turn, said)


def _confirm_closed(turn: Turn, trigger: Trigger, reason: str) -> None:
    order = turn.order
    if order.state in ENDED_UNPAID:
        if order.the_close_is_unconfirmed():
            order.next_query_at = None
            turn.move(trigger, reason)
        return
    if order.state is State.EXPIRING:
        live = order.operation
        ended = None
        if live is not None:
            done = OperationState.SUCCEEDED if live.attempts else OperationState.SUPERSEDED
            ended = end(turn, done, reason)
        turn.move(trigger, reason, ended)
    elif trigger is Trigger.WALLET_CLOSED:
        turn.learn(trigger, reason)


def _is_later_question(turn: Turn, said: WalletEvidence) -> bool:
    """An answer about the order as a whole, asked for by its timer since the wallet last said no."""
    order = turn.order
    is_question = said.source is EvidenceSource.QUERY and is_about_the_order(said)
    return is_question and order.operation is None and order.queries > 0


def _close_again(turn: Turn, said: WalletEvidence) -> None:
    order = turn.order
    if order.state is not State.EXPIRING or said.trade is None or not _is_later_question(turn, said):
        return
    if refusals(order, OperationKind.CLOSE) >= turn.policy.close_sweeps:
        give_close_up(turn, "the wallet refuses to close it")
        return
    turn.move(Trigger.PAY_TIMER, "closing again: the wallet still shows it open")
    turn.show_in_last_entry(begin_close(turn))
    order.next_query_at = None


def _release_again(turn: Turn, said: WalletEvidence) -> None:
    order = turn.order
    if order.state not in RELEASING or order.held_minor == 0 or not _is_later_question(turn, said):
        return
    if refusals(order, OperationKind.RELEASE) >= turn.policy.close_sweeps:
        order.next_query_at = None
        turn.flag(Flag.NEEDS_REVIEW)
        turn.note(Trigger.RELEASE_REJECTED, Disposition.FLAGGED, "refused too often: a person has to look")
        return
    turn.unflag(Flag.RELEASE_REJECTED)
    turn.move(Trigger.AUTHORIZATION_TIMER, "releasing again: the wallet still shows it held")
