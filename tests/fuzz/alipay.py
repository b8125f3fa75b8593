"""What the dialect `alipay` reads: forms, callbacks, answers, order strings, times.

Of callbacks and answers there are two targets each. A stranger's is bytes, and none may be believed. The wallet's
own is signed here, with the wallet's key, whatever it says: it shows what is behind the signature.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import quote

import orjson

from schemas.vocabulary import Kind, Outcome
from service.wallets.adapter import CallbackRefusedError, RawCallback, WalletAdapter, WalletAnswer, WalletRequest
from service.wallets.alipay.answer import node_name
from service.wallets.alipay.by_hand import AlipayByHand, examine_order_string
from service.wallets.alipay.callback import verify_callback
from service.wallets.by_hand import RawAnswer, WalletByHand
from service.wallets.parameters import (
    MalformedFormError,
    codec_of,
    encode_form,
    parse_wallet_time,
    read_form,
    wallet_time,
)
from service.wallets.signatures import SignType, sign
from statemachine.inputs import WalletEvidence
from statemachine.order import Order
from tests.fuzz.target import DEPTHS, LATER, Target, is_taken, paying, under_way
from tests.wallets import orders, vectors
from tests.wallets.mutations import ENVELOPE, GENUINE
from tests.wallets.vectors import NOW, every_vector, private_key, profile

# The short key, because each run signs.
SIGNING: Final = {
    "private_key_file": "app_rsa1024.pkcs8.pem",
    "wallet_keys": [{"public_key_file": "wallet_rsa1024.pub.pem"}],
}
SIGNED: Final = {charset: vectors.adapter(charset=charset, **SIGNING) for charset in ("utf-8", "GBK")}
_WALLET: Final = private_key("wallet_rsa1024")
BY_HAND: Final = AlipayByHand("mall", profile())
_KNOWN: Final = [{n: v for n, v in each.fields.items() if n not in ENVELOPE} for each in GENUINE]
Asked = tuple[Order, WalletRequest]


def requests_of(adapter: WalletAdapter, payment: Order, preauth: Order) -> tuple[Asked, ...]:
    """Every operation and every question that there is."""
    asked = [(payment, None), (payment, orders.REFUND), (payment, orders.CLOSE), (preauth, None)]
    asked += [(preauth, each) for each in (orders.CAPTURE, orders.RELEASE, orders.REFUND, orders.CLOSE)]
    made = []
    for order, operation in asked:
        made.append((order, adapter.query_request(order, operation, NOW)))
        if operation is not None:
            made.append((order, adapter.operation_request(order, operation, NOW)))
    return tuple(made)


ASKED: Final = {
    charset: requests_of(SIGNED[charset], paying(Kind.PAYMENT), paying(Kind.PREAUTH)) for charset in SIGNED
}


def form(charset: str, raw: bytes) -> None:
    """What was read, written again, reads the same."""
    with suppress(MalformedFormError):
        found = read_form(raw, charset)
        again = read_form(encode_form(found.text, found.charset).encode("ascii"), charset)
        assert again.text == found.text
        assert found.text.keys() == found.raw.keys()
        for name, value in found.raw.items():
            assert value.encode("latin-1").decode(codec_of(found.charset)) == found.text[name]


def callback(raw: bytes) -> None:
    """A stranger's. Believed only where its fields are those of a genuine one that strangers may have seen."""
    for charset in ("utf-8", "GBK"):
        try:
            fields = verify_callback(raw, profile(charset=charset), NOW)
        except CallbackRefusedError:
            continue
        assert {name: value for name, value in fields.items() if name not in ENVELOPE} in _KNOWN
    BY_HAND.examine_callback(RawCallback("POST", "/", {}, raw, NOW))


def callback_signed(raw: bytes) -> None:
    """A genuine one with these fields."""
    for charset, adapter in SIGNED.items():
        try:
            base = read_form(raw, charset).base_string(without=ENVELOPE)
        except MalformedFormError:
            return
        body = raw + b"&sign=" + quote(sign(_WALLET, base, SignType.RSA2), safe="").encode()
        called = RawCallback("POST", "/", {}, body, LATER)
        try:
            order_id = adapter.order_of_callback(called)
            evidence = adapter.open_callback(called)
        except CallbackRefusedError:
            continue
        if evidence is not None:
            assert order_id == evidence.order_id
            is_taken(evidence, evidence.order_id)


def answer(raw: bytes) -> None:
    """A stranger's. Whatever was asked, it says nothing."""
    for order, request in ASKED["utf-8"][:2]:
        found = SIGNED["utf-8"].read_answer(order, request, WalletAnswer(200, {}, raw), LATER)
        assert says_nothing(found)
    for charset in ("utf-8", "GBK"):
        by_hand = AlipayByHand("mall", profile(charset=charset))
        by_hand.examine_answer(RawAnswer("alipay.trade.query", raw, NOW, {}))


def says_nothing(evidence: WalletEvidence) -> bool:
    """Whether nothing of it could move an order."""
    return evidence.outcome is Outcome.UNKNOWN and evidence.trade is None


def answer_signed(raw: bytes) -> None:
    """A genuine one. The first byte says what was asked, the rest is the signed node, exactly so."""
    if not raw:
        return
    charset = "GBK" if raw[0] & 1 else "utf-8"
    order, request = ASKED[charset][(raw[0] >> 1) % len(ASKED[charset])]
    signature = sign(_WALLET, raw[1:], SignType.RSA2).encode()
    body = b'{"%s":%s,"sign":"%s"}' % (node_name(request.call).encode(), raw[1:], signature)
    found = SIGNED[charset].read_answer(order, request, WalletAnswer(200, {}, body), LATER)
    assert found.order_id == order.order_id
    is_taken(found, found.order_id, under_way(order, request.operation))
    AlipayByHand("mall", SIGNED[charset].profile).examine_answer(RawAnswer(request.call, body, NOW, {}))


def examined(examine: Callable[..., object], by_hand: WalletByHand, raw: bytes) -> None:
    """An order string of whatever origin: verified is only what was signed."""
    examine(raw, None)
    found = by_hand.examine_order_string(raw)
    assert not (found.ok and found.missing)
    if found.signature == "verified":
        assert not found.damage
        again = by_hand.examine_order_string(found.repaired.encode())
        assert (again.signature, again.params) == ("verified", found.params)


def made(adapter: WalletAdapter, by_hand: WalletByHand, raw: bytes) -> None:
    """An order string of ours, whose subject somebody else has written: it reads back as it was made."""
    subject = raw.decode("utf-8", "replace")[:256]
    for kind in Kind:
        with suppress(ValueError):
            text = adapter.order_string(orders.order(kind, subject=subject))
            found = by_hand.examine_order_string(text.encode())
            if not found.ok or found.signature != "verified":
                raise RuntimeError(f"{text}: {found.problems}")


def wallet_times(raw: bytes) -> None:
    """A time in Beijing."""
    text = raw.decode("utf-8", "replace")
    found = parse_wallet_time(text)
    if found is not None:
        assert found.utcoffset() == timedelta(0)
        assert text.startswith(wallet_time(found))


def _forms() -> Iterator[bytes]:
    yield from (each.body for each in GENUINE)
    yield b"&".join(b"%" * 3 for _ in range(3))
    yield b"a=%26b%3D1&charset=gb2312&c=%A1%A4"


def _fields() -> Iterator[bytes]:
    for fields in (orders.trade_callback(refund_fee="20.00", out_biz_no="o1__B1"), orders.freeze_callback(),
                   orders.release_callback(), orders.trade_callback(trade_status="TRADE_CLOSED")):  # fmt: skip
        for charset in SIGNED:
            yield encode_form({**fields, "subject": "充电", "charset": charset}, charset).encode()


def _nodes() -> Iterator[bytes]:
    nodes = [b for v in every_vector() if v["kind"] == "gateway_response" for b in _nodes_of(v["body"].encode())]
    trade = {"code": "10000", "msg": "Success", "out_trade_no": "o1", "trade_no": "t1", "total_amount": "500.00"}
    auth = {"code": "10000", "out_order_no": "o1", "auth_no": "a1", "total_freeze_amount": "500.00"}
    nodes += [
        orjson.dumps({**trade, "trade_status": "TRADE_SUCCESS"}),
        orjson.dumps({**trade, "refund_status": "REFUND_SUCCESS", "refund_amount": "20.00", "fund_change": "Y"}),
        orjson.dumps({**trade, "out_request_no": "o1__B1", "refund_fee": "20.00"}),
        orjson.dumps({**auth, "out_request_no": "o1__R1", "amount": "380.00", "status": "SUCCESS"}),
        orjson.dumps({"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST", "msg": "a\\/b"}),
    ]
    nodes += [b'{"code":"10000","a":' + b"[" * depth + b"]" * depth + b"}" for depth in DEPTHS]
    nodes += [b'{"code":"\\/","a":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}" for depth in DEPTHS]
    for number, node in enumerate(nodes):
        for what in range(0, 32, 5):
            yield bytes([(what + number) % 32]) + node


def _nodes_of(body: bytes) -> list[bytes]:
    with suppress(orjson.JSONDecodeError):
        return [orjson.dumps(node) for node in orjson.loads(body).values() if isinstance(node, dict)]
    return []


def _order_strings() -> Iterator[bytes]:
    for vector in every_vector():
        if "order_str" in vector:
            yield vector["order_str"].encode()
    ours = vectors.adapter().order_string(orders.order()).encode()
    yield from (ours, ours.replace(b"&", b"&amp;"), ours.replace(b"&timestamp", "×tamp".encode()))
    yield b"my.tradePay({orderStr: '" + ours + b"'})"
    yield ours.decode().encode("utf-16")


ALIPAY: Final[dict[str, Target]] = {
    "form_utf8": Target(partial(form, "utf-8"), list(_forms())),
    "form_gbk": Target(partial(form, "GBK"), list(_forms())),
    "alipay_callback": Target(callback, list(_forms())),
    "alipay_callback_signed": Target(callback_signed, list(_fields())),
    "alipay_answer": Target(
        answer, [v["body"].encode() for v in every_vector() if v["kind"] == "gateway_response"]
    ),
    "alipay_answer_signed": Target(answer_signed, list(_nodes())),
    "alipay_order_string": Target(partial(examined, examine_order_string, BY_HAND), list(_order_strings())),
    "alipay_order_string_made": Target(
        partial(made, vectors.adapter(), BY_HAND), ["充电 50% & a=b".encode(), b"&times", "😀×".encode()]
    ),
    "alipay_time": Target(
        wallet_times, [b"2026-01-15 10:21:07", b"2026-01-15 10:21:07.320", b"0001-01-01 00:00:00"]
    ),
}
