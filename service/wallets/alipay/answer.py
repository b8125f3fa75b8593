"""The signed node of the gateway's answer: found as raw text, verified, and only then believed.

Source: the wallet's rules for synchronous answers. The signature covers the text of `<method>_response`
exactly as it stands in the body, so it has to be cut out by something that knows what a JSON string is.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.strict_json import MAX_DEPTH
from service.wallets.parameters import codec_of
from service.wallets.profile import WalletProfile
from service.wallets.signatures import verify

MAX_ANSWER_BYTES: Final = 262_144
_MAX_MEMBERS: Final = 16
_ERROR_NODE: Final = "error_response"
_BLANKS: Final = " \t\r\n"
_NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class UnbelievableError(ValueError):
    """An answer that is not to be believed; the message says why. `code` is what it claims, for operators."""

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Node:
    """The verified business content of an answer."""

    members: Mapping[str, Any]

    @property
    def code(self) -> str:
        """The gateway's code, 10000 for a call that was made."""
        return self.text("code") or ""

    @property
    def reason(self) -> str:
        """The most telling code: that of the business if there is one."""
        return _code_of(self.members)

    def text(self, name: str) -> str | None:
        """A member that is a string and not empty; None otherwise."""
        value = self.members.get(name)
        return value if isinstance(value, str) and value else None


def node_name(method: str) -> str:
    """`alipay.trade.query` -> `alipay_trade_query_response`."""
    return method.replace(".", "_") + "_response"


def read_node(body: bytes, method: str, profile: WalletProfile, at: datetime) -> Node:
    """The verified node of the method's answer. Raises UnbelievableError, and nothing else, for any bytes."""
    if len(body) > MAX_ANSWER_BYTES:
        raise UnbelievableError(f"longer than {MAX_ANSWER_BYTES} bytes")
    try:
        text = body.decode(codec_of(profile.charset))
        members = _members(text)
    except UnicodeDecodeError:
        raise UnbelievableError(f"not {profile.charset}") from None
    except (ValueError, RecursionError) as error:
        # Also what our own hooks find: repeated keys, NaN.
        raise UnbelievableError(f"not a sound JSON object: {error}"[:200]) from None
    names = [name for name in (node_name(method), _ERROR_NODE) if name in members]
    if len(names) != 1:
        found = ", ".join(name[:64] for name in members if name != "sign") or "nothing"
        raise UnbelievableError(f"it should have {node_name(method)} or {_ERROR_NODE}, and has {found}"[:300])
    node, raw = members[names[0]]
    if not isinstance(node, dict):
        raise UnbelievableError("its node is not an object")
    # Before anything walks through it: a parser in C goes deeper than a function that calls itself.
    if not _is_shallow(node, MAX_DEPTH):
        raise UnbelievableError(f"its node is nested deeper than {MAX_DEPTH}", _code_of(node))
    signature, _ = members.get("sign", (None, ""))
    if not isinstance(signature, str) or not signature:
        raise UnbelievableError("unsigned", _code_of(node))
    if not _is_signed(raw, node, signature, profile, at):
        raise UnbelievableError("its signature does not verify", _code_of(node))
    if not _is_text_throughout(node):
        raise UnbelievableError("it holds a NUL or half a character, which no database takes", _code_of(node))
    return Node(node)


def _is_signed(raw: str, node: dict[str, Any], signature: str, profile: WalletProfile, at: datetime) -> bool:
    messages = [raw]
    if "\\/" in raw:
        # Some of the wallet's gateways sign before they escape slashes. Believed only where both texts mean
        # the same.
        unescaped = raw.replace("\\/", "/")
        if _means(unescaped) == node:
            messages.append(unescaped)
    codec = codec_of(profile.charset)
    keys = profile.wallet_keys_at(at)
    if not keys:
        raise UnbelievableError("no key of the wallet was valid when it arrived", _code_of(node))
    return any(
        verify(key, message.encode(codec), signature, profile.sign_type) for message in messages for key in keys
    )


def _means(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _is_shallow(value: object, depth: int) -> bool:
    """Whether it is nested no deeper than that."""
    if isinstance(value, dict):
        value = list(value.values())
    return not isinstance(value, list) or (depth > 0 and all(_is_shallow(each, depth - 1) for each in value))


def _is_text_throughout(value: object) -> bool:
    """Whether every string in it can be stored. JSON's escapes can write what is no text."""
    if isinstance(value, dict):
        return all(_is_text_throughout(each) for each in (*value, *value.values()))
    if isinstance(value, list):
        return all(_is_text_throughout(each) for each in value)
    return not isinstance(value, str) or not _NO_TEXT.search(value)


def _code_of(node: Mapping[str, Any]) -> str:
    for name in ("sub_code", "code"):
        value = node.get(name)
        if isinstance(value, str) and _CODE.fullmatch(value):
            return value
    return ""


def _members(text: str) -> dict[str, tuple[Any, str]]:
    """The members of the object that `text` is, each with its value and the value's raw text."""
    members: dict[str, tuple[Any, str]] = {}
    at = _expect(text, _skip(text, 0), "{")
    while True:
        name, end = _DECODER.raw_decode(text, _skip(text, at))
        if not isinstance(name, str) or name in members or len(members) == _MAX_MEMBERS:
            raise ValueError(f"a name is no string, or repeated, or one too many: {str(name)[:64]!r}")
        start = _skip(text, _expect(text, _skip(text, end), ":"))
        value, end = _DECODER.raw_decode(text, start)
        members[name] = (value, text[start:end])
        at = _skip(text, end)
        if text[at : at + 1] != ",":
            break
        at += 1
    if text[_expect(text, at, "}") :].strip(_BLANKS):
        raise ValueError("something follows the object")
    return members


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


def _expect(text: str, at: int, character: str) -> int:
    if text[at : at + 1] != character:
        raise ValueError(f"{character} is missing")
    return at + 1


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is repeated")
    return members


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_no_constant)
