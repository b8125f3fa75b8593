"""A dialect for people: making and examining single messages, without an order, a database or a network.

What the `paystate wallet` commands stand on. Pure, as adapters are: time is an argument, and nothing is sent.
The service itself decides nothing by these.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol

from schemas.vocabulary import Outcome
from service.wallets.adapter import CallbackRefusedError, RawCallback, WalletAdapter
from statemachine.inputs import WalletEvidence

Signature = Literal["verified", "not verified", "not verifiable"]
VERIFIED: Final = "verified"
NOT_VERIFIED: Final = "not verified"
# What stands for a path that was not said.
NO_PATH: Final = "/"
# Nothing to verify with, or not the text that was signed.
NOT_VERIFIABLE: Final = "not verifiable"


class FieldsRefusedError(ValueError):
    """Fields of which no message can be made; the message says which and why."""


@dataclass(frozen=True, slots=True)
class MadeOrderString:
    """An orderStr, what its signature covers (as text), and the signature in base64."""

    order_str: str
    base_string: str
    sign: str


@dataclass(frozen=True, slots=True)
class ExaminedOrderString:
    """An orderStr of whatever origin. `ok`: nothing is wrong with it, as far as can be told.

    `damage` and `missing` are names of parameters; `problems` says in words all that is wrong, also those.
    `repaired` is the text with its damage undone, to look at; only the merchant can sign it anew.
    """

    ok: bool
    params: Mapping[str, str]
    biz_content: Mapping[str, Any] | None
    damage: tuple[str, ...]
    signature: Signature
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    repaired: str


@dataclass(frozen=True, slots=True)
class ExaminedCallback:
    """A callback. `ok`: genuine and understood; `fact` is None when it says nothing of an order of ours."""

    ok: bool
    reason: str
    fact: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ExaminedAnswer:
    """The answer to a call. `ok`: genuine. What is not believed has the outcome unknown and no body.

    `code` is the most telling one, that of the business if there is one; of an answer that is not believed it
    is what that claims.
    """

    ok: bool
    reason: str
    outcome: Outcome
    code: str
    body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A request or a callback, ready to be sent: a POST. A callback has no URL of its own."""

    headers: Mapping[str, str]
    body: bytes
    url: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer exactly as it came. The dialects that sign headers want those (lower-case) and the path."""

    method: str
    body: bytes
    received_at: datetime
    headers: Mapping[str, str]
    path: str = NO_PATH


class WalletByHand(Protocol):
    """What every dialect offers to people, for one profile."""

    def order_string(self, biz: Mapping[str, Any], method: str | None, at: datetime) -> MadeOrderString:
        """Makes an orderStr. Without a method it is that which the fields belong to.

        Raises BuilderRefusedError for what a wallet would refuse.
        """
        ...

    def examine_order_string(self, raw: bytes) -> ExaminedOrderString:
        """Reads an orderStr and verifies it with our own public half. Never raises, whatever the bytes are."""
        ...

    def examine_callback(self, callback: RawCallback) -> ExaminedCallback:
        """Verifies and reads a callback. Never raises, whatever the bytes are."""
        ...

    def examine_answer(self, answer: RawAnswer) -> ExaminedAnswer:
        """Verifies and reads the answer to a call. Never raises, whatever the bytes are."""
        ...

    def sign_callback(self, fields: Mapping[str, Any], at: datetime) -> SignedMessage:
        """The callback that a wallet with the profile's private key would send at that time.

        Raises FieldsRefusedError.
        """
        ...

    def sign_request(self, method: str, biz: Mapping[str, Any], at: datetime) -> SignedMessage:
        """A call of the wallet. Raises BuilderRefusedError for what a wallet would refuse."""
        ...


def examine_callback(adapter: WalletAdapter, callback: RawCallback) -> ExaminedCallback:
    """What the service itself would make of a callback, in any dialect."""
    try:
        evidence = adapter.open_callback(callback)
    except CallbackRefusedError as error:
        return ExaminedCallback(ok=False, reason=str(error), fact=None)
    if evidence is None:
        return ExaminedCallback(ok=True, reason="genuine, and says nothing of an order of ours", fact=None)
    return ExaminedCallback(ok=True, reason="genuine", fact=fact_of(evidence))


def fact_of(evidence: WalletEvidence) -> dict[str, Any]:
    """The evidence for people and JSON: amounts in minor units, times in RFC 3339, None where nothing is said."""
    fact = asdict(evidence)
    fact["occurred_at"] = evidence.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    # Enumerations are strings already; named plainly, so that nothing else has to know them.
    return {name: str(value) if isinstance(value, str) else value for name, value in fact.items()}
