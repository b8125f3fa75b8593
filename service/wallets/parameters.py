"""Parameters as Alipay's OpenAPI signs and sends them: base strings, forms, times. Pure, and no keys.

Sources: the wallet's signing rules (keys in byte order, raw values, `sign` left out), and vectors made by
its own SDKs. Texts become bytes of the message's charset once, and the bytes are what is signed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from urllib.parse import quote_plus, unquote_to_bytes

# The wallet's times carry no zone and are Beijing's, whatever the zone of the host.
BEIJING: Final = timezone(timedelta(hours=8))
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?=\.[0-9]{1,6}$|$)")
# Far more than any message of the wallet has (about 30), and cheap to hold.
MAX_PARAMETERS: Final = 128
# A `%` of which no byte can be made stands for itself, and costs three times what a good one does. A sender that
# forgets to encode has a few; 65,536 of them, which is a body, would take a core for 20 ms.
MAX_BROKEN_ESCAPES: Final = 4_096
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
MAX_NAME_LENGTH: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
# Latin-1 gives every byte a character of its own, so texts in it stand for bytes, and are quicker to take apart.
_BYTES: Final = "latin-1"
_CODECS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gbk", "gb2312": "gb2312", "gb18030": "gb18030"}


class MalformedFormError(ValueError):
    """Bytes that are no form, or that have two readings; the message says why."""


def codec_of(charset: str) -> str:
    """Python's name of a charset that the wallet uses; raises MalformedFormError for any other."""
    codec = _CODECS.get(charset.lower())
    if codec is None:
        raise MalformedFormError(f"the charset {charset[:20]!r} is not one of {', '.join(_CODECS)}")
    return codec


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was read: its parameters as text, and as bytes, each written as the Latin-1 character of it."""

    raw: Mapping[str, str]
    text: Mapping[str, str]
    charset: str

    def base_string(self, *, without: frozenset[str], keep_empty: bool = False) -> bytes:
        """What a signature covers, from the very bytes that came."""
        raw = self.raw
        kept = [f"{key}={raw[key]}" for key in sorted(raw) if key not in without and (keep_empty or raw[key])]
        return "&".join(kept).encode(_BYTES)


@lru_cache(maxsize=1024)
def _is_name(key: str) -> bool:
    # A wallet has a few dozen names, and sends them all the time.
    return _NAME.fullmatch(key) is not None


def _unquoted(escaped: str) -> str:
    """The bytes that `%XX` stand for; a `%` that is followed by no two hex digits stays as it is."""
    try:
        # Python's own escapes are decoded in C, the library's percent signs are not: a quarter of the time.
        return escaped.replace("\\", "\\\\").replace("%", "\\x").encode(_BYTES).decode("unicode_escape")
    except UnicodeDecodeError:
        return unquote_to_bytes(escaped.encode(_BYTES)).decode(_BYTES)


def read_form(body: bytes, default_charset: str) -> Form:
    """The form in `body`, decoded with its own `charset` parameter (else `default_charset`).

    Splits at `&` first, percent-decodes to bytes, and only then decodes to text: a charset that a header
    claims does not count, and a `%26` inside a value stays inside. Raises MalformedFormError.
    """
    if body.count(b"%") > MAX_BROKEN_ESCAPES and len(_BROKEN_ESCAPE.findall(body)) > MAX_BROKEN_ESCAPES:
        raise MalformedFormError(f"there are more than {MAX_BROKEN_ESCAPES} % signs that encode nothing")
    if body.count(b"&") >= MAX_PARAMETERS:
        raise MalformedFormError(f"there are more than {MAX_PARAMETERS} parameters")
    raw: dict[str, str] = {}
    for pair in body.decode(_BYTES).replace("+", " ").split("&"):
        name, equals, value = pair.partition("=")
        # Most parts have nothing to decode, and the library takes its time to find that out.
        key = _unquoted(name) if "%" in name else name
        # A name with `=` or `&` in it would give two forms one base string, and so one signature.
        if not equals or len(key) > MAX_NAME_LENGTH or not _is_name(key):
            raise MalformedFormError(f"it is no form: {pair[:40].encode(_BYTES)!r} is not name=value")
        if key in raw:
            # Parsers disagree about which one counts, and money must not depend on that.
            raise MalformedFormError(f"the parameter {key[:40]!r} is repeated")
        raw[key] = _unquoted(value) if "%" in value else value
    charset = raw.get("charset") or default_charset
    codec = codec_of(charset)
    # ASCII is itself in every charset of the wallet's.
    if "".join(raw.values()).isascii():
        return Form(raw, raw, charset)
    try:
        text = {key: value if value.isascii() else value.encode(_BYTES).decode(codec) for key, value in raw.items()}
    except UnicodeDecodeError:
        raise MalformedFormError(f"a value is not {charset}") from None
    return Form(raw, text, charset)


def base_string(params: Mapping[str, str], charset: str) -> bytes:
    """What we sign of our own parameters: all but `sign`, empty ones left out, in the charset's bytes.

    Raises UnicodeEncodeError for a character that the charset cannot hold.
    """
    text = "&".join(f"{key}={params[key]}" for key in sorted(params) if key != "sign" and params[key])
    return text.encode(codec_of(charset))


def encode_form(params: Mapping[str, str], charset: str) -> str:
    """The form in the mapping's own order: `+` for a blank, percent-encoded bytes of the charset.

    Raises UnicodeEncodeError for a character that the charset cannot hold.
    """
    codec = codec_of(charset)
    return "&".join(f"{quote_plus(key)}={quote_plus(value.encode(codec))}" for key, value in params.items())


def wallet_time(moment: datetime) -> str:
    """`yyyy-MM-dd HH:mm:ss` in Beijing; parts of a second are dropped."""
    return moment.astimezone(BEIJING).replace(tzinfo=None).isoformat(" ", "seconds")


@lru_cache(maxsize=1024)
def parse_wallet_time(text: str) -> datetime | None:
    """The moment in UTC, or None for what is not such a time. `gmt_refund` has milliseconds, dropped."""
    match = _TIME.match(text)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match[0]).replace(tzinfo=BEIJING).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
