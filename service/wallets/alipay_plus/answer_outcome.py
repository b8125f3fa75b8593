"""What an answer says by itself, without the order that it is about: for people, who have no order beside it."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.vocabulary import Outcome
from service.wallets.alipay_plus import calls
from service.wallets.alipay_plus.codes import Verdict, result_of

# Where a question's answer has what was asked about.
_ASKED: Final = {calls.INQUIRE_PAYMENT: "paymentStatus", calls.INQUIRE_REFUND: "refundStatus"}
_STATUSES: Final = {
    "SUCCESS": Outcome.SUCCEEDED,
    "FAIL": Outcome.REJECTED,
    "CANCELLED": Outcome.REJECTED,
    "PENDING": Outcome.PENDING,
    "PROCESSING": Outcome.PENDING,
}


def outcome_of(call: str, fields: Mapping[str, Any]) -> tuple[Outcome, str]:
    """How the call, or what it asked about, has gone; and the code that says so."""
    result = result_of(fields)
    asked = _ASKED.get(call)
    match result.verdict:
        case Verdict.DONE if asked:
            status = fields.get(asked)
            known = isinstance(status, str) and status in _STATUSES
            # A question that succeeded is not a payment.
            return (_STATUSES[str(status)], str(status)) if known else (Outcome.UNKNOWN, result.reason)
        case Verdict.DONE:
            return Outcome.SUCCEEDED, result.reason
        case Verdict.MISSING if asked or call == calls.CANCEL:
            # The buyer has not acted yet, or never will.
            return Outcome.PENDING, result.reason
        case Verdict.REJECTED | Verdict.MISSING | Verdict.CANCELLED if not asked:
            return Outcome.REJECTED, result.reason
        case Verdict.PENDING if not asked:
            return Outcome.PENDING, result.reason
    return Outcome.UNKNOWN, result.reason
