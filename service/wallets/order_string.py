"""The orderStr that a mini program gives to `my.tradePay`: made from parameters, and read back.

Source: the wallet's orderStr rules; its printed sample is the first of our vectors. Never put an orderStr
into HTML unescaped: `&timestamp` reads as the entity `&times`, and the string is lost.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html.entities import html5
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from schemas.strict_json import MalformedRecordError, loads_object
from service.wallets.parameters import MAX_PARAMETERS, MalformedFormError, base_string, codec_of, encode_form
from service.wallets.signatures import SignType, sign, verify

# A long one has 2,000 characters; what is longer than this was never an orderStr.
MAX_ORDER_STRING_CHARACTERS: Final = 65_536
REQUIRED: Final = (
    "app_id", "biz_content", "charset", "method", "sign", "sign_type", "timestamp", "version",
)  # fmt: skip


def sign_parameters(
    params: Mapping[str, str], key: RSAPrivateKey, sign_type: SignType, charset: str
) -> dict[str, str]:
    """The parameters, empty ones left out, with their `sign` at the end."""
    given = {name: value for name, value in params.items() if value and name != "sign"}
    return given | {"sign": sign(key, base_string(given, charset), sign_type)}


def build_order_string(params: Mapping[str, str], key: RSAPrivateKey, sign_type: SignType, charset: str) -> str:
    """The signed orderStr: all keys in order, `sign` among them. The same parameters give the same bytes."""
    signed = sign_parameters(params, key, sign_type, charset)
    return encode_form(dict(sorted(signed.items())), charset)


@dataclass(frozen=True, slots=True)
class ParsedOrderString:
    """An orderStr as it was read. `damage` names the parameters whose `&` was lost (or escaped) in HTML.

    `params` are those of the repaired string. `problems` says in words what else is wrong with it.
    """

    params: Mapping[str, str]
    biz_content: Mapping[str, Any] | None
    charset: str
    damage: tuple[str, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    repaired: str
    base: bytes = field(repr=False, default=b"")

    @property
    def is_whole(self) -> bool:
        """Nothing is damaged, missing or unreadable. It says nothing of the signature."""
        return not (self.damage or self.missing or self.problems)


def parse_order_string(text: str) -> ParsedOrderString:
    """Reads an orderStr of whatever origin, also one that is damaged; never raises for a text."""
    if len(text) > MAX_ORDER_STRING_CHARACTERS:
        problem = f"longer than {MAX_ORDER_STRING_CHARACTERS} characters"
        return ParsedOrderString({}, None, "", (), REQUIRED, (problem,), "")
    repaired, damage = _repair(text.strip())
    raw, problems = _pairs(repaired)
    charset = raw.get("charset", b"utf-8").decode("ascii", "replace")
    try:
        codec = codec_of(charset)
    except MalformedFormError as error:
        problems.append(str(error))
        codec = "utf-8"
    params = {}
    for name, value in raw.items():
        try:
            params[name] = value.decode(codec)
        except UnicodeDecodeError:
            problems.append(f"{name} is not {charset}")
            params[name] = value.decode(codec, "replace")
    return ParsedOrderString(
        params,
        _biz_content(params, problems),
        charset,
        damage,
        tuple(name for name in REQUIRED if not params.get(name)),
        tuple(problems),
        repaired,
        b"&".join(name.encode() + b"=" + raw[name] for name in sorted(raw) if name != "sign" and raw[name]),
    )


def verify_order_string(parsed: ParsedOrderString, key: RSAPublicKey, sign_type: SignType) -> bool:
    """Whether it is whole and signed with the private half of `key`, under the hash that we expect."""
    if not parsed.is_whole or parsed.params["sign_type"] != sign_type.value:
        return False
    return verify(key, parsed.base, parsed.params["sign"], sign_type)


def _pairs(text: str) -> tuple[dict[str, bytes], list[str]]:
    raw: dict[str, bytes] = {}
    problems: list[str] = []
    for pair in text.split("&", MAX_PARAMETERS):
        key, equals, value = pair.partition("=")
        # An orderStr is plain ASCII, so its bytes in any charset are the same; what is not is told of
        # elsewhere.
        name = unquote_to_bytes(key.replace("+", " ").encode("utf-8", "replace")).decode("utf-8", "replace")
        if not name or not equals:
            problems.append(f"{pair[:40]!r} is not name=value")
        elif name in raw:
            problems.append(f"{name[:40]} is repeated")
        else:
            raw[name] = unquote_to_bytes(value.replace("+", " ").encode("utf-8", "replace"))
    if text.count("&") >= MAX_PARAMETERS:
        problems.append(f"more than {MAX_PARAMETERS} parameters")
    if not text.isascii():
        problems.append("there are characters that are not ASCII: it is not as it was sent")
    return raw, problems


def _biz_content(params: Mapping[str, str], problems: list[str]) -> dict[str, Any] | None:
    if not params.get("biz_content"):
        return None
    try:
        return loads_object(params["biz_content"].encode("utf-8", "replace"))
    except MalformedRecordError as error:
        problems.append(f"biz_content is {error}")
        return None


def _lost_beginnings() -> dict[str, str]:
    """What an HTML parser makes of `&name`, for the entities that need no semicolon: `×` stands for `times`.

    Also as these characters look when their UTF-8 bytes are then read as GBK or Latin (`脳`, `Ã—`).
    """
    beginnings: dict[str, str] = {}
    for name, character in html5.items():
        if name.endswith(";") or not name.islower():
            continue
        beginnings.setdefault(character, name)
        if not character.isascii():
            for codec in ("gbk", "cp1252", "latin-1"):
                with suppress(UnicodeDecodeError):
                    beginnings.setdefault(character.encode().decode(codec), name)
    # A lone `&` is what `&amp` stands for, so it is no damage.
    del beginnings["&"]
    return beginnings


_LOST: Final = _lost_beginnings()
# Longest first, so that a character read as two is not taken for its first half.
_DAMAGED: Final = re.compile(
    f"({'|'.join(re.escape(seen) for seen in sorted(_LOST, key=len, reverse=True))})([A-Za-z_]{{0,40}})="
)
_ESCAPED: Final = re.compile(r"&amp;([A-Za-z_]{1,40})=")


def _repair(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with its ampersands back, and the names of the parameters that had lost them."""
    damage: list[str] = []

    def unescape(match: re.Match[str]) -> str:
        damage.append(match[1])
        return f"&{match[1]}="

    def restore(match: re.Match[str]) -> str:
        name = _LOST[match[1]] + match[2]
        damage.append(name)
        return f"&{name}="

    # The escaped first: what they hide must not be seen as a lone `&`.
    repaired = _DAMAGED.sub(restore, _ESCAPED.sub(unescape, text))
    return repaired, tuple(damage)
