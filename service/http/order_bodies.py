"""What the order API takes and answers: the wire contracts of `schemas`, without what the API fills in itself."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.base import Currency, Minor, OrderId, PositiveMinor, Reason, Record
from schemas.order_events import OrderTerms
from schemas.state_events import StateEvent
from schemas.vocabulary import Kind, LatePayment, State

RequestId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
FROM_KEY = "Made from the Idempotency-Key when absent; one of the two is needed."


class NewOrder(OrderTerms):
    """An order to be made."""

    order_id: OrderId | None = Field(default=None, description="Made here when absent.")
    # FastAPI hands over parsed JSON, in which a word is a string.
    kind: Annotated[Kind, Field(strict=False)]
    late_payment: Annotated[LatePayment, Field(strict=False)] | None = Field(
        default=None, description="What becomes of money that arrives too late; the profile's, when absent."
    )


class Cancellation(Record):
    """The order is no longer wanted."""

    reason: Reason = ""


class Completion(Record):
    """The service of a pre-authorized order was used, and this is what it cost."""

    completion_id: RequestId | None = Field(default=None, description=FROM_KEY)
    amount_minor: Minor
    currency: Currency
    final: bool = Field(default=True, description="Nothing more will be captured.")


class Refund(Record):
    """Money is to go back to the buyer."""

    refund_id: RequestId | None = Field(default=None, description=FROM_KEY)
    amount_minor: PositiveMinor
    currency: Currency
    reason: Reason = ""


class ClientResult(Record):
    """What `my.tradePay` said in the mini program. It proves nothing; it only leads to a query."""

    result_code: Annotated[str, StringConstraints(min_length=1, max_length=16)]


class OrderMade(BaseModel):
    """An order that was made, or (202) is being made: then `state` is null, and Location says where to look."""

    order_id: str
    state: State | None
    version: int
    order_str: str | None = Field(
        description="Opaque; hand it to `my.tradePay` as it is. Null unless the order is `paying`."
    )
    expires_at: str | None = Field(description="Until then the buyer can pay. RFC 3339, UTC.")


class Accepted(BaseModel):
    """An event that was published; what becomes of it is in the order's timeline, under this event id."""

    order_id: str
    event_id: str
    completion_id: str | None = None
    refund_id: str | None = None
    taken_before: bool = Field(
        description="The order had taken its `completion_id` or `refund_id` before: nothing was published, and"
        " nothing is done again, whatever became of the first."
    )


class OrderShown(BaseModel):
    """An order as it is now. Amounts are totals, in minor units."""

    model_config = ConfigDict(extra="allow")

    order_id: str
    state: State
    version: int
    kind: Kind
    profile: str
    currency: str
    amount_minor: int
    subject: str
    metadata: dict[str, str]
    frozen_minor: int
    taken_minor: int
    released_minor: int
    refunded_minor: int
    held_minor: int
    flags: list[str]
    wallet_trade_no: str | None
    wallet_auth_no: str | None
    created_at: str
    issued_at: str | None
    expires_at: str | None = Field(description="Until then the buyer can pay. RFC 3339, UTC.")
    order_str: str | None = Field(description="While the order is `paying`, when asked for.")
    operations: list[dict[str, Any]] = Field(description="What was asked of the wallet.")
    timeline: list[StateEvent] = Field(description="The order's state events, oldest first.")
