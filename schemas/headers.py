"""The headers of the records, as JSON Schema: each is text in UTF-8, and a header with another name is allowed.

The inputs' are what the lanes look at, the state events' are CloudEvents 1.0, Kafka binding, binary mode.
"""

from typing import Any, Final

TRACEPARENT: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 55,
    "maxLength": 55,
    "description": "W3C Trace Context: carried into everything that follows. One of another length is ignored.",
    "examples": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
}

TRACE_HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Of what paystate reads, and of the order strings that follow from it; it need not be there.",
    "properties": {"traceparent": TRACEPARENT},
}

STATE_EVENT_HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "CloudEvents 1.0, Kafka binding, binary mode; `traceparent` when the cause had one.",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "The `event_id`."},
        "ce_type": {
            "type": "string",
            "pattern": "^paystate\\.order\\.[a-z_]+$",
            "description": "`paystate.order.<state>`, the state after the event. There may be new ones.",
            "examples": ["paystate.order.captured"],
        },
        "ce_source": {"type": "string", "const": "/paystate"},
        "ce_subject": {"type": "string", "description": "The order id."},
        "ce_time": {"type": "string", "format": "date-time", "description": "`occurred_at`, RFC 3339, UTC."},
        "content-type": {"type": "string", "const": "application/json"},
        "traceparent": TRACEPARENT,
    },
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "content-type"],
}
