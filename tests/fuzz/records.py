"""Records of the input topics, and what the order API and `events emit` make such records of."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import orjson
import typer
from aiokafka import ConsumerRecord
from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas.identifiers import InvalidOrderIdError, check_order_id, order_id_of
from schemas.money import InvalidMoneyError, from_decimal, to_decimal
from schemas.state_events import StateEvent
from schemas.strict_json import MAX_DEPTH, MalformedRecordError, loads_object
from schemas.vocabulary import INPUT_TOPICS, Topic
from service.cli.events import _line
from service.http.bridge import TRACEPARENT
from service.http.once import asked
from service.http.order_bodies import Cancellation, ClientResult, Completion, NewOrder, Refund
from service.http.order_routes import IdempotencyKey
from service.lanes.inbox import Inbox, Opened
from service.state_events import rfc3339
from statemachine.decide import decide
from statemachine.inputs import OrderCreated
from tests.fuzz.target import DEPTHS, LATER, POLICY, Target, is_taken
from tests.wallets import orders, plus, vectors
from tests.wallets.vectors import NOW

INBOX: Final = Inbox({"mall": vectors.adapter(), "plus": plus.adapter()})
COMMON: Final = {"event_id": "e1", "order_id": "o1", "occurred_at": "2026-03-01T12:00:00Z"}
TERMS: Final[dict[str, Any]] = {
    "kind": "preauth", "amount_minor": 50_000, "currency": "CNY", "profile": "mall", "subject": "充电",
    "pay_timeout_s": 900, "authorization_timeout_s": 86_400, "late_payment": "accept", "issue": False,
    "metadata": {"bay": "7"},
}  # fmt: skip
MONEY: Final = {"amount_minor": 2_000, "currency": "CNY"}
ORDER_EVENTS: Final = (
    {"type": "order.created", **COMMON, **TERMS},
    {"type": "order.created", **COMMON, **TERMS, "kind": "payment", "profile": "plus", "late_payment": None},
    {"type": "order.issue_requested", **COMMON},
    {"type": "order.cancel_requested", **COMMON, "reason": "too late"},
    {"type": "order.client_result", **COMMON, "result_code": "9000"},
    {"type": "refund.requested", **COMMON, **MONEY, "refund_id": "r1", "reason": "half\u0000"},
)
COMPLETED: Final = {"type": "service.completed", **COMMON, **MONEY, "completion_id": "c1", "final": False}
IDEMPOTENCY_KEY: Final = TypeAdapter[str | None](IdempotencyKey)


def texts(*values: object) -> list[bytes]:
    """Each as JSON."""
    return [json.dumps(value, ensure_ascii=False).encode() for value in values]


def strict_json(raw: bytes) -> None:
    """Another parser has to find the same object, and no key twice, where ours has taken the text."""
    try:
        value = loads_object(raw)
    except MalformedRecordError:
        return

    def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), "a repeated key was taken"
        return dict(pairs)

    def not_json(name: str) -> None:
        raise AssertionError(f"{name} was taken")

    other = json.loads(raw, object_pairs_hook=once_each, parse_constant=not_json)
    assert list(other) == list(value)
    _assert_storable(value, MAX_DEPTH)


def _assert_storable(value: object, depth: int) -> None:
    assert depth >= 0, "too deep"
    if isinstance(value, dict):
        for each in (*value, *value.values()):
            _assert_storable(each, depth - 1)
    elif isinstance(value, list):
        for each in value:
            _assert_storable(each, depth - 1)
    elif isinstance(value, str):
        assert "\0" not in value
        value.encode()


def opened(topic: Topic, raw: bytes | None, headers: list[tuple[str, bytes]] | None = None) -> Opened:
    """The record with a key, opened; and one without, which has to say the same."""
    with_key, without = (
        INBOX.open(ConsumerRecord(topic, 0, 0, 0, 0, key, raw, None, 0, 0, headers or [])) for key in (b"o1", None)
    )
    assert (with_key.given, with_key.dead) == (without.given, without.dead)
    assert with_key.given is None or with_key.dead is None
    if with_key.given is not None:
        check_order_id(with_key.order_id)
    return with_key


def of_topic(topic: Topic) -> Callable[[bytes], None]:
    """A target that takes records of it."""

    def run(raw: bytes) -> None:
        found = opened(topic, raw)
        if isinstance(found.given, OrderCreated):
            decide(None, found.given, now=LATER, policy=POLICY)
        elif found.given is not None:
            is_taken(found.given, found.order_id)
        else:
            assert found.dead or topic is Topic.CALLBACKS, "neither taken nor refused"

    return run


def traceparent(raw: bytes) -> None:
    """What the bridge and the API hand on as a trace, the lanes take; and what lanes take can be sent on."""
    text = raw.decode("latin-1")
    found = opened(Topic.ORDERS, None, [("other", b""), ("traceparent", raw)]).traceparent
    if TRACEPARENT.fullmatch(text):
        assert found == text
    assert found is None or found.encode() == raw


def emitted_line(raw: bytes) -> None:
    """A line for `paystate events emit`."""
    try:
        topic, key, value = _line(raw.decode("utf-8", "surrogateescape"), "line 1")
    except typer.BadParameter:
        return
    assert topic in INPUT_TOPICS
    assert key
    loads_object(value)


def order_body(raw: bytes) -> None:
    """A body of the order API, after the name of its kind; what is taken has to be a record that a lane takes."""
    kind, _, body = raw.partition(b" ")
    if kind not in BODIES:
        return
    model, type_, topic = BODIES[kind]
    try:
        given = model.model_validate(loads_object(body))
    except (MalformedRecordError, ValidationError):
        return
    fields = given.model_dump(mode="json", exclude_unset=True)
    assert asked("c", "k", "/orders", given) == asked("c", "k", "/orders", model.model_validate(fields))
    made = {f"{kind.decode()}_id": "x"} if kind in (b"completion", b"refund") else {}
    ours = {"type": type_, "event_id": "e1", "order_id": "o1", "occurred_at": rfc3339(NOW)}
    named = {name: value for name, value in fields.items() if value is not None}
    record = orjson.dumps({**ours, **fields, **made, **named})
    dead = INBOX.refusal(topic, "o1", record)
    assert dead is None or dead.startswith(("the wallet would refuse", "no wallet profile")), dead


BODIES: Final[dict[bytes, tuple[type[BaseModel], str, Topic]]] = {
    b"order": (NewOrder, "order.created", Topic.ORDERS),
    b"cancel": (Cancellation, "order.cancel_requested", Topic.ORDERS),
    b"completion": (Completion, "service.completed", Topic.COMPLETIONS),
    b"refund": (Refund, "refund.requested", Topic.ORDERS),
    b"result": (ClientResult, "order.client_result", Topic.ORDERS),
}


def idempotency_key(raw: bytes) -> None:
    """Header bytes; a key that is taken makes ids that records take."""
    with suppress(ValidationError):
        key = IDEMPOTENCY_KEY.validate_python(raw.decode("latin-1"))
        assert key
        assert key.isascii()
        assert key.isprintable()
        made = asked("c", key, "/orders", Cancellation()).made_id("event_id")
        assert made is not None
        assert 1 <= len(made) <= 64


def state_event(raw: bytes) -> None:
    """What a consumer reads; what was read can be read again."""
    with suppress(ValidationError):
        event = StateEvent.model_validate_json(raw)
        assert StateEvent.model_validate_json(event.model_dump_json()) == event


def money(raw: bytes) -> None:
    """A currency, a blank, and a decimal amount; what is taken is worth what it says."""
    currency, _, text = raw.decode("utf-8", "replace").partition(" ")
    with suppress(InvalidMoneyError):
        amount_minor = from_decimal(text, currency)
        printed = to_decimal(amount_minor, currency)
        assert Decimal(printed) == Decimal(text)
        assert from_decimal(printed, currency) == amount_minor


def identifiers(raw: bytes) -> None:
    """A number of the wallet's names an order, or none."""
    with suppress(InvalidOrderIdError):
        order_id = order_id_of(raw.decode("utf-8", "replace"))
        assert order_id_of(f"{order_id}__C1") == check_order_id(order_id) == order_id


def _odd_json() -> Iterator[bytes]:
    yield from (b'{"a":-0}', b'{"a":1,"\\u0061":2}', b'{"a":"\\ud800"}', b'{"a":[{"b":"\\u0000"}]}', b'{"a":1e999}')
    for depth in DEPTHS:
        yield b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        yield b'{"a":' + b"[" * depth + b"]" * depth + b',"a":1}'


def callback_record(body: bytes, profile: str = "mall", **headers: str) -> bytes:
    """A record of `wallet.callbacks`."""
    record = {
        "type": "wallet.callback", "profile": profile, "received_at": rfc3339(NOW), "method": "POST",
        "path": "/wallets/mall/notify", "headers": headers, "body_base64": b64encode(body).decode(),
    }  # fmt: skip
    return texts(record)[0]


def _record_seeds() -> Iterator[bytes]:
    yield callback_record(orders.called_back(orders.trade_callback()).body)
    yield callback_record(orders.called_back(orders.freeze_callback(), charset="GBK").body)
    genuine = plus.called_back(plus.notification())
    yield callback_record(genuine.body, "plus", **genuine.headers)


_STATE_EVENT: Final = {
    **dict.fromkeys(StateEvent.model_fields, "x"),
    **dict.fromkeys((name for name in StateEvent.model_fields if name.endswith(("_minor", "_seq", "version"))), 7),
    "lane": 1,
    "cause_partition": 0,
    "cause_offset": 2,
    "metadata": {"a": "b"},
    "flags": ["f"],
    "occurred_at": "2026-03-01T12:00:00Z",
    "recorded_at": "2026-03-01T12:00:00.000001+08:00",
}
_BODIES: Final = (
    ("order", TERMS), ("order", {**TERMS, "order_id": "o2", "profile": "plus"}), ("cancel", {"reason": "r"}),
    ("completion", {**MONEY, "completion_id": None}), ("refund", MONEY), ("result", {"result_code": "6001"}),
)  # fmt: skip
_TRACE: Final = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

RECORDS: Final[dict[str, Target]] = {
    "strict_json": Target(strict_json, [*_odd_json(), *texts(*ORDER_EVENTS)]),
    "orders_events": Target(of_topic(Topic.ORDERS), texts(*ORDER_EVENTS)),
    "service_completions": Target(of_topic(Topic.COMPLETIONS), texts(COMPLETED)),
    "wallet_callbacks": Target(of_topic(Topic.CALLBACKS), list(_record_seeds())),
    "traceparent": Target(traceparent, [_TRACE, _TRACE.upper(), _TRACE + b"\n"]),
    "emitted_line": Target(emitted_line, texts(*({"topic": Topic.ORDERS, "value": each} for each in ORDER_EVENTS))),
    "order_body": Target(order_body, [f"{kind} {json.dumps(body)}".encode() for kind, body in _BODIES]),
    "idempotency_key": Target(idempotency_key, [b"k-1", b"k 1", b"k\n", b"\xe9", b"k" * 256]),
    "state_event": Target(state_event, texts(_STATE_EVENT)),
    "money": Target(money, [b"CNY 12.34", b"JPY 5", b"KWD 1.2340", b"XAU 1", b"CNY 1e3", b"CLF 100000000.0000"]),
    "identifiers": Target(identifiers, [b"o1", b"o1__C1", b"o1__C1__C1", b"a" * 49, b"o1\n", "\u0661".encode()]),
}
