"""An order string of this dialect read back: whose it is, what it offers, and whether it is whole."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from schemas.strict_json import MalformedRecordError, loads_object
from service.wallets.alipay_plus.headers import is_time, signed_text
from service.wallets.html_damage import Damage, quoted_in, repair, text_of
from service.wallets.order_string import MAX_ORDER_STRING_CHARACTERS
from service.wallets.signatures import SignType, verify, wrong_form
from service.wallets.wrapping import wrapped_in

MEMBERS: Final = ("body", "client_id", "path", "request_time", "signature")
_PATH: Final = re.compile(r"/[!-~]*/payments/pay")


@dataclass(frozen=True, slots=True)
class WrittenOrderString:
    """An order string as it was read. `damages` is what an HTML page has done to it; `repaired` is without."""

    params: Mapping[str, str]
    fields: Mapping[str, Any] | None
    damages: tuple[Damage, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    repaired: str

    @property
    def is_whole(self) -> bool:
        """Nothing is damaged, missing or unreadable. It says nothing of the signature."""
        return not (self.damages or self.missing or self.problems)

    @property
    def wrong_signature(self) -> str | None:
        """Why no key can have made its signature, whatever that covers; None where one can, or there is none."""
        wrong = wrong_form(_signature(self.params)) if self.params.get("signature") else None
        return f"its signature {wrong}" if wrong else None

    def verifies(self, key: RSAPublicKey) -> bool:
        """Whether the private half of the key has signed it, once its ampersands are back."""
        if self.missing or any(not self.params[name].isascii() for name in ("path", "client_id", "request_time")):
            return False
        given = self.params
        text = signed_text(given["path"], given["client_id"], given["request_time"], given["body"].encode())
        return verify(key, text, _signature(given), SignType.RSA2)


def _signature(params: Mapping[str, str]) -> str:
    # Base64 has no blanks: where one stands, somebody forgot to percent-encode the `+` of the signature.
    return params["signature"].replace(" ", "+")


def is_of_this_dialect(raw: bytes) -> bool:
    """Whether it looks like one: the other dialect's has an app_id and no client_id."""
    return re.search(r"(?:^|[&;])client_id=", quoted_in(text_of(raw[:MAX_ORDER_STRING_CHARACTERS]))) is not None


def read_order_string(raw: bytes) -> WrittenOrderString:
    """Reads an order string of whatever origin, also one that is damaged; never raises, whatever the bytes are."""
    text = quoted_in(text_of(raw)).strip()
    if len(text) > MAX_ORDER_STRING_CHARACTERS:
        problem = f"longer than {MAX_ORDER_STRING_CHARACTERS} characters"
        return WrittenOrderString({}, None, (), MEMBERS, (problem,), "")
    repaired, damages = repair(text)
    params: dict[str, str] = {}
    problems: list[str] = []
    for pair in repaired.split("&"):
        name, equals, value = pair.partition("=")
        if not name or not equals:
            problems.append(f"{pair[:40]!r} is not name=value")
        elif name in params:
            problems.append(f"{name[:40]} is repeated")
        else:
            params[name] = _decoded(name, value, problems)
    if wrapping := wrapped_in(repaired, MEMBERS):
        problems.insert(0, wrapping)
    if strangers := sorted(params.keys() - set(MEMBERS)):
        problems.append(f"an order string of alipay_plus has no {', '.join(strangers)[:80]}")
    missing = tuple(name for name in MEMBERS if not params.get(name))
    fields = _fields(params, problems) if params.get("body") else None
    if params.get("path") and _PATH.fullmatch(params["path"]) is None:
        problems.append(f"its path is {params['path'][:80]!r}, and only a call of pay is offered to a buyer")
    if params.get("request_time") and not is_time(params["request_time"]):
        problems.append("its request_time is not a time")
    return WrittenOrderString(params, fields, damages, missing, tuple(problems), repaired)


def _decoded(name: str, value: str, problems: list[str]) -> str:
    raw = unquote_to_bytes(value.replace("+", " ").encode("utf-8", "replace"))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        problems.append(f"{name[:40]} is not UTF-8")
        return raw.decode("utf-8", "replace")


def _fields(params: Mapping[str, str], problems: list[str]) -> dict[str, Any] | None:
    try:
        return loads_object(params["body"].encode("utf-8", "replace"))
    except MalformedRecordError as error:
        problems.append(f"body: {error}")
        return None
