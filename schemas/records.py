"""Every record on the wire with its model: what is exported, and nothing else, is the contract."""

from pydantic import BaseModel

from schemas.completions import ServiceCompletedEvent
from schemas.order_events import (
    OperatorResolvedEvent,
    OrderCancelRequested,
    OrderClientResult,
    OrderCreatedEvent,
    OrderIssueRequested,
    RefundRequestedEvent,
)
from schemas.state_events import OrderStringRecord, StateEvent
from schemas.wallet_callbacks import WalletCallbackRecord

# By `topic/type`. What has no `type` on the wire, because it is alone in its topic, has one here.
RECORDS: dict[str, type[BaseModel]] = {
    "orders.events/order.created": OrderCreatedEvent,
    "orders.events/order.issue_requested": OrderIssueRequested,
    "orders.events/order.cancel_requested": OrderCancelRequested,
    "orders.events/order.client_result": OrderClientResult,
    "orders.events/refund.requested": RefundRequestedEvent,
    "orders.events/operator.resolved": OperatorResolvedEvent,
    "service.completions/service.completed": ServiceCompletedEvent,
    "wallet.callbacks/wallet.callback": WalletCallbackRecord,
    "payment.state-events/state_event": StateEvent,
    "payment.order-strings/order_string": OrderStringRecord,
}
