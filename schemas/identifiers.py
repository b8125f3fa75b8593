"""Order ids, and the request numbers that we send to wallets.

A request number is `<order id>__<letter><n>`: a callback that carries only the request number
still names its order, and a person can read it.
"""

import re
from typing import Final

MAX_ORDER_ID_LENGTH: Final = 48
# 1 to 48 of [A-Za-z0-9_], no `__` anywhere, no `_` at the end.
ORDER_ID_PATTERN: Final = r"^(?!.*__)[A-Za-z0-9_]{0,47}[A-Za-z0-9]$"
_ORDER_ID = re.compile(ORDER_ID_PATTERN)
_REQUEST_NUMBER = re.compile(r"^(?P<order_id>.{1,48})__(?P<letter>[FCRVB])(?P<n>[1-9][0-9]{0,5})$")


class InvalidOrderIdError(ValueError):
    """The text is not an order id; the message says the rule."""


def check_order_id(text: str) -> str:
    """The text itself when it is an order id; raises InvalidOrderIdError otherwise."""
    # `fullmatch`, because `$` would let a trailing newline pass.
    if _ORDER_ID.fullmatch(text) is None:
        raise InvalidOrderIdError(
            f"{text[:60]!r} is not an order id: 1 to {MAX_ORDER_ID_LENGTH} of A-Z a-z 0-9 _, "
            "without '__' and without '_' at the end"
        )
    return text


def request_number(order_id: str, letter: str, n: int) -> str:
    """`o1`, `C`, 2 -> `o1__C2`; letters: F freeze, C capture, R release, V close or void, B refund."""
    return f"{order_id}__{letter}{n}"


def order_id_of(wallet_number: str) -> str:
    """The order id in a number that a wallet sends back: an order id itself, or a request number.

    Raises InvalidOrderIdError when it is neither.
    """
    match = _REQUEST_NUMBER.fullmatch(wallet_number)
    return check_order_id(match["order_id"] if match else wallet_number)


def is_request_number(wallet_number: str) -> bool:
    """Whether the number names one of our requests, rather than an order."""
    return _REQUEST_NUMBER.fullmatch(wallet_number) is not None
