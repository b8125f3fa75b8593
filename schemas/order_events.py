"""`orders.events`: what the order API and other upstream services ask for."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from schemas.base import Currency, EventId, OrderId, PositiveMinor, Reason, Record, Time
from schemas.vocabulary import Kind, LatePayment, Outcome

MIN_PAY_TIMEOUT_S = 5
# 15 days, the longest that a wallet offers (`timeout_express` and `pay_timeout` end at 15d).
MAX_PAY_TIMEOUT_S = 1_296_000
DEFAULT_PAY_TIMEOUT_S = 900
# A year: far beyond any authorization that a wallet keeps.
MAX_AUTHORIZATION_TIMEOUT_S = 31_536_000
MAX_METADATA_ENTRIES = 16

MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=256)]


class _OrderEvent(Record):
    event_id: EventId
    order_id: OrderId
    occurred_at: Time


class OrderTerms(Record):
    """What an order is about, fixed for ever when it is made."""

    kind: Kind
    amount_minor: PositiveMinor
    currency: Currency
    profile: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    pay_timeout_s: Annotated[int, Field(ge=MIN_PAY_TIMEOUT_S, le=MAX_PAY_TIMEOUT_S)] = DEFAULT_PAY_TIMEOUT_S
    authorization_timeout_s: Annotated[int, Field(gt=0, le=MAX_AUTHORIZATION_TIMEOUT_S)] | None = Field(
        default=None, description="The profile's, when absent."
    )
    late_payment: LatePayment | None = Field(
        default=None, description="The profile's (refund, unless it says otherwise), when absent."
    )
    issue: bool = Field(default=True, description="Go on to `paying` at once.")
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MAX_METADATA_ENTRIES)] = Field(
        default_factory=dict, description="Carried into every state event of the order."
    )


class OrderCreatedEvent(OrderTerms, _OrderEvent):
    """A new order, with its terms."""

    type: Literal["order.created"]


class OrderIssueRequested(_OrderEvent):
    """Asks for the order string of an order that was created with `issue` false."""

    type: Literal["order.issue_requested"]


class OrderCancelRequested(_OrderEvent):
    """The order is no longer wanted."""

    type: Literal["order.cancel_requested"]
    reason: Reason = ""


class OrderClientResult(_OrderEvent):
    """What `my.tradePay` said in the mini program. It proves nothing; it only leads to a query."""

    type: Literal["order.client_result"]
    result_code: Annotated[str, StringConstraints(min_length=1, max_length=16)]


class RefundRequestedEvent(_OrderEvent):
    """Money is to go back to the buyer."""

    type: Literal["refund.requested"]
    refund_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    amount_minor: PositiveMinor
    currency: Currency
    reason: Reason = ""


class OperatorResolvedEvent(_OrderEvent):
    """A person has looked at the wallet's own console, and says what became of the operation that is unknown.

    Refused unless `expected_version` is the order's version: the order is as that person saw it. It sends nothing
    to the wallet. Without an operation under way it has no outcome, and takes the order out of the queue.
    """

    type: Literal["operator.resolved"]
    actor: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(description="Who says so.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    evidence: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="Where others can see it: a ticket, a line of the wallet's statement."
    )
    expected_version: Annotated[int, Field(ge=1)]
    outcome: Literal[Outcome.SUCCEEDED, Outcome.REJECTED] | None = Field(
        default=None, description="Of the operation under way; null when there is none."
    )


OrderEvent = (
    OrderCreatedEvent
    | OrderIssueRequested
    | OrderCancelRequested
    | OrderClientResult
    | RefundRequestedEvent
    | OperatorResolvedEvent
)
ORDER_EVENT: TypeAdapter[OrderEvent] = TypeAdapter(Annotated[OrderEvent, Field(discriminator="type")])
