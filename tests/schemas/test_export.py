"""The exported JSON Schemas: valid, complete, and of one mind with the models that the service itself uses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.asyncapi import asyncapi
from schemas.export import DIALECT, export, json_schema
from schemas.records import RECORDS
from schemas.vocabulary import Topic
from tests.schemas.samples import INPUTS, SAMPLES, is_taken, without

EACH = pytest.mark.parametrize("name", RECORDS)


def takes(name: str, record: dict[str, Any]) -> bool:
    return bool(Draft202012Validator(json_schema(name)).is_valid(record))


def test_every_topic_is_described() -> None:
    assert {name.partition("/")[0] for name in RECORDS} == set(Topic)
    assert SAMPLES.keys() == RECORDS.keys()


@EACH
def test_a_schema_is_one_of_draft_2020_12(name: str) -> None:
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == f"urn:paystate:{name.replace('/', ':')}"
    assert schema["description"]


def test_every_record_is_exported_and_all_of_them_together(tmp_path: Path) -> None:
    written = export(tmp_path, "1.2.3")
    documents = {f"{name}.schema.json": json_schema(name) for name in RECORDS}
    documents["asyncapi.json"] = asyncapi("1.2.3")
    assert [path.relative_to(tmp_path).as_posix() for path in written] == list(documents)
    for document, path in zip(documents.values(), written, strict=True):
        text = path.read_text("utf-8")
        assert json.loads(text) == document
        assert text.endswith("}\n")
    assert export(tmp_path, "1.2.3") == written


@EACH
def test_the_schema_takes_what_the_model_takes(name: str) -> None:
    for record in (SAMPLES[name], SAMPLES[name] | {"new": {"field": [1]}}):
        assert is_taken(record, name)
        assert takes(name, record)


@EACH
def test_the_schema_refuses_a_field_that_is_missing(name: str) -> None:
    for field in SAMPLES[name]:
        assert not is_taken(without(SAMPLES[name], field), name)
        assert not takes(name, without(SAMPLES[name], field))


WRONG: list[tuple[str, str, Any]] = [
    ("type", "", "other"),
    ("event_id", "orders", ""),
    ("event_id", "orders", "x" * 65),
    ("order_id", "orders", "o__1"),
    ("order_id", "orders", "o_"),
    ("order_id", "orders", "o-1"),
    ("order_id", "orders", "x" * 49),
    ("order_id", "", 1),
    ("occurred_at", "", 1_700_000_000),
    ("currency", "orders", "cny"),
    ("currency", "orders", "CNYX"),
    ("currency", "service", "CN"),
    ("amount_minor", "", "1"),
    ("amount_minor", "", 1.5),
    ("amount_minor", "", True),
    ("amount_minor", "orders", 0),
    ("amount_minor", "service", -1),
    ("amount_minor", "orders", 10**12 + 1),
    ("amount_minor", "orders", 10**30),
    ("kind", "orders", "other"),
    ("late_payment", "orders.events/order.created", "keep"),
    ("pay_timeout_s", "orders.events/order.created", 4),
    ("pay_timeout_s", "orders.events/order.created", 1_296_001),
    ("authorization_timeout_s", "orders.events/order.created", 0),
    ("issue", "orders.events/order.created", 1),
    ("metadata", "", {"a": 1}),
    ("metadata", "orders.events/order.created", {"a": "x" * 257}),
    ("metadata", "orders.events/order.created", {"": "x"}),
    ("metadata", "orders.events/order.created", {str(n): "" for n in range(17)}),
    ("reason", "orders.events/order.cancel_requested", "x" * 257),
    ("result_code", "", ""),
    ("refund_id", "", "x" * 65),
    ("final", "service.completions/service.completed", "yes"),
    ("method", "wallet.callbacks/wallet.callback", "post"),
    ("headers", "wallet.callbacks/wallet.callback", {"a": 1}),
    ("headers", "wallet.callbacks/wallet.callback", {str(n): "" for n in range(65)}),
    ("path", "", "/" * 2049),
    ("body_base64", "", "A" * 87_388),
    ("flags", "", "late_payment"),
    ("flags", "", [1]),
    ("version", "", "1"),
    ("previous_state", "", 1),
    ("order_str", "", None),
]
CASES = [
    pytest.param(name, field, wrong, id=re.sub(r"[^\w.]+", "-", f"{name}-{field}-{json.dumps(wrong)[:20]}"))
    for field, prefix, wrong in WRONG
    for name in RECORDS
    if name.startswith(prefix) and field in (SAMPLES[name] if "/" not in prefix else {field})
]


@pytest.mark.parametrize(("name", "field", "wrong"), CASES)
def test_the_schema_refuses_what_the_model_refuses(name: str, field: str, wrong: Any) -> None:
    record = SAMPLES[name] | {field: wrong}
    assert not takes(name, record)
    # What goes out is made by us, and its model is only there to describe it.
    assert name not in INPUTS or not is_taken(record, name)


def test_what_only_the_model_can_refuse() -> None:
    # JSON Schema knows neither the list of currencies nor base64, and by it 1.0 is an integer.
    name = "orders.events/order.created"
    for field, wrong in (("currency", "XAU"), ("amount_minor", 1.0), ("occurred_at", "yesterday")):
        record = SAMPLES[name] | {field: wrong}
        assert takes(name, record)
        assert not is_taken(record, name)
