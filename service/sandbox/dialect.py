"""The Alipay OpenAPI dialect as the wallet speaks it: forms, base strings, signed answers, times, amounts.

No I/O and no clock. Written apart from the adapter on purpose (see the package).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from urllib.parse import unquote_to_bytes, urlencode

from schemas.money import InvalidMoneyError, from_decimal

# Alipay's times carry no zone and are always Beijing's.
BEIJING: Final = timezone(timedelta(hours=8))
CHARSETS: Final = frozenset({"utf-8", "utf8", "gbk", "gb2312", "gb18030"})
MAX_PARAMETERS: Final = 64

Fields = dict[str, str]


class MalformedError(ValueError):
    """A message that cannot be read at all; the message says why."""


class RefusedError(Exception):
    """A call that the wallet refuses: code 40004 with this sub_code."""

    def __init__(self, sub_code: str, why: str) -> None:
        super().__init__(f"{sub_code}: {why}")
        self.sub_code = sub_code
        self.why = why


def decode_form(*parts: bytes) -> Fields:
    """The parameters of a query string and a body together, decoded with their own `charset` parameter.

    Splits before it decodes, and decodes to bytes before it decodes to text. Raises MalformedError.
    """
    pairs: dict[bytes, bytes] = {}
    for pair in b"&".join(part for part in parts if part).split(b"&"):
        name, equals, text = pair.partition(b"=")
        key = unquote_to_bytes(name.replace(b"+", b" "))
        if not equals or not key:
            raise MalformedError(f"not a form parameter: {pair[:40]!r}")
        if key in pairs:
            raise MalformedError(f"the parameter {key[:40]!r} is repeated")
        pairs[key] = unquote_to_bytes(text.replace(b"+", b" "))
    if len(pairs) > MAX_PARAMETERS:
        raise MalformedError(f"more than {MAX_PARAMETERS} parameters")
    charset = pairs.get(b"charset", b"utf-8").decode("ascii", "replace").lower()
    if charset not in CHARSETS:
        raise MalformedError(f"the charset {charset[:20]!r} is not known")
    try:
        return {key.decode("ascii"): text.decode(charset) for key, text in pairs.items()}
    except UnicodeDecodeError as error:
        raise MalformedError(f"not {charset}: {error.reason}") from None


def base_string(params: Mapping[str, str], *, drop: frozenset[str] = frozenset({"sign"})) -> str:
    """What is signed: `k=v` joined by `&`, keys in byte order, raw values, empty ones dropped."""
    return "&".join(f"{key}={params[key]}" for key in sorted(params) if params[key] and key not in drop)


def encode_form(params: Mapping[str, str], charset: str) -> bytes:
    """A form over the charset's bytes; raises UnicodeEncodeError for what it cannot hold."""
    return urlencode(params, encoding=charset, errors="strict").encode("ascii")


def node_text(fields: Mapping[str, object]) -> str:
    """The compact JSON of an answer's node, escaped to ASCII: its signature then covers any charset."""
    return json.dumps(fields, separators=(",", ":"))


def answer_text(node: str, text: str, sign: str) -> str:
    """The whole answer. The signature covers `text` exactly as it stands here."""
    return f'{{"{node}":{text},"sign":"{sign}"}}'


def wallet_time(moment: datetime) -> str:
    """`yyyy-MM-dd HH:mm:ss` in Beijing."""
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def parse_wallet_time(text: str) -> datetime:
    """The moment, in UTC; raises MalformedError."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except ValueError:
        raise MalformedError(f"{text[:30]!r} is not a time as yyyy-MM-dd HH:mm:ss") from None
    return moment.astimezone(UTC)


def deadline_after(start: datetime, timeout: str) -> datetime:
    """`15m`, `2h`, `3d` after `start`; `1c` is the end of that day in Beijing. Raises MalformedError."""
    if timeout == "1c":
        day = start.astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
        return (day + timedelta(days=1)).astimezone(UTC)
    units = {"m": "minutes", "h": "hours", "d": "days"}
    number, unit = timeout[:-1], timeout[-1:]
    if unit not in units or not (number.isascii() and number.isdigit()) or len(number) > 5:  # noqa: PLR2004
        raise MalformedError(f"{timeout[:20]!r} is not a timeout such as 15m, 2h or 3d")
    length = timedelta(**{units[unit]: int(number)})
    if not timedelta(minutes=1) <= length <= timedelta(days=15):
        raise MalformedError(f"the timeout {timeout} is not between 1m and 15d")
    return start + length


def required(biz: Mapping[str, object], name: str) -> str:
    """The text of a member; raises RefusedError when it is missing, empty or no string."""
    value = biz.get(name)
    if not isinstance(value, str) or not value:
        raise RefusedError("ACQ.INVALID_PARAMETER", f"{name} is missing or not a string")
    return value


def optional(biz: Mapping[str, object], name: str) -> str:
    """The text of a member, empty when it is absent; raises RefusedError when it is no string."""
    value = biz.get(name, "")
    if not isinstance(value, str):
        raise RefusedError("ACQ.INVALID_PARAMETER", f"{name} is not a string")
    return value


def amount_of(biz: Mapping[str, object], name: str, currency: str) -> int:
    """A positive amount in minor units; raises RefusedError."""
    try:
        amount_minor = from_decimal(required(biz, name), currency)
    except InvalidMoneyError as error:
        raise RefusedError("ACQ.INVALID_PARAMETER", f"{name}: {error}") from None
    if amount_minor == 0:
        raise RefusedError("ACQ.INVALID_PARAMETER", f"{name} is zero")
    return amount_minor
