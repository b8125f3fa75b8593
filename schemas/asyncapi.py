"""All topics in one AsyncAPI 3.0 document, made from the models that the service itself uses.

Channels are named after the topics, messages after the types of the records, operations after what paystate
does with a topic. Whoever makes code from the document depends on these names: add, never rename.

The document stands by itself, its schemas embedded: whoever reads it needs no other file and no network.
AsyncAPI's schemas are a superset of JSON Schema draft 7, and pydantic writes 2020-12. Of what the models use,
the two differ in where shared definitions live (here they move to the components) and in what stands beside a
`$ref` (draft 7 ignores it; the tests see that nothing does).
"""

from typing import Any, Final

from pydantic import TypeAdapter

from schemas.base import OrderId
from schemas.headers import STATE_EVENT_HEADERS, TRACE_HEADERS
from schemas.records import RECORDS
from schemas.vocabulary import INPUT_TOPICS, Topic

ASYNCAPI_VERSION: Final = "3.0.0"
KAFKA_BINDING_VERSION: Final = "0.5.0"

DESCRIPTION = """\
What paystate reads from Kafka and writes there. The broker is the installation's own, so no server is named here.

Every value is a UTF-8 JSON object, and its key the order id. Money is an integer in minor units
(`…_minor`) with an ISO 4217 `currency`; times are RFC 3339 in UTC.

What paystate reads it refuses for a wrong type (a string or 1.0 for an integer), a repeated key, NaN, NUL or a
lone surrogate; unknown fields are ignored. What it writes is open: fields may be added, and strings with known
values may get new ones.
"""

CHANNELS: Final[dict[Topic, str]] = {
    Topic.ORDERS: "What the order API and other upstream services ask for.",
    Topic.CALLBACKS: (
        "Callbacks of wallets, as they came to the webhook bridge. The signature is verified where they are used:"
        " who can write here still cannot move money."
    ),
    Topic.COMPLETIONS: "The service of a pre-authorized order was used, and this is what it cost.",
    Topic.STATE_EVENTS: (
        "Everything that happened to the orders: one record for each journal entry, without a gap in a partition"
        " (`lane_seq`) or in an order (`version`). Read with the isolation level `read_committed`, which makes it"
        " once."
    ),
    Topic.ORDER_STRINGS: (
        "Order strings, each in the same Kafka transaction as the state event that says `paying`. Restrict the"
        " topic by ACL, and read with the isolation level `read_committed`."
    ),
}
# By their schema's name.
HEADERS: Final[dict[Topic, str]] = {
    **dict.fromkeys(INPUT_TOPICS, "trace_headers"),
    Topic.STATE_EVENTS: "state_event_headers",
    Topic.ORDER_STRINGS: "trace_headers",
}


def asyncapi(version: str) -> dict[str, Any]:
    """The document, as paystate of this version sees it: it receives its inputs and sends the others."""
    types: dict[Topic, list[str]] = {topic: [] for topic in Topic}
    for name in RECORDS:
        topic, _, record_type = name.partition("/")
        types[Topic(topic)].append(record_type)
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "paystate",
            "version": version,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "channels": {topic.value: _channel(topic, types[topic]) for topic in Topic},
        "operations": {_operation_id(topic): _operation(topic, types[topic]) for topic in Topic},
        "components": {
            "schemas": _schemas(),
            "messages": {each: _message(topic, each) for topic in Topic for each in types[topic]},
            "messageBindings": {"keyed_by_order": _keyed_by_order()},
        },
    }


def _action(topic: Topic) -> str:
    return "receive" if topic in INPUT_TOPICS else "send"


def _operation_id(topic: Topic) -> str:
    """`receive_orders_events`: what paystate does with a topic, in letters that are a name in most languages."""
    return f"{_action(topic)}_{topic.replace('.', '_').replace('-', '_')}"


def _channel(topic: Topic, types: list[str]) -> dict[str, Any]:
    return {
        "address": topic.value,
        "description": CHANNELS[topic],
        "messages": {each: _ref("messages", each) for each in types},
        "bindings": {"kafka": {"topic": topic.value, "bindingVersion": KAFKA_BINDING_VERSION}},
    }


def _operation(topic: Topic, types: list[str]) -> dict[str, Any]:
    return {
        "action": _action(topic),
        "channel": {"$ref": f"#/channels/{topic}"},
        "summary": f"paystate {_action(topic)}s {topic}.",
        "messages": [{"$ref": f"#/channels/{topic}/messages/{each}"} for each in types],
    }


def _message(topic: Topic, record_type: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": record_type,
        "description": RECORDS[f"{topic}/{record_type}"].model_json_schema()["description"],
        "contentType": "application/json",
        "bindings": _ref("messageBindings", "keyed_by_order"),
        "payload": _ref("schemas", record_type),
    }
    if topic in HEADERS:
        message["headers"] = _ref("schemas", HEADERS[topic])
    return message


def _keyed_by_order() -> dict[str, Any]:
    # No `$ref`: AsyncAPI's own schema takes one here for a schema and for a reference, and so for neither.
    key = TypeAdapter(OrderId).json_schema()
    return {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING_VERSION}}


def _schemas() -> dict[str, Any]:
    """The headers', each record's by its type, and what the records share by the name of its class."""
    schemas: dict[str, Any] = {"trace_headers": TRACE_HEADERS, "state_event_headers": STATE_EVENT_HEADERS}
    for name, model in RECORDS.items():
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        shared = schema.pop("$defs", {})
        for each, found in ((name.partition("/")[2], schema), *shared.items()):
            known = schemas.setdefault(each, found)
            assert known == found, f"two schemas are called {each}"
    return schemas


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
