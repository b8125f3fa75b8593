"""What can reach an order: requests, what a wallet says, timers, and what the dispatcher reports.

All of it has been verified and parsed before it gets here. Amounts are in minor units, times are aware UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.vocabulary import Kind, LatePayment, Outcome


@dataclass(frozen=True, slots=True)
class OrderCreated:
    """Upstream has made an order. `pay_window_s`: see Order."""

    event_id: str
    occurred_at: datetime
    order_id: str
    kind: Kind
    profile: str
    currency: str
    amount_minor: int
    subject: str
    pay_timeout_s: int
    pay_window_s: int
    authorization_timeout_s: int
    late_payment: LatePayment
    issue: bool
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class IssueRequested:
    """Upstream wants the order string to go out."""

    event_id: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Upstream no longer wants the order."""

    event_id: str
    occurred_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class ClientResult:
    """What `my.tradePay` told the mini program. It proves nothing, not even 9000: it leads to a query."""

    event_id: str
    occurred_at: datetime
    result_code: str


@dataclass(frozen=True, slots=True)
class RefundRequested:
    """Upstream wants money to go back. `refund_id` is theirs; the same one again is a duplicate."""

    event_id: str
    occurred_at: datetime
    refund_id: str
    amount_minor: int
    currency: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServiceCompleted:
    """The service was used and cost this much. The same `completion_id` again is a duplicate."""

    event_id: str
    occurred_at: datetime
    completion_id: str
    amount_minor: int
    currency: str
    final: bool


class EvidenceSource(StrEnum):
    """How we came by what the wallet says."""

    CALLBACK = "callback"
    QUERY = "query"
    REPLY = "reply"


class Trade(StrEnum):
    """How the buyer's side of the order looks to the wallet."""

    OPEN = "open"
    PAID = "paid"
    FROZEN = "frozen"
    FAILED = "failed"
    CLOSED = "closed"
    # The wallet knows no such trade: the buyer has not acted yet, or never will. Not a failure by itself.
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class WalletEvidence:
    """What a wallet has said, in one form for callbacks, queries and the answers to our calls.

    `event_id` is the wallet's own id of a callback, None for answers (they are never duplicates).
    `occurred_at` is when it happened, as far as a callback says so; of an answer, when it was asked for: what it
    says was so then, or later.
    `order_amount_minor` is the order's amount as the wallet sees it (compared, never booked); None: not said.
    The four `total_…` are totals after the fact; None means that the message says nothing of them.
    `request_no` names the operation of ours that it speaks of (None: of the order as a whole), and then
    `outcome` says how that went, and `request_amount_minor` for how much, when the wallet says it.
    With a `request_no` and `trade` MISSING the wallet knows nothing of that request: it never arrived.
    """

    event_id: str | None
    occurred_at: datetime
    source: EvidenceSource
    order_id: str
    trade: Trade | None = None
    order_amount_minor: int | None = None
    currency: str | None = None
    total_frozen_minor: int | None = None
    total_taken_minor: int | None = None
    total_released_minor: int | None = None
    total_refunded_minor: int | None = None
    request_no: str | None = None
    outcome: Outcome | None = None
    request_amount_minor: int | None = None
    code: str = ""
    trade_no: str | None = None
    auth_no: str | None = None


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The order asked to be woken at a time that has come; what is due follows from `now`."""

    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class OperationAttempted:
    """The dispatcher is about to call the wallet; recorded first, so that a crash leaves `unknown`."""

    occurred_at: datetime
    operation_id: str


@dataclass(frozen=True, slots=True)
class OperationGivenUp:
    """The dispatcher's bounded tries are used up and nobody knows: a person has to look."""

    occurred_at: datetime
    operation_id: str


@dataclass(frozen=True, slots=True)
class OperatorResolved:
    """A person has looked at the wallet's own console and says what became of the live operation.

    Refused unless `expected_version` is the order's version. `outcome` is SUCCEEDED or REJECTED.
    Sends nothing to the wallet by itself.
    """

    event_id: str
    occurred_at: datetime
    actor: str
    reason: str
    evidence: str
    expected_version: int
    outcome: Outcome | None = None


Input = (
    OrderCreated
    | IssueRequested
    | CancelRequested
    | ClientResult
    | RefundRequested
    | ServiceCompleted
    | WalletEvidence
    | TimerFired
    | OperationAttempted
    | OperationGivenUp
    | OperatorResolved
)
