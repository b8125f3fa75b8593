"""What the dialect `alipay_plus` reads: signature headers, callbacks, answers, order strings, amounts, times.

As for the other dialect there are a stranger's messages, and messages that are signed here.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

from schemas.money import InvalidMoneyError
from schemas.strict_json import MalformedRecordError, loads_object
from schemas.vocabulary import Kind
from service.wallets.adapter import CallbackRefusedError, RawCallback, WalletAnswer
from service.wallets.alipay_plus.by_hand import AlipayPlusByHand, examine_order_string
from service.wallets.alipay_plus.headers import (
    REQUEST_TIME,
    RESPONSE_TIME,
    NotBelievedError,
    is_time,
    parse_time,
    path_of,
    read_signature,
    signed_headers,
    verify_headers,
)
from service.wallets.alipay_plus.terms import read_amount
from service.wallets.by_hand import RawAnswer
from tests.fuzz.alipay import SIGNING, examined, made, requests_of, says_nothing
from tests.fuzz.target import LATER, Target, is_taken, under_way
from tests.wallets import plus
from tests.wallets.vectors import NOW, every_vector, private_key

STRANGERS: Final = plus.adapter()
SIGNED: Final = plus.adapter(**SIGNING)
BY_HAND: Final = AlipayPlusByHand("plus", STRANGERS.profile)
ASKED: Final = requests_of(SIGNED, plus.order(), plus.order(Kind.PREAUTH))
_WALLET: Final = private_key("wallet_rsa1024")
_PATH: Final = "/notify/alipayplus"
_GENUINE: Final = [plus.called_back(plus.notification(each)) for each in (
    "PAYMENT_RESULT", "PAYMENT_PENDING", "CAPTURE_RESULT", "REFUND_RESULT", "VOID_RESULT")]  # fmt: skip
_VECTORS: Final = [vector for vector in every_vector() if vector["kind"] in ("ams_notify", "ams_response")]
# Bodies that a stranger may have seen signed.
_KNOWN: Final = {
    *(each.body for each in _GENUINE),
    *(vector["body"].encode() for vector in _VECTORS if vector["kind"] == "ams_notify"),
}


def written(headers: dict[str, str], body: bytes) -> bytes:
    """A message with headers as the targets take it: a line for each, an empty one, and the body."""
    lines = "\n".join(f"{name.lower()}:{value}" for name, value in headers.items())
    return f"{lines}\n\n".encode() + body


def read(raw: bytes) -> tuple[dict[str, str], bytes]:
    """The headers and the body again, of whatever bytes."""
    head, _, body = raw.partition(b"\n\n")
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\n"))
    return {name: value for name, _, value in pairs}, body


def headers(raw: bytes) -> None:
    """A message with headers; only bodies that were signed once are believed, under whatever headers."""
    given, body = read(raw)
    for name in (REQUEST_TIME, RESPONSE_TIME):
        with suppress(NotBelievedError):
            verify_headers(
                given, body, paths=(given.get("path", ""), _PATH), time_name=name, profile=STRANGERS.profile, at=NOW
            )
            assert body in _KNOWN or any(body == vector["body"].encode() for vector in _VECTORS)


def signature_header(raw: bytes) -> None:
    """What stands in the header `signature`; the hash is ours to choose."""
    text = raw.decode("latin-1")
    with suppress(NotBelievedError):
        assert read_signature(text)
        assert "algorithm=RSA256" in text


def callback(raw: bytes) -> None:
    """A stranger's. Believed only where its body is one that the wallet has signed."""
    given, body = read(raw)
    sent = RawCallback("POST", _PATH, given, body, NOW)
    BY_HAND.examine_callback(sent)
    with suppress(CallbackRefusedError):
        STRANGERS.open_callback(sent)
        assert body in _KNOWN


def callback_signed(raw: bytes) -> None:
    """A genuine one with this body."""
    given = signed_headers(_WALLET, plus.CLIENT_ID, plus.NOTIFY_URL, NOW, raw)
    with suppress(CallbackRefusedError):
        called = RawCallback("POST", _PATH, given, raw, LATER)
        order_id = SIGNED.order_of_callback(called)
        evidence = SIGNED.open_callback(called)
        if evidence is not None:
            assert order_id == evidence.order_id
            is_taken(evidence, evidence.order_id)


def answer(raw: bytes) -> None:
    """A stranger's. Whatever was asked, it says nothing."""
    given, body = read(raw)
    for order, request in ASKED[:2]:
        assert says_nothing(SIGNED.read_answer(order, request, WalletAnswer(200, given, body), LATER))
    BY_HAND.examine_answer(RawAnswer("inquiryPayment", body, NOW, given))


def answer_signed(raw: bytes) -> None:
    """A genuine one. The first byte says what was asked, the rest is the body."""
    if not raw:
        return
    order, request = ASKED[raw[0] % len(ASKED)]
    body = raw[1:]
    given = signed_headers(_WALLET, plus.CLIENT_ID, request.url, NOW, body, time_name=RESPONSE_TIME)
    found = SIGNED.read_answer(order, request, WalletAnswer(200, given, body), LATER)
    assert found.order_id == order.order_id
    is_taken(found, found.order_id, under_way(order, request.operation))
    by_hand = AlipayPlusByHand("plus", SIGNED.profile)
    by_hand.examine_answer(RawAnswer(request.call, body, NOW, given, path_of(request.url)))


def amounts(raw: bytes) -> None:
    """An amount object."""
    with suppress(MalformedRecordError, InvalidMoneyError):
        given = loads_object(raw)
        amount_minor, currency = read_amount(given)
        assert given["value"] == str(amount_minor)
        assert given["currency"] == currency


def times(raw: bytes) -> None:
    """ISO 8601 with an offset; what is held to the header's grammar is one."""
    text = raw.decode("utf-8", "replace")
    found = parse_time(text)
    if found is not None:
        assert found.utcoffset() == timedelta(0)
    if is_time(text):
        # The signed text cannot be cut elsewhere: before a dot there is never a whole time.
        assert not any(is_time(text[:place]) for place, each in enumerate(text) if each == ".")
        assert text.isascii()


def _answers() -> Iterator[bytes]:
    bodies = [
        plus.standing(), plus.standing("PROCESSING"), plus.standing("CANCELLED"),
        plus.standing(transactions=[plus.moved("CAPTURE", "o1__C1", "12000"), plus.moved("VOID", "o1__R1", "1")]),
        plus.standing(transactions=[plus.moved("REFUND", "o1__B1", "2000", "FAIL")]),
        {"result": plus.result("ORDER_NOT_EXIST", "F")}, {"result": plus.result("UNKNOWN_EXCEPTION", "U")},
        {"result": plus.result(), "captureId": "c1", "captureAmount": plus.amount("12000")},
        {"result": plus.result(), "refundId": "r1", "refundAmount": plus.amount("2000"), "refundStatus": "SUCCESS"},
    ]  # fmt: skip
    for number, body in enumerate(bodies):
        for what in range(0, len(ASKED), 3):
            yield bytes([(what + number) % len(ASKED)]) + json.dumps(body).encode()


def _with_headers() -> list[bytes]:
    vectors = [written(vector["headers"], vector["body"].encode()) for vector in _VECTORS]
    return [*vectors, *(written(dict(each.headers), each.body) for each in _GENUINE)]


def _order_strings() -> Iterator[bytes]:
    ours = STRANGERS.order_string(plus.order()).encode()
    yield from (ours, ours.replace(b"&", b"&amp;"), b'"' + ours + b'"', ours.decode().encode("utf-16"))


PLUS: Final[dict[str, Target]] = {
    "plus_headers": Target(headers, _with_headers()),
    "plus_signature_header": Target(
        signature_header, [vector["headers"]["Signature"].encode() for vector in _VECTORS]
    ),
    "plus_callback": Target(callback, _with_headers()),
    "plus_callback_signed": Target(callback_signed, sorted(_KNOWN)),
    "plus_answer": Target(answer, _with_headers()),
    "plus_answer_signed": Target(answer_signed, list(_answers())),
    "plus_order_string": Target(partial(examined, examine_order_string, BY_HAND), list(_order_strings())),
    "plus_order_string_made": Target(partial(made, STRANGERS, BY_HAND), ["充电 & a=b".encode(), "😀×".encode()]),
    "plus_amount": Target(amounts, [json.dumps(plus.amount()).encode(), b'{"currency":"JPY","value":"05"}']),
    "plus_time": Target(times, [plus.PAID_AT.encode(), b"1768443630000", b"2026-01-15T02:20:30.5+08:00"]),
}
