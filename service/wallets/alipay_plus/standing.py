"""How a payment stands, as `inquiryPayment` tells it: one status, and what was taken of it and went back.

Source: the response table of `inquiryPayment`. Its `result` says only that the question was answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.vocabulary import Kind, Outcome
from service.wallets.alipay_plus.codes import Verdict, result_of
from service.wallets.alipay_plus.terms import read_amount
from service.wallets.question import NotAnAnswerError
from statemachine.inputs import Trade
from statemachine.order import Order

# A payment has a few; this bounds what a wrong answer costs.
MAX_TRANSACTIONS: Final = 1_000

_STATUSES: Final = {
    "SUCCESS": Verdict.DONE,
    # The buyer has done their part; the money has not come.
    "PENDING": Verdict.PENDING,
    "PROCESSING": Verdict.PENDING,
    "FAIL": Verdict.REJECTED,
    "CANCELLED": Verdict.CANCELLED,
}
_OUTCOMES: Final = {"SUCCESS": Outcome.SUCCEEDED, "FAIL": Outcome.REJECTED, "CANCELLED": Outcome.REJECTED}


@dataclass(frozen=True, slots=True)
class Movement:
    """One capture, void or refund of a payment."""

    kind: str
    request_no: str
    outcome: Outcome
    amount_minor: int
    code: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A payment as the wallet tells it. `movements` is None where it lists none at all, which says nothing."""

    trade: Trade
    was_cancelled: bool
    amount_minor: int | None
    currency: str | None
    movements: tuple[Movement, ...] | None
    code: str

    def total(self, kind: str) -> int | None:
        """What all that succeeded of a kind comes to; a total, because the list is whole. None: not told."""
        if self.movements is None:
            return None
        done = (each for each in self.movements if each.outcome is Outcome.SUCCEEDED)
        return sum(each.amount_minor for each in done if each.kind == kind)

    def find(self, kind: str, request_no: str) -> Movement | None:
        """The movement with our number; None when the wallet does not know it."""
        found = [each for each in self.movements or () if (each.kind, each.request_no) == (kind, request_no)]
        return found[0] if found else None


def standing_of(order: Order, fields: Mapping[str, Any]) -> Standing:
    """Reads the answer. Raises NotAnAnswerError or InvalidMoneyError for what cannot be understood."""
    verdict, code = payment_status(fields)
    amount = read_amount(fields["paymentAmount"]) if "paymentAmount" in fields else None
    movements = _movements(order, fields)
    was_cancelled = verdict is Verdict.CANCELLED
    if verdict is Verdict.DONE or (was_cancelled and _had_been_paid(order, fields, movements)):
        trade = Trade.PAID if order.kind is Kind.PAYMENT else Trade.FROZEN
    elif was_cancelled or verdict is Verdict.REJECTED:
        # F is final: nobody will pay this one any more.
        trade = Trade.CLOSED
    elif verdict is Verdict.PENDING:
        trade = Trade.OPEN
    else:
        raise NotAnAnswerError(f"the payment is {code[:40] or 'in no known status'}")
    return Standing(
        trade, was_cancelled, amount[0] if amount else None, amount[1] if amount else None, movements, code
    )


def payment_status(fields: Mapping[str, Any]) -> tuple[Verdict, str]:
    """What `paymentStatus` says, or `paymentResult`, as some platforms have it; and the code that says so.

    Where there are both, the first cannot call paid what the second calls pending or failed.
    """
    status, result = fields.get("paymentStatus"), result_of(fields, "paymentResult")
    if status is None:
        return result.verdict, result.reason
    verdict = _STATUSES.get(status, Verdict.UNKNOWN) if isinstance(status, str) else Verdict.UNKNOWN
    if verdict is Verdict.DONE and result.status and result.verdict is not Verdict.DONE:
        return Verdict.UNKNOWN, f"{status} and {result.reason}"
    return verdict, str(status)


def _had_been_paid(order: Order, fields: Mapping[str, Any], movements: tuple[Movement, ...] | None) -> bool:
    """Cancelling closes what was not paid, and gives back what was: both are CANCELLED afterwards."""
    known = order.taken_minor > 0 or order.frozen_minor > 0
    return known or bool(fields.get("paymentTime")) or bool(movements)


def _movements(order: Order, fields: Mapping[str, Any]) -> tuple[Movement, ...] | None:
    listed = fields.get("transactions")
    if listed is None:
        return None
    if not isinstance(listed, list) or len(listed) > MAX_TRANSACTIONS:
        raise NotAnAnswerError("its transactions are not a list, or too many")
    movements = tuple(_movement(order, each) for each in listed)
    if len({(each.kind, each.request_no) for each in movements}) != len(movements):
        raise NotAnAnswerError("a transaction is listed twice")
    return movements


def _movement(order: Order, given: object) -> Movement:
    if not isinstance(given, Mapping):
        raise NotAnAnswerError("a transaction is not an object")
    kind, number, status = (
        given.get(name) for name in ("transactionType", "transactionRequestId", "transactionStatus")
    )
    if not (isinstance(kind, str) and isinstance(number, str) and isinstance(status, str)):
        raise NotAnAnswerError("a transaction lacks its type, number or status")
    amount_minor, currency = read_amount(given.get("transactionAmount"))
    if currency != order.currency:
        raise NotAnAnswerError(f"a transaction is in {currency}")
    code = result_of(given, "transactionResult").reason or status[:40]
    return Movement(kind, number, _OUTCOMES.get(status, Outcome.PENDING), amount_minor, code)
