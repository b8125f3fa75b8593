"""What this dialect would refuse in a call, refused before it is signed; and amounts, to and fro.

Source: the parameter tables of `payments/…`. Amounts are minor units as strings, with their currency.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.money import MAX_AMOUNT_MINOR, InvalidMoneyError, exponent
from service.wallets.adapter import BuilderRefusedError

LONGEST_WINDOW_S: Final = 15 * 86_400
MAX_DESCRIPTION: Final = 256
_VALUE: Final = re.compile(r"0|[1-9][0-9]{0,12}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def amount(amount_minor: int, currency: str) -> dict[str, str]:
    """The amount as the wallet takes it; raises BuilderRefusedError."""
    try:
        exponent(currency)
    except InvalidMoneyError as error:
        raise BuilderRefusedError(f"currency: {error}") from None
    if not 0 < amount_minor <= MAX_AMOUNT_MINOR:
        raise BuilderRefusedError(f"the amount is not between 1 and {MAX_AMOUNT_MINOR} minor units")
    return {"currency": currency, "value": str(amount_minor)}


def read_amount(given: object) -> tuple[int, str]:
    """Minor units and currency of an amount of the wallet's. Raises InvalidMoneyError.

    A number instead of a string is refused: it may have been a float on its way.
    """
    if not isinstance(given, Mapping):
        raise InvalidMoneyError("an amount is not an object")
    value, currency = given.get("value"), given.get("currency")
    if not isinstance(value, str):
        raise InvalidMoneyError(f"an amount's value is {str(value)[:40]} and should be a string of minor units")
    if _VALUE.fullmatch(value) is None or int(value) > MAX_AMOUNT_MINOR:
        raise InvalidMoneyError(f"{str(value)[:40]!r} is not an amount in minor units")
    if not isinstance(currency, str):
        raise InvalidMoneyError("an amount has no currency")
    exponent(currency)
    return int(value), currency


def description(text: str) -> str:
    """The order's description; raises BuilderRefusedError."""
    if not text.strip() or _CONTROL.search(text) or len(text) > MAX_DESCRIPTION:
        raise BuilderRefusedError(f"subject: is blank, longer than {MAX_DESCRIPTION} or has a control character")
    return text


def body_of(fields: Mapping[str, Any]) -> bytes:
    """The body of a call: compact JSON in ASCII, without empty fields."""
    given = {name: value for name, value in fields.items() if value is not None and value != ""}
    return json.dumps(given, separators=(",", ":"), allow_nan=False).encode("ascii")
