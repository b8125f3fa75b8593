"""JSON Schema for every record, from the models that the service itself uses."""

import json
from pathlib import Path
from typing import Any

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

DIALECT = "https://json-schema.org/draft/2020-12/schema"

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


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one record, named `topic/type` as in RECORDS."""
    model = RECORDS[name]
    schema = model.model_json_schema()
    return {"$schema": DIALECT, "$id": f"urn:paystate:{name.replace('/', ':')}", **schema}


def export(folder: Path) -> list[Path]:
    """Writes `<folder>/<topic>/<type>.schema.json` for every record; answers the paths written."""
    written = []
    for name in RECORDS:
        path = folder / f"{name}.schema.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return written
