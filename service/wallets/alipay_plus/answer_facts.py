"""What a verified answer says: of an operation of ours, or of the order as a whole.

Source: the response tables of `payments/…`. A question that was answered says nothing by its `result`: what it
asked about is in `paymentStatus`, `refundStatus` and the list of transactions.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from schemas.identifiers import request_number
from schemas.money import InvalidMoneyError
from schemas.vocabulary import Kind, OperationKind, Outcome
from service.wallets.alipay_plus import calls
from service.wallets.alipay_plus.codes import Result, Verdict, result_of
from service.wallets.alipay_plus.standing import Standing, standing_of
from service.wallets.alipay_plus.terms import read_amount
from service.wallets.question import NotAnAnswerError, Question
from statemachine.inputs import Trade, WalletEvidence
from statemachine.operations import LETTERS
from statemachine.order import Operation, Order

MAX_REFERENCE: Final = 64
# transactionType of each kind of operation in the list of inquiryPayment.
_TYPES: Final = {OperationKind.CAPTURE: "CAPTURE", OperationKind.RELEASE: "VOID"}
_REFUND_STATUSES: Final = {
    "SUCCESS": Outcome.SUCCEEDED,
    "FAIL": Outcome.REJECTED,
    "PROCESSING": Outcome.PENDING,
    "PENDING": Outcome.PENDING,
}
_NUMBERS: Final = {calls.CAPTURE: "captureRequestId", calls.VOID: "voidRequestId", calls.REFUND: "refundRequestId"}
_AMOUNTS: Final = {calls.CAPTURE: "captureAmount", calls.VOID: "voidAmount", calls.REFUND: "refundAmount"}


def evidence_of(asked: Question, fields: Mapping[str, Any], release_call: str) -> WalletEvidence:
    """The evidence in a verified answer; UNKNOWN for what cannot be understood."""
    try:
        if asked.request.is_query:
            said = _answered(asked, fields, release_call)
        else:
            said = _carried_out(asked, fields, release_call)
    except (NotAnAnswerError, InvalidMoneyError) as error:
        return asked.unknown(str(error)[:100])
    payment_id = text(fields, "paymentId")
    if asked.order.kind is Kind.PAYMENT:
        return replace(said, trade_no=payment_id)
    return replace(said, auth_no=payment_id)


def text(fields: Mapping[str, Any], name: str) -> str | None:
    """A reference of the wallet's; None when it is not there, or longer than the wallet's own are."""
    value = fields.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= MAX_REFERENCE else None


# ------------------------------------------------------------------------------------------------------- calls


def _carried_out(asked: Question, fields: Mapping[str, Any], release_call: str) -> WalletEvidence:
    result = result_of(fields)
    operation = asked.request.operation
    assert operation is not None, "only operations are carried out"
    if operation.kind is OperationKind.CLOSE:
        return _cancelled(asked, result)
    match result.verdict:
        case Verdict.DONE:
            return _done(asked, operation, fields, release_call)
        case Verdict.CANCELLED if operation.kind is OperationKind.REFUND and asked.order.kind is Kind.PAYMENT:
            # The whole payment was cancelled, so all of it has gone back: in this refund, as it were.
            said = asked.evidence(result.reason, Outcome.PENDING)
            return replace(said, total_refunded_minor=asked.order.amount_minor)
        case Verdict.REJECTED | Verdict.MISSING | Verdict.CANCELLED:
            return asked.evidence(result.reason, Outcome.REJECTED)
        case Verdict.PENDING:
            return asked.evidence(result.reason, Outcome.PENDING)
    return asked.unknown(result.reason)


def _cancelled(asked: Question, result: Result) -> WalletEvidence:
    """Of a close. Done is not yet closed: cancelling also gives back what was paid just before it.

    So the answer is pending, and the question that follows tells the one from the other.
    """
    match result.verdict:
        case Verdict.DONE | Verdict.PENDING | Verdict.CANCELLED:
            return asked.evidence(result.reason, Outcome.PENDING)
        case Verdict.MISSING:
            # The buyer has not acted yet, or never will.
            return replace(asked.evidence(result.reason, Outcome.PENDING), trade=Trade.MISSING)
        case Verdict.REJECTED:
            return asked.evidence(result.reason, Outcome.REJECTED)
    return asked.unknown(result.reason)


def _done(asked: Question, operation: Operation, fields: Mapping[str, Any], release_call: str) -> WalletEvidence:
    call = asked.request.call
    number, amount = _NUMBERS.get(call, ""), _AMOUNTS.get(call, "")
    if fields.get(number, operation.id) != operation.id:
        raise NotAnAnswerError(f"it speaks of another {number}")
    said = asked.evidence("SUCCESS", Outcome.SUCCEEDED)
    if amount in fields:
        amount_minor, currency = read_amount(fields[amount])
        said = replace(said, request_amount_minor=amount_minor, currency=currency)
    if operation.kind is OperationKind.CAPTURE and operation.complete and release_call == calls.CANCEL:
        order = asked.order
        taken_minor = max(order.taken_minor, order.captured_by_us_minor + operation.amount_minor)
        return replace(said, total_released_minor=_rest_after_the_last_capture(order, taken_minor))
    return said


def _rest_after_the_last_capture(order: Order, taken_minor: int) -> int:
    """Where there is no `void`, the wallet lets go of the rest with the capture that is said to be the last."""
    return order.frozen_minor - taken_minor


# --------------------------------------------------------------------------------------------------- questions


def _answered(asked: Question, fields: Mapping[str, Any], release_call: str) -> WalletEvidence:
    result, operation = result_of(fields), asked.request.operation
    match result.verdict:
        case Verdict.DONE if asked.request.call == calls.INQUIRE_REFUND:
            assert operation is not None, "a refund is an operation"
            return _refund(asked, operation, fields)
        case Verdict.DONE:
            _check_payment(asked.order, fields)
            return _payment(asked, standing_of(asked.order, fields), release_call)
        case Verdict.MISSING:
            outcome = Outcome.PENDING if operation else None
            return replace(asked.evidence(result.reason, outcome), trade=Trade.MISSING)
    # A question that was not answered says nothing of what it asked about.
    return asked.unknown(result.reason)


def _check_payment(order: Order, fields: Mapping[str, Any]) -> None:
    number = calls.payment_number(order.order_id, order.kind)
    if fields.get("paymentRequestId", number) != number:
        raise NotAnAnswerError("it speaks of another payment")


def _payment(asked: Question, standing: Standing, release_call: str) -> WalletEvidence:
    operation = asked.request.operation
    if operation is not None and operation.kind is not OperationKind.CLOSE:
        return _movement(asked, operation, standing)
    said = replace(
        asked.evidence(standing.code, _close_outcome(operation, standing.trade)),
        trade=standing.trade,
        order_amount_minor=standing.amount_minor,
        currency=standing.currency,
    )
    if standing.trade not in (Trade.PAID, Trade.FROZEN):
        return said
    if asked.order.kind is Kind.PAYMENT:
        refunded = standing.amount_minor if standing.was_cancelled else standing.total("REFUND")
        return replace(said, total_taken_minor=standing.amount_minor, total_refunded_minor=refunded)
    return replace(
        said,
        total_frozen_minor=standing.amount_minor,
        total_taken_minor=standing.total("CAPTURE"),
        total_released_minor=_released(asked.order, standing, release_call),
        total_refunded_minor=standing.total("REFUND"),
    )


def _released(order: Order, standing: Standing, release_call: str) -> int | None:
    taken_minor = standing.total("CAPTURE")
    if taken_minor is None:
        taken_minor = order.taken_minor
    if standing.was_cancelled and standing.amount_minor is not None:
        return standing.amount_minor - taken_minor
    if release_call == calls.CANCEL and order.final and order.frozen_minor:
        letter = LETTERS[OperationKind.CAPTURE]
        last = request_number(order.order_id, letter, order.request_counts.get(letter, 0))
        capture = standing.find(_TYPES[OperationKind.CAPTURE], last)
        if capture is not None and capture.outcome is Outcome.SUCCEEDED:
            return _rest_after_the_last_capture(order, taken_minor)
    return standing.total("VOID")


def _close_outcome(operation: Operation | None, trade: Trade) -> Outcome | None:
    """How a close went, from where the payment stands; None when it was not a close that was asked about."""
    if operation is None:
        return None
    if trade is Trade.CLOSED:
        return Outcome.SUCCEEDED
    return Outcome.PENDING if trade is Trade.OPEN else Outcome.REJECTED


def _movement(asked: Question, operation: Operation, standing: Standing) -> WalletEvidence:
    """Of a capture or a release. One that is not in the list never arrived; a cancelled payment holds nothing."""
    found = standing.find(_TYPES[operation.kind], operation.id)
    if found is not None:
        said = asked.evidence(found.code, found.outcome)
        return replace(said, request_amount_minor=found.amount_minor)
    if operation.kind is OperationKind.RELEASE and standing.was_cancelled:
        return asked.evidence(standing.code, Outcome.SUCCEEDED)
    if standing.trade is Trade.OPEN:
        return asked.evidence(standing.code, Outcome.PENDING)
    return replace(asked.evidence(f"no such {operation.kind}", Outcome.PENDING), trade=Trade.MISSING)


def _refund(asked: Question, operation: Operation, fields: Mapping[str, Any]) -> WalletEvidence:
    if fields.get("refundRequestId", operation.id) != operation.id:
        raise NotAnAnswerError("it speaks of another refund")
    status = fields.get("refundStatus")
    outcome = _REFUND_STATUSES.get(status) if isinstance(status, str) else None
    if outcome is None:
        return asked.unknown(f"refundStatus {str(status)[:40]}")
    said = asked.evidence(str(status), outcome)
    if "refundAmount" in fields:
        amount_minor, currency = read_amount(fields["refundAmount"])
        return replace(said, request_amount_minor=amount_minor, currency=currency)
    return said
