"""The orderStr that a mini program gives to `my.tradePay`: made from parameters, and read back.

Source: the wallet's orderStr rules; its printed sample is the first of our vectors. Never put an orderStr
into HTML unescaped: `&timestamp` reads as the entity `&times`, and the string is lost (see `html_damage`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from schemas.strict_json import MalformedRecordError, loads_object
from service.wallets.html_damage import Damage, repair
from service.wallets.parameters import MAX_PARAMETERS, MalformedFormError, base_string, codec_of, encode_form
from service.wallets.signatures import SignType, sign, verify, wrong_form
from service.wallets.wrapping import wrapped_in

# A long one has 2,000 characters; what is longer than this was never an orderStr.
MAX_ORDER_STRING_CHARACTERS: Final = 65_536
REQUIRED: Final = (
    "app_id", "biz_content", "charset", "method", "sign", "sign_type", "timestamp", "version",
)  # fmt: skip

_CHARSET: Final = re.compile(r"(?:^|&)charset=([^&]*)")
# What the lack of a parameter means, for people.
_MISSED: Final = {
    "method": ": nothing says what the wallet is asked to do (the guide's printed sample has lost it, too)",
    "sign": ": nobody has signed it, and no wallet takes it",
    "sign_type": ": the wallet cannot tell how it is signed",
}


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
    """An orderStr as it was read. `params` are those of the repaired string; `missing` names those it lacks.

    `problems` says in words what else is wrong with it.
    """

    params: Mapping[str, str]
    biz_content: Mapping[str, Any] | None
    charset: str
    damages: tuple[Damage, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    repaired: str
    base: bytes = field(repr=False, default=b"")

    @property
    def damage(self) -> tuple[str, ...]:
        """The parameters whose `&` was lost (or escaped) in HTML."""
        return tuple(each.name for each in self.damages)

    @property
    def is_whole(self) -> bool:
        """Nothing is damaged, missing or unreadable. It says nothing of the signature."""
        return not (self.damages or self.missing or self.problems)

    @property
    def wrong_signature(self) -> str | None:
        """Why no key can have made its signature, whatever that covers; None where one can, or there is none."""
        wrong = wrong_form(_signature(self.params)) if self.params.get("sign") else None
        return f"sign {wrong}" if wrong else None

    @property
    def in_words(self) -> tuple[str, ...]:
        """Everything that is wrong with it, for people. It says nothing of the signature."""
        return (
            *(each.in_words for each in self.damages),
            *self.problems,
            *(f"{name} is missing{_MISSED.get(name, '')}" for name in self.missing),
        )


def parse_order_string(text: str) -> ParsedOrderString:
    """Reads an orderStr of whatever origin, also one that is damaged; never raises for a text."""
    if len(text) > MAX_ORDER_STRING_CHARACTERS:
        problem = f"longer than {MAX_ORDER_STRING_CHARACTERS} characters"
        return ParsedOrderString({}, None, "", (), REQUIRED, (problem,), "")
    repaired, damages = repair(text.strip())
    charset, codec, unknown = _charset(repaired)
    raw, problems = _pairs(repaired, codec)
    problems += unknown
    params = {}
    for name, value in raw.items():
        try:
            params[name] = value.decode(codec)
        except UnicodeDecodeError:
            problems.append(f"{name} is not {charset}")
            params[name] = value.decode(codec, "replace")
    if wrapping := wrapped_in(repaired, REQUIRED):
        problems.insert(0, wrapping)
    return ParsedOrderString(
        params,
        _biz_content(params, problems),
        charset,
        damages,
        tuple(name for name in REQUIRED if not params.get(name)),
        tuple(problems),
        repaired,
        b"&".join(name.encode() + b"=" + raw[name] for name in sorted(raw) if name != "sign" and raw[name]),
    )


def verify_order_string(parsed: ParsedOrderString, key: RSAPublicKey, sign_type: SignType) -> bool:
    """Whether it is whole and signed with the private half of `key`, under the hash that we expect."""
    return parsed.is_whole and repaired_verifies(parsed, key, sign_type)


def repaired_verifies(parsed: ParsedOrderString, key: RSAPublicKey, sign_type: SignType) -> bool:
    """Whether it is so signed once its ampersands are back, whatever else is wrong with it."""
    if parsed.params.get("sign_type") != sign_type.value:
        return False
    return verify(key, parsed.base, _signature(parsed.params), sign_type)


def _signature(params: Mapping[str, str]) -> str:
    # Base64 has no blanks: where one stands, somebody forgot to percent-encode the `+` of the signature.
    return params.get("sign", "").replace(" ", "+")


def _charset(text: str) -> tuple[str, str, list[str]]:
    """The charset that the text names, Python's name of it (of UTF-8 if that is not known), and problems."""
    match = _CHARSET.search(text)
    charset = unquote_to_bytes(match[1]).decode("ascii", "replace") if match else "utf-8"
    try:
        return charset, codec_of(charset), []
    except MalformedFormError as error:
        return charset, "utf-8", [str(error)]


def _pairs(text: str, codec: str) -> tuple[dict[str, bytes], list[str]]:
    raw: dict[str, bytes] = {}
    problems: list[str] = []
    for pair in text.split("&", MAX_PARAMETERS):
        key, equals, value = pair.partition("=")
        # What is not ASCII stands there unencoded; its bytes are then those of the charset.
        name = unquote_to_bytes(key.replace("+", " ").encode(codec, "replace")).decode(codec, "replace")
        if not name or not equals:
            problems.append(f"{pair[:40]!r} is not name=value")
        elif name in raw:
            problems.append(f"{name[:40]} is repeated")
        else:
            raw[name] = unquote_to_bytes(value.replace("+", " ").encode(codec, "replace"))
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
        problems.append(f"biz_content: {error}")
        return None
