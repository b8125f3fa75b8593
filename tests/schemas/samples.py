"""One honest record of each kind, and how records are read: as the lanes do it."""

import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.records import RECORDS
from schemas.strict_json import MalformedRecordError, loads_object

TIME = "2026-03-01T12:00:00Z"
CREATED = {
    "type": "order.created",
    "event_id": "e1",
    "order_id": "o1",
    "occurred_at": TIME,
    "kind": "preauth",
    "amount_minor": 50_000,
    "currency": "CNY",
    "profile": "mall",
    "subject": "充电 50% off & more",
}
ISSUE = {"type": "order.issue_requested", "event_id": "e2", "order_id": "o1", "occurred_at": TIME}
CANCEL = ISSUE | {"type": "order.cancel_requested"}
CLIENT_RESULT = ISSUE | {"type": "order.client_result", "result_code": "9000"}
REFUND = ISSUE | {"type": "refund.requested", "refund_id": "r1", "amount_minor": 2_000, "currency": "CNY"}
RESOLVED = ISSUE | {
    "type": "operator.resolved",
    "actor": "ann",
    "reason": "looked at the console",
    "evidence": "ticket 7",
    "expected_version": 4,
}
COMPLETED = {
    "type": "service.completed",
    "event_id": "e3",
    "order_id": "o1",
    "occurred_at": TIME,
    "completion_id": "c1",
    "amount_minor": 12_000,
    "currency": "CNY",
}
CALLBACK = {
    "type": "wallet.callback",
    "profile": "mall",
    "received_at": TIME,
    "path": "/wallets/mall/notify?x=1",
    "body_base64": "b3JkZXI9bzE=",
}
STATE_EVENT = {
    "event_id": "o1.2",
    "lane": 3,
    "lane_seq": 17,
    "order_id": "o1",
    "version": 2,
    "occurred_at": TIME,
    "recorded_at": TIME,
    "trigger": "issue",
    "disposition": "applied",
    "previous_state": "created",
    "state": "paying",
    "reason": None,
    "kind": "preauth",
    "profile": "mall",
    "currency": "CNY",
    "amount_minor": 50_000,
    "metadata": {"shop": "7"},
    "frozen_minor": 0,
    "taken_minor": 0,
    "released_minor": 0,
    "refunded_minor": 0,
    "flags": [],
    "operation_id": None,
    "operation_kind": None,
    "operation_amount_minor": None,
    "operation_state": None,
    "wallet_trade_no": None,
    "wallet_auth_no": None,
    "cause_type": "order.created",
    "cause_event_id": "e1",
    "cause_topic": "orders.events",
    "cause_partition": 3,
    "cause_offset": 41,
    "traceparent": None,
}
ORDER_STRING = {
    "order_id": "o1",
    "version": 2,
    "profile": "mall",
    "order_str": "app_id=1&sign=x",
    "issued_at": TIME,
    "expires_at": "2026-03-01T12:15:00Z",
}
SAMPLES: dict[str, dict[str, Any]] = {
    "orders.events/order.created": CREATED,
    "orders.events/order.issue_requested": ISSUE,
    "orders.events/order.cancel_requested": CANCEL,
    "orders.events/order.client_result": CLIENT_RESULT,
    "orders.events/refund.requested": REFUND,
    "orders.events/operator.resolved": RESOLVED,
    "service.completions/service.completed": COMPLETED,
    "wallet.callbacks/wallet.callback": CALLBACK,
    "payment.state-events/state_event": STATE_EVENT,
    "payment.order-strings/order_string": ORDER_STRING,
}
# What comes in from others, whose types are not forgiven.
INPUTS = [name for name in SAMPLES if not name.startswith("payment.")]


@cache
def _model(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(RECORDS[name])


def name_of(record: dict[str, Any]) -> str:
    return next(name for name, sample in SAMPLES.items() if sample.get("type") == record.get("type"))


def read(record: dict[str, Any] | bytes, name: str | None = None) -> Any:
    """The record as a lane opens it: first the JSON, then the model."""
    raw = record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode()
    given = loads_object(raw)
    return _model(name or name_of(given)).validate_json(raw)


def is_taken(record: dict[str, Any] | bytes, name: str | None = None) -> bool:
    """Refusals are of these two kinds; anything else that is raised is a bug."""
    try:
        read(record, name)
    except (MalformedRecordError, ValidationError):
        return False
    return True


def without(record: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != field}


def with_number(record: dict[str, Any], field: str, digits: str) -> bytes:
    """The record with a number written in exactly this way."""
    marked = json.dumps(record | {field: "@"}, ensure_ascii=False)
    return marked.replace('"@"', digits).encode()
