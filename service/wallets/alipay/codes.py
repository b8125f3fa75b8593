"""The gateway's codes: what each says of the call that it answers. One table; what is not in it is not known.

Sources: the gateway's common error codes, and the code lists of each method. A business code that is not
listed leaves the outcome unknown: the question that follows decides, and after some tries a person looks.
"""

from enum import Enum
from typing import Final

# The call was made; its business fields say what came of it.
MADE: Final = "10000"
# The buyer still has something to do; whether they did, only a question tells.
WAITING_FOR_BUYER: Final = "10003"
RATE_LIMITED: Final = "40005"
BUSINESS: Final = "40004"


class Verdict(Enum):
    """What a code says."""

    MADE = "made"
    # Final: nothing happened, and the same again will not either.
    REJECTED = "rejected"
    # The wallet knows no such trade, authorization or movement.
    MISSING = "missing"
    # Come again later.
    PENDING = "pending"
    # Nobody can tell from this, also where it is our configuration that is wrong: nothing was judged then.
    UNKNOWN = "unknown"


# Business codes without their `ACQ.`, which the methods of trades have and those of authorizations have not.
_MISSING: Final = frozenset(
    {"TRADE_NOT_EXIST", "AUTH_ORDER_NOT_EXIST", "AUTH_OPERATION_NOT_EXIST", "ORDER_NOT_EXIST"}
)
_REJECTED: Final = frozenset({
    # Captures.
    "AUTH_AMOUNT_NOT_ENOUGH", "AUTH_NO_ERROR", "TRADE_HAS_CLOSE", "TRADE_BUYER_NOT_MATCH",
    "BUYER_SELLER_EQUAL", "BUYER_BALANCE_NOT_ENOUGH", "BUYER_BANKCARD_BALANCE_NOT_ENOUGH",
    "BUYER_ENABLE_STATUS_FORBID", "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR",
    "BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR", "BEYOND_PAY_RESTRICTION", "BEYOND_PER_RECEIPT_RESTRICTION",
    "ERROR_BALANCE_PAYMENT_DISABLE", "ERROR_BUYER_CERTIFY_LEVEL_LIMIT",
    "NO_PAYMENT_INSTRUMENTS_AVAILABLE", "PAYMENT_FAIL", "PAYMENT_REQUEST_HAS_RISK",
    "PRODUCT_AMOUNT_LIMIT_ERROR", "SELLER_BEEN_BLOCKED", "TOTAL_FEE_EXCEED", "EXIST_FORBIDDEN_WORD",
    "PARTNER_ERROR", "ACCESS_FORBIDDEN", "INVALID_PARAMETER",
    # Refunds.
    "SELLER_BALANCE_NOT_ENOUGH", "REFUND_AMT_NOT_EQUAL_TOTAL", "REASON_TRADE_BEEN_FREEZEN",
    "REASON_TRADE_REFUND_FEE_ERR", "REASON_TRADE_STATUS_INVALID", "REFUND_FEE_ERROR", "TRADE_HAS_FINISHED",
    "TRADE_NOT_ALLOW_REFUND", "NOT_ALLOW_PARTIAL_REFUND", "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
    "BUYER_NOT_EXIST", "BUYER_ERROR", "CURRENCY_NOT_SUPPORT", "REFUND_CHARGE_ERROR",
    # Closes, of what was paid or is closed: the question that follows tells which.
    "TRADE_STATUS_ERROR", "ILLEGAL_STATUS",
    # Releases.
    "REQUEST_AMOUNT_EXCEED", "ILLEGAL_ARGUMENT", "PAYER_USER_STATUS_LIMIT", "PAYEE_USER_STATUS_LIMIT",
    "PAYER_NOT_EXIST", "PAYEE_NOT_EXIST",
})  # fmt: skip
# Listed so that nobody moves them up: the first may mean that what we ask is done already, the others that
# our request number was used with other terms, which is a fault of ours and leaves open what happened under
# it.
_OPEN: Final = frozenset({
    "TRADE_HAS_SUCCESS", "ORDER_ALREADY_FINISH", "ORDER_ALREADY_CLOSED", "SYSTEM_ERROR",
    "CONTEXT_INCONSISTENT", "DISCORDANT_REPEAT_REQUEST", "UNIQUE_VIOLATION",
})  # fmt: skip
assert not _OPEN & (_REJECTED | _MISSING), "a business code is in two tables"


# The call was not let in: by keys, ids or rights of ours, until somebody has mended them.
_CONFIGURATION: Final = frozenset({"20001", "40001", "40002", "40003", "40006"})
_OF_CONFIGURATION: Final = ("isv.", "aop.invalid-", "aop.auth-")


def blames_configuration(code: str) -> bool:
    """Whether the most telling code of an answer is about how we are set up at the wallet."""
    return code in _CONFIGURATION or code.startswith(_OF_CONFIGURATION)


def verdict(code: str, sub_code: str) -> Verdict:
    """What the pair of codes says."""
    if code == MADE:
        return Verdict.MADE
    if code == RATE_LIMITED:
        return Verdict.PENDING
    if code != BUSINESS or sub_code.startswith("isv."):
        return Verdict.UNKNOWN
    business = sub_code.removeprefix("ACQ.")
    if business in _MISSING:
        return Verdict.MISSING
    return Verdict.REJECTED if business in _REJECTED else Verdict.UNKNOWN
