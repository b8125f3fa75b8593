"""`payment.state-events` and `payment.order-strings`: what paystate says.

An open schema: fields may be added, and the strings with known values may get new ones.
"""

from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Time


class StateEvent(BaseModel):
    """One journal entry, flat and self-contained. Amounts are totals after it, in minor units."""

    model_config = ConfigDict(extra="allow")

    event_id: str
    lane: int
    lane_seq: int = Field(description="Dense per lane (partition), from 1.")
    order_id: str
    version: int = Field(description="Dense per order, from 1.")
    occurred_at: Time = Field(description="When the cause happened.")
    recorded_at: Time = Field(description="When it was committed.")
    trigger: str
    disposition: str = Field(description="applied, absorbed, refused or flagged.")
    previous_state: str | None = Field(description="Null in version 1; equal to state where nothing moved.")
    state: str
    reason: str | None
    kind: str
    profile: str
    currency: str
    amount_minor: int
    metadata: dict[str, str]
    frozen_minor: int
    taken_minor: int
    released_minor: int
    refunded_minor: int
    flags: list[str] = Field(description="Sorted.")
    operation_id: str | None = Field(description="The operation that this event began, moved or ended.")
    operation_kind: str | None
    operation_amount_minor: int | None
    operation_state: str | None
    wallet_trade_no: str | None
    wallet_auth_no: str | None
    cause_type: str
    cause_event_id: str | None
    cause_topic: str | None = Field(description="Null for timers and wallet replies, as are the next two.")
    cause_partition: int | None
    cause_offset: int | None
    traceparent: str | None = Field(description="W3C trace context of the input, when it had one.")


class OrderStringRecord(BaseModel):
    """The signed orderStr of an order that became `paying`. Whoever holds it can pay: restrict by ACL."""

    model_config = ConfigDict(extra="allow")

    order_id: str
    version: int
    profile: str
    order_str: str = Field(description="Opaque; hand it to `my.tradePay` as it is.")
    issued_at: Time
    expires_at: Time
