"""State events as they are published: the JSON of a journal entry, and its CloudEvents headers.

The fields are those of `schemas.state_events.StateEvent`; a test holds the two together. This is a plain
function and no model, because it runs for every version of every order.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from statemachine.decision import Entry
from statemachine.order import Order

CE_SOURCE = b"/paystate"


@dataclass(slots=True)
class Cause:
    """What led to a journal entry. The record's place is None for timers and wallet replies."""

    type: str
    event_id: str | None
    occurred_at: datetime
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    traceparent: str | None = None


def rfc3339(moment: datetime) -> str:
    """RFC 3339 with microseconds; the moment is in UTC already."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def state_event(
    order: Order,
    entry: Entry,
    cause: Cause,
    *,
    event_id: str,
    lane: int,
    lane_seq: int,
    recorded_at: str,
) -> dict[str, Any]:
    """The flat, self-contained event of one journal entry. `recorded_at` is written as `rfc3339` does."""
    operation = entry.operation
    return {
        "event_id": event_id,
        "lane": lane,
        "lane_seq": lane_seq,
        "order_id": order.order_id,
        "version": entry.version,
        "occurred_at": rfc3339(cause.occurred_at),
        "recorded_at": recorded_at,
        "trigger": entry.trigger,
        "disposition": entry.disposition,
        "previous_state": entry.previous_state,
        "state": entry.state,
        "reason": entry.reason or None,
        "kind": order.kind,
        "profile": order.profile,
        "currency": order.currency,
        "amount_minor": order.amount_minor,
        "metadata": order.metadata,
        "frozen_minor": entry.frozen_minor,
        "taken_minor": entry.taken_minor,
        "released_minor": entry.released_minor,
        "refunded_minor": entry.refunded_minor,
        "flags": sorted(entry.flags),
        "operation_id": operation.id if operation else None,
        "operation_kind": operation.kind if operation else None,
        "operation_amount_minor": operation.amount_minor if operation else None,
        "operation_state": operation.state if operation else None,
        "wallet_trade_no": entry.wallet_trade_no,
        "wallet_auth_no": entry.wallet_auth_no,
        "cause_type": cause.type,
        "cause_event_id": cause.event_id,
        "cause_topic": cause.topic,
        "cause_partition": cause.partition,
        "cause_offset": cause.offset,
        "traceparent": cause.traceparent,
    }


def to_json(event: dict[str, Any]) -> bytes:
    """The bytes that are journaled and published."""
    return orjson.dumps(event)


def headers(event: dict[str, Any]) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0, Kafka binding, binary mode; `traceparent` as the W3C has it, when the cause had one."""
    found = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event["event_id"].encode()),
        ("ce_type", b"paystate.order." + event["state"].encode()),
        ("ce_source", CE_SOURCE),
        ("ce_subject", event["order_id"].encode()),
        ("ce_time", event["occurred_at"].encode()),
        ("content-type", b"application/json"),
    ]
    if event["traceparent"]:
        found.append(("traceparent", event["traceparent"].encode()))
    return found
