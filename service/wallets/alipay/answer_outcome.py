"""How a call went by its verified answer alone, without the order: for people who look at one answer by hand.

The service never decides by this: `answer_facts` compares with what was asked, and names totals.
"""

from decimal import Decimal, InvalidOperation
from typing import Final

from schemas.vocabulary import Outcome
from service.wallets.alipay import terms
from service.wallets.alipay.answer import Node
from service.wallets.alipay.codes import Verdict, verdict
from service.wallets.alipay.movements import movement_outcome, trade_outcome, trade_standing

# Closes a trade or gives its money back; the service never calls it.
TRADE_CANCEL: Final = "alipay.trade.cancel"
# What was frozen and is given back is on its way (see `answer_facts`).
_CANCELLED: Final = {"close": Outcome.SUCCEEDED, "refund": Outcome.SUCCEEDED, "unfreeze": Outcome.PENDING}


def outcome_of(method: str, node: Node) -> Outcome:
    """Succeeded, rejected, pending, or unknown where the answer does not tell."""
    is_query = method.endswith(".query")
    match verdict(node.code, node.text("sub_code") or ""):
        case Verdict.MADE:
            return _made(method, node, is_query=is_query)
        case Verdict.PENDING:
            return Outcome.PENDING
        case Verdict.MISSING if is_query or method in (terms.TRADE_CLOSE, terms.CANCEL):
            # The trade exists only once the buyer acts: no failure before the deadline has passed.
            return Outcome.PENDING
        case Verdict.MISSING:
            return Outcome.REJECTED
        case Verdict.REJECTED if not is_query:
            return Outcome.REJECTED
    return Outcome.UNKNOWN


def _made(method: str, node: Node, *, is_query: bool) -> Outcome:
    if method == terms.TRADE_QUERY or (method == terms.TRADE_PAY and node.text("trade_status")):
        was_paid = node.text("send_pay_date") is not None or _is_some(node, "refund_fee")
        return trade_outcome(trade_standing(node.text("trade_status") or "", None, None, was_paid=was_paid)[0])
    if method in (terms.DETAIL_QUERY, terms.UNFREEZE):
        return movement_outcome(node.text("status") or "")
    if method == terms.REFUND:
        done = node.text("fund_change") == "Y" or (node.text("fund_change") == "N" and _is_some(node, "refund_fee"))
        return Outcome.SUCCEEDED if done else Outcome.PENDING
    if method == terms.REFUND_QUERY:
        status = node.text("refund_status")
        found = status == "REFUND_SUCCESS" or (status is None and _is_some(node, "refund_amount"))
        return Outcome.SUCCEEDED if found else Outcome.PENDING
    if method in (terms.CANCEL, TRADE_CANCEL):
        return _CANCELLED.get(node.text("action") or "", Outcome.UNKNOWN)
    # A question of which we do not know how to read the answer has not told us anything.
    return Outcome.UNKNOWN if is_query else Outcome.SUCCEEDED


def _is_some(node: Node, name: str) -> bool:
    """Whether the amount is there and more than nothing."""
    try:
        return Decimal(node.text(name) or "0") > 0
    except InvalidOperation:
        return False
