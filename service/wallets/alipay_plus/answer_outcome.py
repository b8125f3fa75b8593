"""What an answer says by itself, without the order that it is about: for people, who have no order beside it."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.money import InvalidMoneyError
from schemas.vocabulary import Outcome
from service.wallets.alipay_plus import calls
from service.wallets.alipay_plus.codes import Verdict, result_of
from service.wallets.alipay_plus.standing import payment_status
from service.wallets.alipay_plus.terms import read_amount

_REFUNDS: Final = {
    "SUCCESS": Verdict.DONE,
    "FAIL": Verdict.REJECTED,
    "PROCESSING": Verdict.PENDING,
    "PENDING": Verdict.PENDING,
}
_OUTCOMES: Final = {
    Verdict.DONE: Outcome.SUCCEEDED,
    Verdict.REJECTED: Outcome.REJECTED,
    Verdict.CANCELLED: Outcome.REJECTED,
    Verdict.PENDING: Outcome.PENDING,
}
_AMOUNTS: Final = ("paymentAmount", "captureAmount", "refundAmount", "voidAmount")


def outcome_of(call: str, fields: Mapping[str, Any]) -> tuple[Outcome, str]:
    """How the call, or what it asked about, has gone; and the code that says so."""
    result = result_of(fields)
    is_question = call in (calls.INQUIRE_PAYMENT, calls.INQUIRE_REFUND)
    match result.verdict:
        case Verdict.DONE if not _has_sound_amounts(fields):
            return Outcome.UNKNOWN, result.reason
        case Verdict.DONE if is_question:
            # A question that succeeded is not a payment.
            verdict, code = payment_status(fields) if call == calls.INQUIRE_PAYMENT else _refund_status(fields)
            return _OUTCOMES.get(verdict, Outcome.UNKNOWN), code or result.reason
        case Verdict.DONE:
            return Outcome.SUCCEEDED, result.reason
        case Verdict.MISSING if is_question or call == calls.CANCEL:
            # The buyer has not acted yet, or never will.
            return Outcome.PENDING, result.reason
        case Verdict.REJECTED | Verdict.MISSING | Verdict.CANCELLED if not is_question:
            return Outcome.REJECTED, result.reason
        case Verdict.PENDING if not is_question:
            return Outcome.PENDING, result.reason
    return Outcome.UNKNOWN, result.reason


def _refund_status(fields: Mapping[str, Any]) -> tuple[Verdict, str]:
    status = fields.get("refundStatus")
    known = isinstance(status, str) and status in _REFUNDS
    return (_REFUNDS[str(status)], str(status)) if known else (Verdict.UNKNOWN, "")


def _has_sound_amounts(fields: Mapping[str, Any]) -> bool:
    """Whether its amounts are what the service takes: minor units, as strings."""
    try:
        for name in _AMOUNTS:
            if name in fields:
                read_amount(fields[name])
    except InvalidMoneyError:
        return False
    return True
