"""`orders.events`: what upstream may leave out, what it may not get wrong, and where the limits are."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.money import MAX_AMOUNT_MINOR
from schemas.order_events import (
    ORDER_EVENT,
    OperatorResolvedEvent,
    OrderCancelRequested,
    OrderCreatedEvent,
    RefundRequestedEvent,
)
from schemas.vocabulary import Kind, LatePayment
from tests.schemas.samples import (
    CANCEL,
    CLIENT_RESULT,
    CREATED,
    INPUTS,
    ISSUE,
    REFUND,
    RESOLVED,
    SAMPLES,
    TIME,
    is_taken,
    name_of,
    read,
    with_number,
    without,
)

EVENTS = [CREATED, ISSUE, CANCEL, CLIENT_RESULT, REFUND, RESOLVED]
BY_TYPE = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])


@BY_TYPE
def test_the_type_tells_what_an_event_is(event: dict[str, Any]) -> None:
    found = ORDER_EVENT.validate_json(json.dumps(event))
    assert found == read(event)
    assert (found.type, found.event_id, found.order_id) == (event["type"], event["event_id"], "o1")
    assert found.occurred_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "event_type", ["order.paid", "", "ORDER.CREATED", None, 1, ["order.created"], "service.completed"]
)
def test_a_type_that_nobody_knows_is_refused(event_type: Any) -> None:
    with pytest.raises(ValidationError):
        ORDER_EVENT.validate_json(json.dumps(CREATED | {"type": event_type}))
    with pytest.raises(ValidationError):
        ORDER_EVENT.validate_json(json.dumps(without(CREATED, "type")))


def test_what_upstream_leaves_out_has_a_meaning() -> None:
    created = read(CREATED)
    assert isinstance(created, OrderCreatedEvent)
    assert (created.pay_timeout_s, created.authorization_timeout_s, created.late_payment) == (900, None, None)
    assert (created.issue, created.metadata) == (True, {})
    cancel, refund = read(CANCEL), read(REFUND)
    assert isinstance(cancel, OrderCancelRequested)
    assert isinstance(refund, RefundRequestedEvent)
    assert (cancel.reason, refund.reason) == ("", "")


@pytest.mark.parametrize("outcome", [None, "succeeded", "rejected"])
def test_a_person_says_what_is_certain_or_nothing(outcome: str | None) -> None:
    resolved = read(RESOLVED | {"outcome": outcome})
    assert isinstance(resolved, OperatorResolvedEvent)
    assert resolved.outcome == outcome


@pytest.mark.parametrize("wrong", [{"outcome": "unknown"}, {"outcome": "pending"}, {"evidence": ""}, {"actor": ""}])
def test_a_person_says_nothing_half(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        read(RESOLVED | wrong)


def test_what_upstream_says_is_kept() -> None:
    said = {
        "kind": "payment",
        "pay_timeout_s": 60,
        "authorization_timeout_s": 3_600,
        "late_payment": "accept",
        "issue": False,
        "metadata": {"shop": "7", "desk": ""},
    }
    created = read(CREATED | said)
    assert created.model_dump(include=set(said)) == said
    assert (created.kind, created.late_payment) == (Kind.PAYMENT, LatePayment.ACCEPT)
    assert read(CREATED | {"authorization_timeout_s": None, "late_payment": None}) == read(CREATED)


@BY_TYPE
def test_a_field_that_must_be_there_may_not_be_missing_or_null(event: dict[str, Any]) -> None:
    for field in event:
        if field != "type":
            assert not is_taken(without(event, field)), field
            assert not is_taken(event | {field: None}), field


@BY_TYPE
def test_unknown_fields_are_ignored(event: dict[str, Any]) -> None:
    more = {"new": {"deep": [1, "x"]}, "Order_id": "o2", "amount": 1.5}
    assert read(event | more) == read(event)


# ------------------------------------------------------------------------------------------------ strict types

NOT_A_STRING = [1, 1.0, True, None, [], {}, ["o1"]]
NOT_AN_INTEGER = ["1", "", 1.0, 1.5, True, False, [], [1], {}]
NOT_A_BOOLEAN = [0, 1, "true", "", 1.0, None, []]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [(field, each) for field in ("event_id", "order_id", "currency", "profile", "subject") for each in NOT_A_STRING]
    + [
        (field, each)
        for field in ("amount_minor", "pay_timeout_s", "authorization_timeout_s")
        for each in NOT_AN_INTEGER
    ]
    + [("issue", each) for each in NOT_A_BOOLEAN]
    + [("kind", each) for each in ("PREAUTH", "", "other", 1, None)]
    + [("late_payment", each) for each in ("REFUND", "", "keep", 1, True)]
    + [("metadata", each) for each in (None, [], "x", {"a": 1}, {"a": None}, {"a": {}}, {"": "x"}, [["a", "b"]])],
)
def test_a_wrong_type_is_refused_and_not_converted(field: str, wrong: Any) -> None:
    assert not is_taken(CREATED | {field: wrong})


@pytest.mark.parametrize("field", ["amount_minor", "pay_timeout_s", "authorization_timeout_s"])
@pytest.mark.parametrize(
    "digits",
    ["-0", "0", "-1", "1E5", "1e5", "1e400", "-1e400", "1" + "0" * 30, "9" * 400, "9" * 5_000, "100.0", "0x64",
     "18446744073709551616", "9223372036854775808", "NaN", "Infinity", "1_000"],
)  # fmt: skip
def test_a_number_that_is_no_plain_integer_in_range_is_refused(field: str, digits: str) -> None:
    assert not is_taken(with_number(CREATED, field, digits))


def test_an_integer_is_an_integer() -> None:
    assert read(with_number(CREATED, "amount_minor", "100000")).amount_minor == 100_000


# ------------------------------------------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("event", "field", "least", "most"),
    [
        (CREATED, "amount_minor", 1, MAX_AMOUNT_MINOR),
        (CREATED, "pay_timeout_s", 5, 1_296_000),
        (CREATED, "authorization_timeout_s", 1, 31_536_000),
        (REFUND, "amount_minor", 1, MAX_AMOUNT_MINOR),
    ],
)
def test_a_number_has_a_least_and_a_most(event: dict[str, Any], field: str, least: int, most: int) -> None:
    for inside in (least, most):
        assert getattr(read(event | {field: inside}), field) == inside
    for outside in (least - 1, most + 1):
        assert not is_taken(event | {field: outside})


@pytest.mark.parametrize(
    ("event", "field", "least", "most"),
    [
        (CREATED, "event_id", 1, 64),
        (CREATED, "order_id", 1, 48),
        (CREATED, "profile", 1, 64),
        (CREATED, "subject", 1, 256),
        (CANCEL, "reason", 0, 256),
        (REFUND, "reason", 0, 256),
        (REFUND, "refund_id", 1, 64),
        (CLIENT_RESULT, "result_code", 1, 16),
    ],
)
def test_a_text_has_a_least_and_a_most(event: dict[str, Any], field: str, least: int, most: int) -> None:
    for length in (least, most):
        assert len(getattr(read(event | {field: "x" * length}), field)) == length
    for length in (least - 1, most + 1, 100_000):
        if length >= 0:
            assert not is_taken(event | {field: "x" * length})


def test_metadata_is_a_few_short_strings() -> None:
    full = {f"{n}" + "k" * (64 - len(f"{n}")): "v" * 256 for n in range(16)}
    assert read(CREATED | {"metadata": full}).metadata == full
    for wrong in (full | {"one": "more"}, {"k" * 65: "v"}, {"k": "v" * 257}, {"": "v"}):
        assert not is_taken(CREATED | {"metadata": wrong})


@pytest.mark.parametrize("currency", ["cny", "XAU", "XXX", "RMB", "156", "CN", "CNYX", "", "C" * 100_000])
def test_only_money_of_iso_4217_is_taken(currency: str) -> None:
    assert not is_taken(CREATED | {"currency": currency})
    assert not is_taken(REFUND | {"currency": currency})


@pytest.mark.parametrize("order_id", ["o_", "o__1", "o1__C1", "o-1", "o\n", "ö"])
def test_an_order_is_named_so_that_a_wallet_takes_it(order_id: str) -> None:
    with pytest.raises(ValidationError, match="is not an order id"):
        read(CREATED | {"order_id": order_id})


@pytest.mark.parametrize("name", INPUTS)
def test_nul_is_refused_in_every_field(name: str) -> None:
    sample = SAMPLES[name] | {"metadata": {"k": "v"}, "new": ["x"]}
    raw = json.dumps(sample, ensure_ascii=False)
    assert is_taken(raw.encode())
    for field, value in sample.items():
        if isinstance(value, str):
            assert not is_taken(sample | {field: f"{value}\0"}), field
    for field, hides in (
        ("metadata", {"k": "v\0"}), ("metadata", {"k\0": "v"}), ("new", ["x\0"]), ("new", [["x\0"]]), ("\0", 1)
    ):  # fmt: skip
        assert not is_taken(sample | {field: hides}), field


# ------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("text", "in_utc"),
    [
        (TIME, "2026-03-01T12:00:00+00:00"),
        ("2026-03-01t12:00:00z", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01 12:00:00Z", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T20:00:00+08:00", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T00:30:00-11:30", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T12:00:00.5Z", "2026-03-01T12:00:00.500000+00:00"),
        ("2026-03-01T12:00:00.123456789Z", "2026-03-01T12:00:00.123456+00:00"),
        ("1971-01-01T00:00:00Z", "1971-01-01T00:00:00+00:00"),
        ("9998-12-31T23:59:59-23:59", "9999-01-01T23:58:59+00:00"),
    ],
)
def test_a_time_is_in_utc_whatever_its_zone(text: str, in_utc: str) -> None:
    assert read(CREATED | {"occurred_at": text}).occurred_at.isoformat() == in_utc


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-03-01", "2026-03-01T12:00:00", "2026-03-01T12:00Z", "2026-03-01T12:00:00 Z",
        "2026-03-01T12:00:00+0800", "20260301T120000Z", "2026-W09-7T12:00:00Z", "2026-02-29T12:00:00Z",
        "2026-03-01T24:00:00Z", "2026-03-01T12:00:60Z", "2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00Z\n",
        "\uff12026-03-01T12:00:00Z", "1970-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "0000-01-01T00:00:00Z",
        "12026-03-01T12:00:00Z", "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00.1234567890Z",
        # Unix time, in seconds or in milliseconds: who would know which?
        "1700000000", "1700000000000", "1700000000.5", "-1",
    ],
)  # fmt: skip
def test_what_is_not_rfc_3339_with_a_zone_is_no_time(text: str) -> None:
    assert not is_taken(CREATED | {"occurred_at": text})


@pytest.mark.parametrize("wrong", [1_700_000_000, 1_700_000_000_000, 1.5, True, [], {}, [2026, 3, 1]])
def test_a_number_is_no_time(wrong: Any) -> None:
    assert not is_taken(CREATED | {"occurred_at": wrong})


@given(
    st.from_regex(
        r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|[+-][0-9]{2}:[0-9]{2})", fullmatch=True
    )
)
def test_any_time_is_taken_in_utc_or_refused(text: str) -> None:
    if is_taken(CREATED | {"occurred_at": text}):
        assert read(CREATED | {"occurred_at": text}).occurred_at.tzinfo is UTC


# ---------------------------------------------------------------------------------------------- and all of it

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(EVENTS), st.data())
def test_any_value_in_any_field_is_taken_or_refused(event: dict[str, Any], data: st.DataObject) -> None:
    field = data.draw(st.sampled_from([*event, "metadata", "issue", "late_payment", "reason"]))
    # A lone surrogate goes out as an escape, and NaN as itself.
    raw = json.dumps(event | {field: data.draw(anything)}).encode()
    assert is_taken(raw, name_of(event)) in (True, False)
