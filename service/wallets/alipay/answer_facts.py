"""What a verified answer says: of an operation of ours, or of the order as a whole.

Source: the response tables of each method. A 10000 only says that the call was made: a query that succeeded
is not a payment, and a refund query that succeeded is not a refund.
"""

from dataclasses import replace
from typing import Final

from schemas.identifiers import request_number
from schemas.money import InvalidMoneyError, from_decimal
from schemas.vocabulary import OperationKind, Outcome
from service.wallets.alipay import terms
from service.wallets.alipay.answer import Node
from service.wallets.alipay.codes import Verdict, verdict
from service.wallets.alipay.movements import (
    freeze_trade,
    movement_outcome,
    released,
    trade_outcome,
    trade_standing,
)
from service.wallets.question import NotAnAnswerError, Question
from statemachine.inputs import Trade, WalletEvidence


def evidence_of(asked: Question, node: Node) -> WalletEvidence:
    """The evidence in a verified answer; UNKNOWN for what cannot be understood."""
    match verdict(node.code, node.text("sub_code") or ""):
        case Verdict.MADE:
            try:
                return _made(asked, node)
            except (NotAnAnswerError, InvalidMoneyError) as error:
                return asked.unknown(str(error)[:100])
        case Verdict.MISSING:
            return _missing(asked, node)
        case Verdict.PENDING:
            return asked.evidence(node.reason, Outcome.PENDING)
        case Verdict.REJECTED if not asked.request.is_query:
            return asked.evidence(node.reason, Outcome.REJECTED)
    # A question that was refused says nothing of what it asked about.
    return asked.unknown(node.reason)


def _missing(asked: Question, node: Node) -> WalletEvidence:
    """No such trade: it never arrived, or the buyer has not acted. A call that takes of it is refused."""
    operation = asked.request.operation
    if operation is None:
        return replace(asked.evidence(node.reason), trade=Trade.MISSING)
    if not asked.request.is_query and operation.kind is not OperationKind.CLOSE:
        return asked.evidence(node.reason, Outcome.REJECTED)
    return replace(asked.evidence(node.reason, Outcome.PENDING), trade=Trade.MISSING)


def _made(asked: Question, node: Node) -> WalletEvidence:
    read = _READERS.get(asked.request.call)
    if read is None:
        raise NotAnAnswerError("no reader for this method")
    said = read(asked, node)
    return replace(
        said,
        trade_no=node.text("trade_no"),
        auth_no=node.text("auth_no"),
        currency=node.text("trans_currency"),
    )


def _minor(asked: Question, node: Node, name: str) -> int | None:
    """An amount in minor units of the order's currency; None when it is not said."""
    value = node.members.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise NotAnAnswerError(f"{name} is not a string")
    return from_decimal(value, asked.order.currency)


def _check_number(node: Node, name: str, expected: str) -> None:
    """A genuine answer to another question is no answer to this one."""
    said = node.text(name)
    if said is not None and said != expected:
        raise NotAnAnswerError(f"it speaks of another {name}")


# ----------------------------------------------------------------------------------------------------- trades


def _trade_query(asked: Question, node: Node) -> WalletEvidence:
    operation = asked.request.operation
    is_capture = operation is not None and operation.kind is OperationKind.CAPTURE
    _check_number(node, "out_trade_no", operation.id if operation and is_capture else asked.order.order_id)
    status = node.text("trade_status") or ""
    total_minor = _minor(asked, node, "total_amount")
    trade, refunded_minor = trade_standing(
        status,
        total_minor,
        _minor(asked, node, "refund_fee"),
        # Our own facts count, too: what we know to be paid cannot have ended unpaid.
        was_paid=node.text("send_pay_date") is not None or (asked.order.taken_minor > 0 and not is_capture),
    )
    if trade is None:
        return asked.unknown(f"trade_status {status[:40]}")
    if is_capture:
        return replace(
            asked.evidence(status, trade_outcome(trade)),
            request_amount_minor=total_minor,
            total_refunded_minor=refunded_minor,
        )
    return replace(
        asked.evidence(status, _close_outcome(asked, trade)),
        trade=trade,
        order_amount_minor=total_minor,
        total_taken_minor=total_minor if trade is Trade.PAID else None,
        total_refunded_minor=refunded_minor,
    )


def _close_outcome(asked: Question, trade: Trade) -> Outcome | None:
    """How a close went, from where the order stands; None when it was not a close that was asked about."""
    if asked.request.operation is None:
        return None
    if trade is Trade.CLOSED:
        return Outcome.SUCCEEDED
    return Outcome.PENDING if trade is Trade.OPEN else Outcome.REJECTED


def _trade_close(asked: Question, node: Node) -> WalletEvidence:
    _check_number(node, "out_trade_no", asked.order.order_id)
    return asked.evidence(node.code, Outcome.SUCCEEDED)


def _trade_pay(asked: Question, node: Node) -> WalletEvidence:
    operation = asked.request.operation
    assert operation is not None, "a capture is an operation"
    _check_number(node, "out_trade_no", operation.id)
    status = node.text("trade_status")
    # Mostly it is not said, and the 10000 of this method says that it was paid.
    trade = Trade.PAID if status is None else trade_standing(status, None, None, was_paid=False)[0]
    return replace(
        asked.evidence(status or node.code, trade_outcome(trade)),
        request_amount_minor=_minor(asked, node, "total_amount"),
    )


def _refund(asked: Question, node: Node) -> WalletEvidence:
    """`refund_fee` is the total of the whole trade. `send_back_fee` may be less than the refund is."""
    operation = asked.request.operation
    assert operation is not None, "a refund is an operation"
    _check_trade(asked, node)
    refunded_minor = _minor(asked, node, "refund_fee")
    done = node.text("fund_change") == "Y"
    if node.text("fund_change") == "N":
        # Nothing moved this time: it was done before under the same number, if as much has gone back.
        done = refunded_minor is not None and refunded_minor >= operation.amount_minor
    said = asked.evidence(node.code, Outcome.SUCCEEDED if done else Outcome.PENDING)
    return replace(said, total_refunded_minor=refunded_minor or None)


def _refund_query(asked: Question, node: Node) -> WalletEvidence:
    operation = asked.request.operation
    assert operation is not None, "a refund is an operation"
    _check_trade(asked, node)
    _check_number(node, "out_request_no", operation.id)
    status = node.text("refund_status")
    amount_minor = _minor(asked, node, "refund_amount")
    if status is None and not amount_minor:
        # 10000 without refund data: such a refund never arrived, or failed; the same number may be sent
        # again.
        return replace(asked.evidence("no refund", Outcome.PENDING), trade=Trade.MISSING)
    if status is not None and status != "REFUND_SUCCESS":
        pending = status == "REFUND_PROCESSING"
        return asked.evidence(status[:40], Outcome.PENDING) if pending else asked.unknown(status[:40])
    return replace(
        asked.evidence(status or node.code, Outcome.SUCCEEDED), request_amount_minor=amount_minor or None
    )


def _check_trade(asked: Question, node: Node) -> None:
    """Of a payment the number is the order's; of an authorization it is some capture's."""
    said = node.text("out_trade_no")
    prefix = request_number(asked.order.order_id, "C", 1)[:-1]
    if said is not None and said != asked.order.order_id and not said.startswith(prefix):
        raise NotAnAnswerError("it speaks of another out_trade_no")


# --------------------------------------------------------------------------------------------- authorizations


def _detail_query(asked: Question, node: Node) -> WalletEvidence:
    """One movement and the totals: the freeze, for the order or its close, or a release."""
    operation = asked.request.operation
    is_release = operation is not None and operation.kind is OperationKind.RELEASE
    freeze = request_number(asked.order.order_id, "F", 1)
    _check_number(node, "out_order_no", asked.order.order_id)
    _check_number(node, "out_request_no", operation.id if operation and is_release else freeze)
    _check_number(node, "operation_type", "UNFREEZE" if is_release else "FREEZE")
    status = node.text("status") or ""
    frozen, taken = _minor(asked, node, "total_freeze_amount"), _minor(asked, node, "total_pay_amount")
    said = replace(
        asked.evidence(status),
        total_frozen_minor=frozen,
        total_taken_minor=taken,
        total_released_minor=released(
            _minor(asked, node, "total_unfreeze_amount"), frozen, taken, _minor(asked, node, "rest_amount")
        ),
    )
    amount_minor = _minor(asked, node, "amount")
    if is_release:
        return replace(said, outcome=movement_outcome(status), request_amount_minor=amount_minor)
    trade = freeze_trade(status)
    if trade is None:
        return asked.unknown(f"status {status[:40]}")
    return replace(said, trade=trade, outcome=_close_outcome(asked, trade), order_amount_minor=amount_minor)


def _unfreeze(asked: Question, node: Node) -> WalletEvidence:
    operation = asked.request.operation
    assert operation is not None, "a release is an operation"
    _check_number(node, "out_request_no", operation.id)
    _check_number(node, "out_order_no", asked.order.order_id)
    status = node.text("status") or ""
    said = asked.evidence(status, movement_outcome(status))
    return replace(said, request_amount_minor=_minor(asked, node, "amount"))


def _cancel(asked: Question, node: Node) -> WalletEvidence:
    """`close`: nothing was frozen, and nothing will be. `unfreeze`: the buyer came first, and has it back."""
    _check_number(node, "out_order_no", asked.order.order_id)
    action = node.text("action") or ""
    if action == "close":
        return asked.evidence(action, Outcome.SUCCEEDED)
    if action == "unfreeze":
        # How much was frozen and given back is for a question to bring: a status alone is not booked.
        return replace(asked.evidence(action, Outcome.PENDING), trade=Trade.FROZEN)
    return asked.unknown(f"action {action[:40]}")


_READERS: Final = {
    terms.TRADE_QUERY: _trade_query,
    terms.TRADE_CLOSE: _trade_close,
    terms.TRADE_PAY: _trade_pay,
    terms.REFUND: _refund,
    terms.REFUND_QUERY: _refund_query,
    terms.DETAIL_QUERY: _detail_query,
    terms.UNFREEZE: _unfreeze,
    terms.CANCEL: _cancel,
}
