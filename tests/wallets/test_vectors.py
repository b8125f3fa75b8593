"""Each vector of the Alipay dialect, as its `accept`, `outcome` and `expect_builder_rejects_input` say.

Those of Alipay+ are in a file of their own.
"""

import hashlib
import json
from urllib.parse import unquote_plus

import pytest

from schemas.vocabulary import Kind, Outcome
from service.wallets.adapter import (
    BuilderRefusedError,
    CallbackRefusedError,
    RawCallback,
    WalletAnswer,
    WalletRequest,
)
from service.wallets.alipay.adapter import AlipayAdapter
from service.wallets.alipay.answer import UnbelievableError, read_node
from service.wallets.alipay.calls import sign_call
from service.wallets.alipay.terms import APP_PAY, biz_content
from service.wallets.order_string import parse_order_string, sign_parameters, verify_order_string
from service.wallets.parameters import base_string, encode_form
from service.wallets.signatures import SignType, sign
from tests.wallets.orders import order
from tests.wallets.vectors import NOW, Vector, named, of_kind, private_key, profile_of, public_key


@of_kind("orderstr")
def test_an_order_string_of_another_sdk_verifies_and_is_made_again(vector: Vector) -> None:
    sign_type, charset = SignType(vector["sign_type"]), vector["charset"]
    parsed = parse_order_string(vector["order_str"])
    assert parsed.is_whole
    assert parsed.params == vector["params"] | {"sign": vector["sign"]}
    assert verify_order_string(parsed, public_key(vector["key"]), sign_type) is vector["accept"]
    assert not verify_order_string(parsed, public_key("stranger_rsa2048"), sign_type)
    base = base_string(vector["params"], charset)
    assert base == vector["base_string"].encode(charset) == parsed.base
    if "base_sha256" in vector:
        assert hashlib.sha256(base).hexdigest() == vector["base_sha256"]
    signed = sign_parameters(vector["params"], private_key(vector["key"]), sign_type, charset)
    assert signed["sign"] == vector["sign"]
    if not vector["producer"].startswith("npm"):
        # The peers keep orders of their own; the wallet does not care. The Node SDK also writes %20.
        in_their_order = {name: signed[name] for name in parsed.params}
        assert encode_form(in_their_order, charset) == vector["order_str"]


@of_kind("orderstr")
def test_the_builder_takes_what_a_wallet_would_take(vector: Vector) -> None:
    biz = json.loads(vector["params"]["biz_content"])
    if vector.get("expect_builder_rejects_input"):
        with pytest.raises(BuilderRefusedError):
            biz_content(vector["params"]["method"], biz, vector["charset"])
        return
    built = biz_content(vector["params"]["method"], biz, vector["charset"])
    assert built.isascii()
    assert json.loads(built) == {name: value for name, value in biz.items() if value != ""}


@of_kind("builder_reject")
def test_the_builder_refuses(vector: Vector) -> None:
    with pytest.raises(BuilderRefusedError, match=r"subject: GBK cannot hold U\+1F600"):
        biz_content(APP_PAY, vector["input"], vector["charset"])


@of_kind("seed_orderstr")
def test_the_printed_sample_is_read_and_told_to_be_damaged(vector: Vector) -> None:
    parsed = parse_order_string(vector["order_str"])
    assert parsed.params == vector["params"]
    assert parsed.charset == vector["charset"]
    assert list(parsed.missing) == vector.get("missing", [])
    assert parsed.damage == (("timestamp",) if "repaired" in vector else ())
    assert parsed.repaired == vector.get("repaired", vector["order_str"])
    assert not verify_order_string(parsed, public_key("app_rsa1024"), SignType.RSA)
    # Our own encoding gives the sample's bytes.
    assert encode_form(dict(sorted(parsed.params.items())), vector["charset"]) == parsed.repaired


def test_the_sample_as_it_looks_after_a_second_wrong_decoding() -> None:
    vector = named("S01")
    parsed = parse_order_string(vector["order_str"].encode().decode("gbk"))
    assert parsed.damage == ("timestamp",)
    assert parsed.params == vector["params"]


def test_the_seed_order_is_encoded_byte_for_byte() -> None:
    vector = named("B08")
    wire = encode_form({"biz_content": vector["params"]["biz_content"]}, "GBK")
    assert wire == f"biz_content={vector['wire_biz_content']}"


@of_kind("html_corruption")
def test_lost_ampersands_are_found(vector: Vector) -> None:
    for whole, damaged in vector["table"].items():
        text = f"a=b{whole}=1" if damaged is None else f"a=b{damaged}"
        parsed = parse_order_string(text)
        assert parsed.damage == (() if damaged is None else (whole.removeprefix("&"),))
        assert parsed.params == {"a": "b", whole.removeprefix("&"): "1"}


@of_kind("notify_form")
def test_a_callback_is_believed_or_not(vector: Vector) -> None:
    adapter = AlipayAdapter("mall", profile_of(vector))
    callback = RawCallback(
        "POST", "/", {"content-type": "text/plain; charset=latin-1"}, vector["body"].encode(), NOW
    )
    if not vector["accept"]:
        with pytest.raises(CallbackRefusedError):
            adapter.open_callback(callback)
        with pytest.raises(CallbackRefusedError):
            adapter.order_of_callback(callback)
        return
    evidence = adapter.open_callback(callback)
    assert evidence is not None
    assert adapter.order_of_callback(callback) == evidence.order_id
    fields = vector["params"]
    assert evidence.order_id == fields.get("out_trade_no", fields.get("out_order_no"))
    assert evidence.event_id == fields["notify_id"]
    amount = fields.get("total_amount", fields.get("amount"))
    assert evidence.order_amount_minor == int(amount.replace(".", ""))
    signature = sign(
        private_key(vector["key"]),
        vector["base_string"].encode(vector["charset"]),
        SignType(vector["sign_type"]),
    )
    assert signature == vector["sign"]


@of_kind("gateway_request")
def test_a_call_is_signed_as_the_wallets_own_sdk_does(vector: Vector) -> None:
    params = {name: value for name, value in vector["params"].items() if name != "biz_content"}
    signed = sign_call(profile_of(vector), params, vector["params"]["biz_content"])
    assert signed.query == vector["query"]
    assert signed.url == f"{vector['url']}?{vector['query']}"
    assert signed.body.decode("ascii") == vector["body"]
    assert signed.headers["content-type"] == vector["headers"]["Content-type"]
    assert base_string(vector["params"], vector["charset"]) == vector["base_string"].encode(vector["charset"])
    assert f"sign={vector['sign']}" in unquote_plus(signed.query)


def _method(vector: Vector) -> str:
    names = {"alipay_fund_auth_operation_detail_query_response": "alipay.fund.auth.operation.detail.query"}
    key = vector["response_key"]
    return str(names.get(key, key.removesuffix("_response").replace("_", ".")))


@of_kind("gateway_response")
def test_an_answer_is_believed_or_not(vector: Vector) -> None:
    profile = profile_of(vector)
    body = bytes.fromhex(vector["body_hex"]) if "body_hex" in vector else vector["body"].encode(vector["charset"])
    if vector["accept"]:
        node = read_node(body, _method(vector), profile, NOW)
        assert node.members == json.loads(vector["signed_node"])
        return
    with pytest.raises(UnbelievableError):
        read_node(body, _method(vector), profile, NOW)
    asked = WalletRequest(_method(vector), "o1", "", b"", is_query=True)
    answer = WalletAnswer(200, {}, body)
    evidence = AlipayAdapter("mall", profile).read_answer(order(Kind.PAYMENT), asked, answer, NOW)
    assert evidence.outcome is Outcome.UNKNOWN
