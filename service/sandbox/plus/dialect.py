"""Alipay+ as the wallet speaks it: signed headers, JSON, times with an offset, minor units. No I/O, no clock."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from schemas.money import MAX_AMOUNT_MINOR, InvalidMoneyError, exponent, to_decimal
from service.sandbox.dialect import BEIJING, MalformedError, RefusedError, parse_wallet_time
from service.wallets.signatures import SignType, sign, verify

DIALECT: Final = "alipay_plus"
_HEADER: Final = re.compile(r"algorithm=RSA256, ?keyVersion=\d+, ?signature=(?P<signature>[A-Za-z0-9%+/=]+)")
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", re.ASCII)
_DIGITS: Final = re.compile(r"[1-9]\d{0,12}", re.ASCII)


def covered(path: str, client_id: str, time: str, body: bytes) -> bytes:
    """What a signature covers."""
    return b"POST %s\n%s.%s.%s" % (path.encode(), client_id.encode(), time.encode(), body)


def sign_message(
    key: RSAPrivateKey, client_id: str, path: str, body: bytes, *, time_name: str, now: datetime
) -> dict[str, str]:
    """The headers of an answer or a callback of this wallet's."""
    time = iso(now)
    signature = quote(sign(key, covered(path, client_id, time, body), SignType.RSA2), safe="")
    return {
        "content-type": "application/json; charset=UTF-8",
        "client-id": client_id,
        time_name: time,
        "signature": f"algorithm=RSA256,keyVersion=1,signature={signature}",
    }


def verify_message(key: RSAPublicKey, client_id: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises RefusedError for a call that this merchant has not signed."""
    if headers.get("client-id") != client_id:
        raise RefusedError("CLIENT_INVALID", "no such client")
    time = headers.get("request-time", "")
    if _ISO.fullmatch(time) is None:
        raise RefusedError("PARAM_ILLEGAL", "the request-time is not a time")
    match = _HEADER.fullmatch(headers.get("signature", ""))
    if match is None:
        raise RefusedError("INVALID_SIGNATURE", "the signature header cannot be read")
    if not verify(key, covered(path, client_id, time, body), unquote(match["signature"]), SignType.RSA2):
        raise RefusedError("INVALID_SIGNATURE", "the signature does not verify")


def iso(moment: datetime) -> str:
    """ISO 8601 as this wallet writes it, in Beijing."""
    return moment.astimezone(BEIJING).isoformat(timespec="seconds")


def iso_of(at: str) -> str:
    """The same of a time as the ledger has it."""
    return iso(parse_wallet_time(at))


def parse_iso(text: str) -> datetime:
    """The moment, in UTC; raises MalformedError."""
    if _ISO.fullmatch(text) is None:
        raise MalformedError(f"{text[:40]!r} is not a time with an offset")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedError(f"{text[:40]!r} is not a time") from None


def money(amount_minor: int, currency: str) -> dict[str, str]:
    """An amount as this dialect writes it."""
    return {"currency": currency, "value": str(amount_minor)}


def read_money(fields: Mapping[str, object], name: str) -> tuple[int, str]:
    """Minor units and currency of a member; raises RefusedError."""
    given = fields.get(name)
    value, currency = (given.get("value"), given.get("currency")) if isinstance(given, dict) else (None, None)
    if not isinstance(value, str) or _DIGITS.fullmatch(value) is None or int(value) > MAX_AMOUNT_MINOR:
        raise RefusedError("PARAM_ILLEGAL", f"{name} is not an amount in minor units")
    try:
        exponent(str(currency))
    except InvalidMoneyError as error:
        raise RefusedError("PARAM_ILLEGAL", f"{name}: {error}") from None
    return int(value), str(currency)


def decimal_of(fields: Mapping[str, object], name: str) -> str:
    """The same as the other dialect writes it; raises RefusedError."""
    return to_decimal(*read_money(fields, name))
