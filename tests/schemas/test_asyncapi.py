"""The AsyncAPI document: valid, whole, with names that last, and of one mind with what goes over the wire."""

import inspect
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from schemas.asyncapi import asyncapi
from schemas.export import json_schema
from schemas.records import RECORDS
from schemas.vocabulary import INPUT_TOPICS, Kind, State, Topic
from service.lanes.inbox import TRACEPARENT_LENGTH
from service.state_events import Cause, headers, rfc3339, state_event, to_json
from tests.schemas.samples import SAMPLES, without
from tests.unit import builders as b

DOCUMENT = asyncapi("1.2.3")
COMPONENTS = DOCUMENT["components"]
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
# AsyncAPI's own: the folder says where it is from.
OF_ASYNCAPI = Draft7Validator(json.loads((Path(__file__).parent / "asyncapi" / "3.0.0.json").read_text("utf-8")))
EACH = pytest.mark.parametrize("name", RECORDS)


def objects(value: Any, place: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each JSON object in a document, with its place."""
    if isinstance(value, dict):
        yield place, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from objects(item, f"{place}/{key}")


def followed(reference: str, document: dict[str, Any] = DOCUMENT) -> Any:
    """What a reference leads to; none of our names has a `/` or a `~` that would be escaped."""
    root, *parts = reference.split("/")
    assert root == "#", f"{reference} leads out of the document"
    for part in parts:
        document = document[part]
    return document


def written_out(value: Any, document: dict[str, Any]) -> Any:
    """A schema in which every reference is replaced by what it leads to."""
    if isinstance(value, list):
        return [written_out(each, document) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return written_out(followed(value["$ref"], document), document)
    return {key: written_out(item, document) for key, item in value.items()}


def message_of(name: str) -> dict[str, Any]:
    """The message of a record, named as in RECORDS, by the way that a reader of the document goes."""
    topic, _, record_type = name.partition("/")
    found: dict[str, Any] = followed(DOCUMENT["channels"][topic]["messages"][record_type]["$ref"])
    return found


def takes(part: str, name: str, value: dict[str, Any]) -> bool:
    """Whether the payload or the headers may be these, in the draft on which AsyncAPI's schemas are built."""
    return bool(Draft7Validator(message_of(name)[part] | {"components": COMPONENTS}).is_valid(value))


# ------------------------------------------------------------------------------------------------- the document


def test_asyncapis_own_schema_takes_it() -> None:
    assert [f"{error.json_path}: {error.message}" for error in OF_ASYNCAPI.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("#/info", {"versions": "1"}),
        ("#/channels/orders.events", {"adress": "orders.events"}),
        ("#/channels/orders.events/bindings/kafka", {"bindingVersion": "9.9.9"}),
        ("#/operations/send_payment_order_strings", {"action": "publish"}),
        ("#/components/messages/order.created", {"schema": {}}),
        ("#/components/messageBindings/keyed_by_order/kafka", {"keys": {}}),
        ("#/components/schemas/order.created", {"type": "record"}),
    ],
)
def test_asyncapis_own_schema_sees_what_is_wrong(place: str, wrong: dict[str, Any]) -> None:
    document = deepcopy(DOCUMENT)
    followed(place, document).update(wrong)
    assert not OF_ASYNCAPI.is_valid(document)


def test_it_stands_by_itself() -> None:
    references = {place: each for place, each in objects(DOCUMENT) if "$ref" in each}
    for place, each in references.items():
        assert followed(each["$ref"]), place
        # Draft 7 ignores what stands beside it.
        assert each.keys() == {"$ref"}, place
    leads_to = {each["$ref"] for each in references.values()}
    assert {f"#/components/{kind}/{name}" for kind, named in COMPONENTS.items() for name in named} <= leads_to
    # These would move the place from which references are followed, or mean nothing in draft 7.
    assert not [place for place, each in objects(DOCUMENT) if each.keys() & {"$id", "$schema", "$defs"}]


def test_it_says_which_paystate_it_describes() -> None:
    assert (DOCUMENT["asyncapi"], DOCUMENT["info"]["title"]) == ("3.0.0", "paystate")
    assert DOCUMENT["info"]["version"] == "1.2.3"


# ----------------------------------------------------------------------------------------------------- the names


def test_the_names_are_these_for_ever() -> None:
    assert {name: list(channel["messages"]) for name, channel in DOCUMENT["channels"].items()} == {
        "orders.events": [
            "order.created",
            "order.issue_requested",
            "order.cancel_requested",
            "order.client_result",
            "refund.requested",
            "operator.resolved",
        ],
        "wallet.callbacks": ["wallet.callback"],
        "service.completions": ["service.completed"],
        "payment.state-events": ["state_event"],
        "payment.order-strings": ["order_string"],
    }
    assert list(DOCUMENT["operations"]) == [
        "receive_orders_events",
        "receive_wallet_callbacks",
        "receive_service_completions",
        "send_payment_state_events",
        "send_payment_order_strings",
    ]


def test_every_topic_is_a_channel_and_every_record_one_message() -> None:
    channels = DOCUMENT["channels"]
    assert channels.keys() == set(Topic)
    assert all(channel["address"] == name for name, channel in channels.items())
    named = {f"{name}/{each}" for name, channel in channels.items() for each in channel["messages"]}
    assert named == RECORDS.keys()
    assert len(COMPONENTS["messages"]) == len(RECORDS)


@pytest.mark.parametrize("topic", Topic)
def test_paystate_receives_its_inputs_and_sends_the_rest(topic: Topic) -> None:
    (operation,) = (
        each for each in DOCUMENT["operations"].values() if each["channel"] == {"$ref": f"#/channels/{topic}"}
    )
    assert operation["action"] == ("receive" if topic in INPUT_TOPICS else "send")
    # All messages of the channel, and by way of the channel, as AsyncAPI wants it.
    assert [followed(each["$ref"]) for each in operation["messages"]] == list(
        DOCUMENT["channels"][topic]["messages"].values()
    )
    assert all(each["$ref"].startswith(f"#/channels/{topic}/messages/") for each in operation["messages"])


# --------------------------------------------------------------------------------------------------- the records


@EACH
def test_a_message_is_its_model(name: str) -> None:
    message = message_of(name)
    exported = json_schema(name)
    assert message["name"] == name.partition("/")[2]
    assert message["contentType"] == "application/json"
    assert message["description"] == inspect.getdoc(RECORDS[name])
    expected = {key: item for key, item in exported.items() if key not in {"$schema", "$id", "$defs"}}
    assert written_out(message["payload"], DOCUMENT) == written_out(expected, exported)


@EACH
def test_a_payload_takes_honest_records_and_no_others(name: str) -> None:
    assert takes("payload", name, SAMPLES[name])
    assert takes("payload", name, SAMPLES[name] | {"new": {"field": [1]}})
    for field in SAMPLES[name]:
        assert not takes("payload", name, without(SAMPLES[name], field))
    for other in SAMPLES.keys() - {name}:
        assert not takes("payload", name, SAMPLES[other]), "each record is exactly one message of its channel"


def test_shared_definitions_are_followed() -> None:
    name = "orders.events/order.created"
    assert COMPONENTS["schemas"]["Kind"]["enum"] == list(Kind)
    assert not takes("payload", name, SAMPLES[name] | {"kind": "other"})
    assert not takes("payload", name, SAMPLES[name] | {"late_payment": "keep"})


@EACH
def test_the_key_is_an_order_id(name: str) -> None:
    bindings = written_out(message_of(name)["bindings"], DOCUMENT)
    key = Draft7Validator(bindings["kafka"]["key"])
    assert key.is_valid("o_1")
    assert not any(key.is_valid(wrong) for wrong in ("", "o__1", "o_", "o-1", "x" * 49, 1))


# --------------------------------------------------------------------------------------------------- the headers


@EACH
def test_every_record_may_bring_its_trace(name: str) -> None:
    assert message_of(name)["headers"]


@pytest.mark.parametrize("name", [name for name in RECORDS if not name.startswith(Topic.STATE_EVENTS)])
def test_what_else_is_there_does_not_matter(name: str) -> None:
    assert len(TRACEPARENT) == TRACEPARENT_LENGTH
    assert takes("headers", name, {})
    assert takes("headers", name, {"traceparent": TRACEPARENT, "of-somebody-else": "x"})
    assert not takes("headers", name, {"traceparent": TRACEPARENT + "0"})
    assert not takes("headers", name, {"traceparent": TRACEPARENT[1:]})


def published(traceparent: str | None) -> dict[str, Any]:
    """A state event as it is published, by the code that publishes them."""
    decision = b.decide(None, b.created())
    cause = Cause("order.created", "e1", b.NOW, Topic.ORDERS, 0, 7, traceparent)
    return state_event(
        decision.order, decision.entries[0], cause, event_id="o1.1", lane=0, lane_seq=1, recorded_at=rfc3339(b.NOW)
    )


@pytest.mark.parametrize("traceparent", [None, TRACEPARENT])
@pytest.mark.parametrize("state", State)
def test_state_events_are_published_as_described(state: State, traceparent: str | None) -> None:
    name = "payment.state-events/state_event"
    event = published(traceparent) | {"state": state}
    assert takes("payload", name, json.loads(to_json(event)))
    sent = {key: value.decode() for key, value in headers(event)}
    assert takes("headers", name, sent)
    described = written_out(message_of(name)["headers"], DOCUMENT)
    assert described["properties"].keys() - sent.keys() == (set() if traceparent else {"traceparent"})
    assert sent.keys() <= described["properties"].keys()
    for header in sent.keys() - {"traceparent"}:
        assert not takes("headers", name, without(sent, header))
