"""Money: an integer in minor units with an ISO 4217 code. No float is ever near it.

Exponents come from the ISO 4217 table of the `iso4217` package, never from a locale library,
whose opinion of a currency's decimals is about display.
"""

from functools import lru_cache

from iso4217 import Currency

# Alipay's limit on one trade, 100,000,000.00 (`total_amount`), in the largest exponent in use (4).
# It also keeps every sum of amounts of one order far inside a Postgres bigint.
MAX_AMOUNT_MINOR = 10**12


class InvalidMoneyError(ValueError):
    """An amount or a currency that is not money; the message says which rule it breaks."""


@lru_cache(maxsize=512)
def exponent(currency: str) -> int:
    """How many decimal places the currency's minor unit stands for: 2 for CNY, 0 for JPY, 3 for KWD.

    Raises InvalidMoneyError for a code that ISO 4217 does not list or that has no minor unit (XAU).
    """
    try:
        places = Currency(currency).exponent
    except ValueError:
        raise InvalidMoneyError(f"{currency!r} is not an ISO 4217 currency code") from None
    if places is None:
        raise InvalidMoneyError(f"{currency} has no minor unit")
    return int(places)


def to_decimal(amount_minor: int, currency: str) -> str:
    """The amount as wallets print it: 1234 CNY is "12.34", 5 JPY is "5"."""
    if amount_minor < 0:
        raise InvalidMoneyError(f"an amount may not be negative: {amount_minor}")
    places = exponent(currency)
    if places == 0:
        return str(amount_minor)
    whole, part = divmod(amount_minor, 10**places)
    return f"{whole}.{part:0{places}d}"


def from_decimal(text: str, currency: str) -> int:
    """Minor units from a wallet's decimal string: "12.3" CNY is 1230.

    Raises InvalidMoneyError for signs, exponents, blanks, more places than the currency has, or too much.
    """
    places = exponent(currency)
    whole, dot, part = text.partition(".")
    digits = whole + part
    if not (digits.isascii() and digits.isdigit()) or not whole or (dot and not part):
        raise InvalidMoneyError(f"{text[:40]!r} is not a decimal amount")
    if len(part) > places and part[places:].strip("0"):
        raise InvalidMoneyError(f"{text[:40]!r} has more than the {places} decimal places of {currency}")
    if len(digits) > len(str(MAX_AMOUNT_MINOR)) + places:
        raise InvalidMoneyError(f"{text[:40]!r} is more than one trade can be")
    amount_minor = int(whole + (part + "0" * places)[:places])
    if amount_minor > MAX_AMOUNT_MINOR:
        raise InvalidMoneyError(f"{text[:40]!r} is more than one trade can be")
    return amount_minor
