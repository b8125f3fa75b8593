"""Each vector of the Alipay+ dialect, as its `accept` and `outcome` say."""

import json

import pytest

from schemas.vocabulary import Outcome
from service.wallets.adapter import CallbackRefusedError, RawCallback, WalletAnswer, WalletRequest
from service.wallets.alipay_plus.headers import REQUEST_TIME, signature_header, signed_text, verify_headers
from service.wallets.signatures import SignType, sign
from statemachine.inputs import EvidenceSource, Trade
from tests.wallets import plus
from tests.wallets.orders import CAPTURE
from tests.wallets.vectors import NOW, Vector, of_kind, private_key


def headers_of(vector: Vector) -> dict[str, str]:
    return {name.lower(): value for name, value in vector["headers"].items()}


def resigned(vector: Vector, time: str) -> tuple[bytes, str]:
    """The bytes that we would sign for it, and our header."""
    text = signed_text(vector["path"], vector["headers"]["Client-Id"], time, vector["body"].encode())
    return text, signature_header(sign(private_key(vector["key"]), text, SignType.RSA2))


@of_kind("ams_request")
def test_a_call_is_signed_as_the_wallets_own_sdk_does(vector: Vector) -> None:
    text, header = resigned(vector, vector["headers"]["Request-Time"])
    assert text == vector["base_string"].encode()
    assert header == vector["headers"]["Signature"]
    # The other way round: a gateway that knows our key would take it.
    ours = plus.profile(wallet_keys=[{"public_key_file": "app_rsa2048.pub.pem"}])
    verify_headers(
        headers_of(vector),
        vector["body"].encode(),
        paths=(vector["path"],),
        time_name=REQUEST_TIME,
        profile=ours,
        at=NOW,
    )


@of_kind("ams_notify")
def test_a_callback_is_believed_or_not(vector: Vector) -> None:
    callback = RawCallback(vector["http_method"], vector["path"], headers_of(vector), vector["body"].encode(), NOW)
    if not vector["accept"]:
        with pytest.raises(CallbackRefusedError):
            plus.adapter().open_callback(callback)
        with pytest.raises(CallbackRefusedError):
            plus.adapter().order_of_callback(callback)
        return
    evidence = plus.adapter().open_callback(callback)
    assert evidence is not None
    assert plus.adapter().order_of_callback(callback) == evidence.order_id
    body = json.loads(vector["body"])
    assert evidence.source is EvidenceSource.CALLBACK
    assert (evidence.order_id, evidence.trade) == (body["paymentRequestId"], Trade.PAID)
    assert (evidence.order_amount_minor, evidence.currency) == (12_000, "USD")
    assert evidence.trade_no == body["paymentId"]
    assert resigned(vector, vector["headers"]["Request-Time"])[0] == vector["base_string"].encode()


@of_kind("ams_response")
def test_an_answer_is_read(vector: Vector) -> None:
    request = WalletRequest("capture", "o1", f"https://wallet.example{vector['path']}", b"", operation=CAPTURE)
    answer = WalletAnswer(200, headers_of(vector), vector["body"].encode())
    evidence = plus.adapter().read_answer(plus.order(), request, answer, NOW)
    assert evidence.outcome is Outcome(vector["outcome"])
    assert not evidence.code.startswith("not believed")
    assert evidence.code == json.loads(vector["body"])["result"]["resultCode"]
