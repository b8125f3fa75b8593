"""Answers that are not to be believed: unsigned, changed, repeated, of another method, or no JSON at all."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.strict_json import MAX_DEPTH
from schemas.vocabulary import Outcome
from service.wallets.adapter import WalletAnswer
from service.wallets.alipay.adapter import AlipayAdapter
from statemachine.inputs import Trade
from tests.wallets.orders import CAPTURE, REFUND, answered
from tests.wallets.test_answers import CAPTURED, FREEZE, MALL, PAYMENT, PREAUTH, TRADE, asked, heard, read
from tests.wallets.vectors import NOW, adapter

METHOD = "alipay.trade.query"
NODE = "alipay_trade_query_response"
PAID = TRADE | {"trade_status": "TRADE_SUCCESS"}


def trade_said(body: bytes | WalletAnswer, mall: AlipayAdapter = MALL) -> Trade | None:
    answer = body if isinstance(body, WalletAnswer) else WalletAnswer(200, {}, body)
    said = read(PAYMENT, None, answer, query=True, mall=mall)
    assert (said.outcome is Outcome.UNKNOWN) is (said.trade is None)
    return said.trade


def test_the_node_is_found_wherever_it_stands() -> None:
    whole = json.loads(answered(METHOD, PAID).body)
    signature, text = whole["sign"], json.dumps(PAID)
    assert trade_said(f'{{"sign":"{signature}","{NODE}":{text}}}'.encode()) is Trade.PAID
    assert (
        trade_said(f' {{ "alipay_cert_sn" : "x",\n"{NODE}" :{text} , "sign":"{signature}" }}\n'.encode())
        is Trade.PAID
    )
    tricky = json.dumps(PAID | {"subject": '}","sign":"x\\"{'})
    assert trade_said(answered(METHOD, tricky)) is Trade.PAID
    assert trade_said(answered(METHOD, json.dumps(PAID | {"store": "https://x"}).replace("/", "\\/"))) is Trade.PAID


def test_an_error_response() -> None:
    node = {"code": "40002", "sub_code": "isv.invalid-signature"}
    said = asked(PAYMENT, None, answered(METHOD, node, name="error_response"))
    assert (said.outcome, said.code) == (Outcome.UNKNOWN, "isv.invalid-signature")
    unsigned = asked(PAYMENT, None, answered(METHOD, node, name="error_response", signed=False))
    assert (unsigned.outcome, unsigned.code) == (
        Outcome.UNKNOWN,
        "not believed: unsigned isv.invalid-signature",
    )


def test_a_genuine_node_that_is_nested_too_deep_is_not_believed() -> None:
    # A parser written in C reads all of these; what walks through them afterwards has to bear it.
    for depth in (31, 32, 400, 900):
        for inner in ("[" * depth + "]" * depth, '{"a":' * depth + '"\\/"' + "}" * depth):
            said = trade_said(answered(METHOD, json.dumps(PAID)[:-1] + f',"x":{inner}}}'))
            assert said is (Trade.PAID if depth < MAX_DEPTH else None), (depth, inner[:5])


def test_what_a_gateway_may_send_instead() -> None:
    good = answered(METHOD, PAID)
    text, signature = json.dumps(PAID), json.loads(good.body)["sign"]
    end = f',"sign":"{signature}"}}'
    bodies = [
        b"", b"{}", b"[]", b"null", b"<html>", b"\xff", b"{" * 5_000, b'{"a":' * 50_000,
        good.body + b"x", good.body[:-1],
        answered(METHOD, PAID, signed=False).body,
        answered("alipay.trade.close", PAID).body,
        good.body.replace(b"500.00", b"5.00"),
        good.body.replace(signature.encode(), b""),
        good.body.replace(b'"' + signature.encode() + b'"', b"7"),
        # Repeated: at the top, inside, and one node of each name.
        f'{{"{NODE}":{text},"{NODE}":{text}{end}'.encode(),
        f'{{"{NODE}":{text},"error_response":{text}{end}'.encode(),
        answered(METHOD, text[:-1] + ',"trade_status":"TRADE_CLOSED"}').body,
        answered(METHOD, '{"code":"10000","x":NaN}').body,
        answered(METHOD, "[1]").body,
        answered(METHOD, text[:-1] + ',"subject":"\\u0000"}').body,
        answered(METHOD, text[:-1] + ',"lines":[{"\\ud800":1}]}').body,
        answered(METHOD, '"text"').body,
        b'{"x":"' + b"x" * 300_000 + b'"}',
    ]  # fmt: skip
    for body in bodies:
        assert trade_said(body) is None, body[:200]
    assert trade_said(good) is Trade.PAID
    assert trade_said(WalletAnswer(502, {}, good.body)) is None
    assert trade_said(good, adapter(sign_type="RSA")) is None
    assert trade_said(good, adapter(wallet_keys=[{"public_key_file": "stranger_rsa2048.pub.pem"}])) is None
    assert (
        trade_said(good, adapter(wallet_keys=[{"public_key_file": "wallet_rsa2048.pub.pem", "not_after": NOW}]))
        is None
    )


@given(st.binary(max_size=200))
def test_reading_never_raises(body: bytes) -> None:
    assert trade_said(body) is None


GENUINE = answered(METHOD, PAID).body


@given(at=st.integers(0, len(GENUINE) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_a_changed_byte_is_never_another_fact(at: int, byte: int, cut: bool) -> None:
    changed = GENUINE[:at] + (b"" if cut else bytes([byte])) + GENUINE[at + 1 :]
    assert trade_said(changed) in (None, Trade.PAID)


QUESTIONS = [
    (about, operation, MALL.query_request(about, operation, NOW))
    for about, operation in ((PAYMENT, None), (PREAUTH, None), (PREAUTH, CAPTURE), (PAYMENT, REFUND))
]


# Twenty-four signatures an example: on a busy machine that is longer than an example may usually take.
@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.floats() | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    st.sampled_from(["code", "trade_status", "total_amount", "refund_fee", "out_trade_no", "sub_code"]),
)
def test_any_genuine_node_is_read(value: Any, name: str) -> None:
    for question in QUESTIONS:
        for node in (PAID, FREEZE, CAPTURED):
            heard(*question, node | {name: value})
            heard(*question, node | {"amount": value, "status": value})
