"""`service.completions`: the service of a pre-authorized order was used, and this is what it cost."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from schemas.base import Currency, EventId, Minor, OrderId, Record, Time


class ServiceCompletedEvent(Record):
    """An amount to capture. With `final` true what remains frozen is released afterwards."""

    type: Literal["service.completed"]
    event_id: EventId
    order_id: OrderId
    occurred_at: Time
    completion_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    amount_minor: Minor
    currency: Currency
    final: bool = Field(default=True, description="Nothing more will be captured.")


COMPLETION: TypeAdapter[ServiceCompletedEvent] = TypeAdapter(ServiceCompletedEvent)
