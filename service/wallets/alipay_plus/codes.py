"""The `result` of a message, and what it says of the call or of what is told.

Source: the result tables of each call. S and F are final, U is unknown, A is accepted. S counts only with the
code SUCCESS: `PAYMENT_PENDING` with S means that the buyer has done their part and nothing was paid yet.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SUCCESS: Final = "SUCCESS"


class Verdict(Enum):
    """What a result says."""

    DONE = "done"
    # Final: nothing happened, and the same again will not either.
    REJECTED = "rejected"
    # The wallet knows no such payment or refund.
    MISSING = "missing"
    # It went, or may have gone, before: the payment as a whole was cancelled, and its money is back.
    CANCELLED = "cancelled"
    # Come again later.
    PENDING = "pending"
    UNKNOWN = "unknown"


_MISSING: Final = frozenset({"ORDER_NOT_EXIST", "PAYMENT_NOT_EXIST", "REFUND_NOT_EXIST"})
# Both spellings are in the wallet's own documents.
_CANCELLED: Final = frozenset({"ORDER_IS_CANCELED", "ORDER_IS_CANCELLED"})
# F, and yet nothing was judged: our configuration is wrong, or the wallet's. An earlier try under the same
# number may have gone through, so this must not pass for a rejection. The last two say that the number was
# used with other terms, which is a fault of ours and leaves open what happened under it.
_CONFIGURATION: Final = frozenset({
    "ACCESS_DENIED", "CLIENT_INVALID", "INVALID_CLIENT", "INVALID_CLIENT_STATUS", "INVALID_API",
    "INVALID_SIGNATURE", "KEY_NOT_FOUND", "MEDIA_TYPE_NOT_ACCEPTABLE", "METHOD_NOT_SUPPORTED",
    "NO_INTERFACE_DEF", "OAUTH_FAIL", "UNKNOWN_CLIENT",
})  # fmt: skip
_NOT_JUDGED: Final = _CONFIGURATION | {
    "REQUEST_TRAFFIC_EXCEED_LIMIT", "SYSTEM_ERROR", "UNKNOWN_EXCEPTION", "REPEAT_REQ_INCONSISTENT",
    "REPEATED_REQUEST_INCONSISTENT",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """A `result` as it stands in a message; empty texts for what is not there."""

    status: str
    code: str

    @property
    def reason(self) -> str:
        """The code, fit to be shown."""
        return self.code if _CODE.fullmatch(self.code) else ""

    @property
    def verdict(self) -> Verdict:
        """What it says."""
        match self.status:
            case "S":
                return Verdict.DONE if self.code == _SUCCESS else Verdict.PENDING
            case "A":
                return Verdict.PENDING
            case "F" if self.code in _MISSING:
                return Verdict.MISSING
            case "F" if self.code in _CANCELLED:
                return Verdict.CANCELLED
            case "F" if self.code and self.code not in _NOT_JUDGED:
                return Verdict.REJECTED
        return Verdict.UNKNOWN


def blames_configuration(code: str) -> bool:
    """Whether a result's code is about how we are set up at the wallet."""
    return code in _CONFIGURATION


def result_of(fields: Mapping[str, Any], name: str = "result") -> Result:
    """The result under that name; one that says nothing, hence unknown, when there is none."""
    given = fields.get(name)
    if not isinstance(given, Mapping):
        return Result("", "")
    status, code = given.get("resultStatus"), given.get("resultCode")
    return Result(status if isinstance(status, str) else "", code if isinstance(code, str) else "")
