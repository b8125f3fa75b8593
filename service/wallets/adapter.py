"""The port between paystate and a wallet's protocol.

An adapter is sans-I/O: it makes requests and reads answers, the dispatcher carries them. It knows its
profile (keys, ids, URLs) and no clock: time is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from schemas.vocabulary import Kind, LatePayment
from statemachine.inputs import OrderCreated, WalletEvidence
from statemachine.order import Operation, Order


class CallbackRefusedError(ValueError):
    """A callback that is not to be believed or not to be understood; the message says why."""


class BuilderRefusedError(ValueError):
    """Terms that the wallet would refuse, or that its charset cannot hold; the message says which and why."""


@dataclass(frozen=True, slots=True)
class RawCallback:
    """A callback exactly as the wallet sent it; header names are lower-case, `path` has its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class WalletRequest:
    """An HTTP request, signed and ready. `call` is the wallet's own name of what it does."""

    call: str
    order_id: str
    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    # The operation that it carries out or asks about; None for a question about the order itself.
    operation: Operation | None = None
    # A question changes nothing at the wallet; the others are idempotent under their request number.
    is_query: bool = False


@dataclass(frozen=True, slots=True)
class WalletAnswer:
    """What came back over HTTP. A lost answer has no WalletAnswer: the dispatcher says unknown by itself."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class WalletAdapter(Protocol):
    """What every dialect offers. All methods are pure; those that sign or verify take about a millisecond."""

    @property
    def authorization_timeout_s(self) -> int:
        """How long an authorization lasts, for orders that do not say."""
        ...

    @property
    def late_payment(self) -> LatePayment:
        """What to do with late money, for orders that do not say."""
        ...

    def check_terms(self, created: OrderCreated) -> None:
        """Raises BuilderRefusedError for an order whose order string could not be made or would be refused.

        Signs nothing: it is asked for every order before it is taken.
        """
        ...

    @property
    def success_answer(self) -> bytes:
        """The body that tells the wallet its callback has been taken."""
        ...

    def pay_window_s(self, kind: Kind, pay_timeout_s: int) -> int:
        """How long the wallet will let the buyer pay, given what we ask: the next whole minute, for some."""
        ...

    def order_string(self, order: Order) -> str:
        """The signed orderStr of an issued order. The same order gives the same bytes, always.

        Raises BuilderRefusedError for terms that the wallet would refuse.
        """
        ...

    def order_of_callback(self, callback: RawCallback) -> str | None:
        """Verifies a callback and names its order; None when it is genuine and of no order.

        Reads nothing else of it, so that one whose amounts or status nobody understands is kept, too: a lane
        finds out, and has a place for it. Raises CallbackRefusedError, and nothing else, whatever the bytes are.
        """
        ...

    def open_callback(self, callback: RawCallback) -> WalletEvidence | None:
        """Verifies and reads a callback; None when it is genuine and says nothing of an order.

        Raises CallbackRefusedError, and nothing else, whatever the bytes are.
        """
        ...

    def operation_request(self, order: Order, operation: Operation, now: datetime) -> WalletRequest:
        """The call that carries out the operation, under its own request number."""
        ...

    def query_request(self, order: Order, operation: Operation | None, now: datetime) -> WalletRequest:
        """The question what became of the operation, or (None) of the order."""
        ...

    def blames_configuration(self, code: str) -> bool:
        """Whether an answer with this code says that our keys, ids or rights at the wallet are wrong.

        The same call fails until a person has mended that, and nothing was judged: its outcome is UNKNOWN.
        """
        ...

    def read_answer(
        self, order: Order, request: WalletRequest, answer: WalletAnswer, now: datetime
    ) -> WalletEvidence:
        """What an answer means. Never raises, whatever was sent: what cannot be verified is UNKNOWN."""
        ...
