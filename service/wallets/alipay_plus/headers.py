"""The signature in the headers, both ways: made for our calls, verified on callbacks and on answers.

Source: the wallet's "Sign a request and verify the signature". What is signed is
`POST <path and query>`, a line's end, and `<Client-Id>.<Request-Time>.<body>`. Each part is held to a grammar:
were a `.` or a line's end allowed in one, the same signed bytes could be cut elsewhere, and another body be
genuine.
Whether a time is fresh is not judged here: inputs are told apart by what they say, so a replay says nothing new.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from service.wallets.profile import WalletProfile
from service.wallets.signatures import SignType, sign, verify

ALGORITHM: Final = "RSA256"
# We have one key. The wallet's own version is not looked at: keys are chosen by their dates.
KEY_VERSION: Final = "1"
REQUEST_TIME: Final = "request-time"
RESPONSE_TIME: Final = "response-time"
# A signature of an 8192-bit key, every character escaped, has about 4,100.
MAX_SIGNATURE_HEADER: Final = 8_192

# ISO 8601 with an offset, or milliseconds since 1970, which some gateways send. A fraction's dot is no place to cut
# at: what stands before it has no offset, and so is no time.
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
    r"|(?P<ms>[0-9]{13})"
)
DOES_NOT_VERIFY: Final = "its signature does not verify"
_PATH: Final = re.compile(r"/[!-~]*")
_VERSION: Final = re.compile(r"[0-9]{1,9}")


class NotBelievedError(ValueError):
    """Headers that do not show that the message is genuine and meant for us; the message says why."""


def request_time(moment: datetime) -> str:
    """The time as our calls carry it: ISO 8601 in UTC, whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def signed_text(path: str, client_id: str, time: str, body: bytes) -> bytes:
    """What is signed. `path` has its query, if there is one."""
    return f"POST {path}\n{client_id}.{time}.".encode("ascii") + body


def path_of(url: str) -> str:
    """The path of a URL with its query, as it stands in the request line."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def signature_header(signature: str) -> str:
    """The header around a signature in base64."""
    return f"algorithm={ALGORITHM},keyVersion={KEY_VERSION},signature={quote(signature, safe='')}"


def signed_headers(
    key: RSAPrivateKey, client_id: str, url: str, at: datetime, body: bytes, *, time_name: str = REQUEST_TIME
) -> dict[str, str]:
    """The headers of a message of ours (or, for drills, of the wallet's)."""
    time = request_time(at)
    signature = sign(key, signed_text(path_of(url), client_id, time, body), SignType.RSA2)
    return {
        "content-type": "application/json; charset=UTF-8",
        "client-id": client_id,
        time_name: time,
        "signature": signature_header(signature),
    }


def verify_headers(
    headers: Mapping[str, str],
    body: bytes,
    *,
    paths: Iterable[str],
    time_name: str,
    profile: WalletProfile,
    at: datetime,
) -> None:
    """Whether the wallet has signed the body for us. Raises NotBelievedError. Header names are lower-case.

    `paths` are those that may have been signed: a proxy may show us another one than the wallet was told.
    """
    client_id = headers.get("client-id", "")
    if client_id != profile.client_id:
        raise NotBelievedError("its client-id is not that of the profile")
    time = headers.get(time_name, "")
    if not is_time(time):
        raise NotBelievedError(f"its {time_name} is not a time")
    signature = read_signature(headers.get("signature", ""))
    keys = profile.wallet_keys_at(at)
    if not keys:
        raise NotBelievedError("no key of the wallet was valid when it arrived")
    for path in dict.fromkeys(paths):
        if _PATH.fullmatch(path) is None:
            continue
        text = signed_text(path, client_id, time, body)
        if any(verify(key, text, signature, SignType.RSA2) for key in keys):
            return
    raise NotBelievedError(DOES_NOT_VERIFY)


def is_time(text: str) -> bool:
    """Whether it is a time as the wallet writes it, and nothing beside it."""
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    return match["ms"] is not None or parse_time(text) is not None


def parse_time(text: object) -> datetime | None:
    """The moment of an ISO 8601 text with an offset, in UTC; None for anything else."""
    if not isinstance(text, str) or len(text) > len("2026-01-15T02:20:30.000000+00:00"):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def read_signature(header: str) -> str:
    """The base64 text in a Signature header. Raises NotBelievedError.

    The hash is ours to choose: a header that names another is refused, whatever it signs. A `+` that somebody
    forgot to escape stays a `+`; one that was read as a blank on the way becomes one again.
    """
    if len(header) > MAX_SIGNATURE_HEADER:
        raise NotBelievedError("its signature header is too long")
    parts: dict[str, str] = {}
    for part in header.split(","):
        name, _, value = part.strip(" \t").partition("=")
        if name in parts:
            raise NotBelievedError("its signature header repeats a part")
        parts[name] = value
    if parts.get("algorithm") != ALGORITHM:
        raise NotBelievedError(f"it is not signed with {ALGORITHM}")
    if _VERSION.fullmatch(parts.get("keyVersion", KEY_VERSION)) is None:
        raise NotBelievedError("its keyVersion is not a number")
    if not parts.get("signature"):
        raise NotBelievedError("it is not signed")
    return unquote(parts["signature"]).replace(" ", "+")
