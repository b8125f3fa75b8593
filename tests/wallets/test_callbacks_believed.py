"""Callbacks that are not to be believed: forged, changed, cut elsewhere, or meant for somebody else."""

from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.wallets.adapter import CallbackRefusedError, RawCallback
from service.wallets.signatures import SignType, sign
from tests.wallets.orders import called_back, freeze_callback, release_callback, trade_callback
from tests.wallets.test_callbacks import MALL, refusal
from tests.wallets.vectors import NOW, adapter, named, private_key


def test_who_it_is_for() -> None:
    assert "app_id" in refusal(called_back(trade_callback(app_id="2018112803019837")))
    assert "app_id" in refusal(called_back(trade_callback(app_id="")))
    assert "seller_id" in refusal(called_back(trade_callback(seller_id="2088000000000000")))
    assert "payee_user_id" in refusal(called_back(freeze_callback(payee_user_id="2088000000000000")))
    assert MALL.open_callback(called_back(freeze_callback(payee_user_id=""))) is not None
    assert adapter(seller_id=None).open_callback(called_back(trade_callback(seller_id="any"))) is not None


def test_who_signed_it_and_when() -> None:
    callback = called_back(trade_callback())
    retired = {"public_key_file": "stranger_rsa2048.pub.pem", "not_after": NOW}
    current = {"public_key_file": "wallet_rsa2048.pub.pem", "not_before": NOW}
    assert adapter(wallet_keys=[retired, current]).open_callback(callback) is not None
    old = called_back(trade_callback(), key="stranger_rsa2048")
    assert "does not verify" in refusal(old, wallet_keys=[retired, current])
    before = replace(old, received_at=NOW.replace(hour=1))
    assert adapter(wallet_keys=[retired, current]).open_callback(before) is not None
    assert "no key" in refusal(replace(callback, received_at=NOW.replace(year=2027)), wallet_keys=[retired])


def test_the_hash_is_pinned() -> None:
    sha1 = called_back(trade_callback(), sign_type=SignType.RSA)
    assert "sign_type" in refusal(sha1)
    assert "does not verify" in refusal(replace(sha1, body=sha1.body.replace(b"sign_type=RSA", b"sign_type=RSA2")))
    assert adapter(sign_type="RSA").open_callback(sha1) is not None


def _form(fields: dict[str, str], base: str) -> bytes:
    signature = sign(private_key("wallet_rsa2048"), base.encode(), SignType.RSA2)
    pairs = [f"{name}={quote_plus(value)}" for name, value in (fields | {"sign": signature}).items()]
    return "&".join(pairs).encode()


@pytest.mark.parametrize("keep_empty", [False, True])
@pytest.mark.parametrize("keep_sign_type", [False, True])
def test_every_way_in_which_the_wallet_signs(keep_empty: bool, keep_sign_type: bool) -> None:
    fields = trade_callback(body="", sign_type="RSA2")
    covered = {
        name: value
        for name, value in fields.items()
        if (keep_empty or value) and (keep_sign_type or name != "sign_type")
    }
    base = "&".join(f"{name}={covered[name]}" for name in sorted(covered))
    body = _form(fields, base)
    assert MALL.open_callback(RawCallback("POST", "/", {}, body, NOW)) is not None
    # A `+` of the signature that was not percent-encoded reads as a blank.
    raw = body.replace(b"%2B", b"+")
    assert MALL.open_callback(RawCallback("POST", "/", {}, raw, NOW)) is not None


def test_a_genuine_message_cut_elsewhere() -> None:
    """The base string does not escape: the same signed bytes can be read as other fields."""
    genuine = trade_callback(passback_params="x&refund_fee=500.00", refund_fee="")
    assert "hides" in refusal(called_back(genuine))
    body = called_back(trade_callback(passback_params="x&y=1 & z")).body
    assert MALL.open_callback(RawCallback("POST", "/", {}, body, NOW)) is not None
    joined = body.replace(b"&trade_no=t1", b"").replace(
        b"total_amount=500.00", b"total_amount=500.00%26trade_no%3Dt1"
    )
    assert "hides" in refusal(RawCallback("POST", "/", {}, joined, NOW))
    in_a_name = joined.replace(b"total_amount=500.00%26trade_no%3D", b"total_amount%3D500.00%26trade_no=")
    assert "name=value" in refusal(RawCallback("POST", "/", {}, in_a_name, NOW))


def test_the_charset_is_the_messages_own() -> None:
    gbk = called_back(trade_callback(subject="充电桩"), charset="GBK")
    assert MALL.open_callback(gbk) is not None
    other = replace(gbk, body=gbk.body.replace(b"charset=GBK", b"charset=utf-8"))
    assert "utf-8" in refusal(other)
    assert "charset" in refusal(replace(gbk, body=gbk.body.replace(b"charset=GBK", b"charset=utf-7")))


MALFORMED = [b"", b"&", b"a", b"=1", b"a=1&a=2", b"a=1&%61=2", b"a=1&", b"\xff\xfe", b"x" * 70_000, b"a b=1"]


@pytest.mark.parametrize("body", [*MALFORMED, b"&".join(b"k%d=1" % n for n in range(200)), b"app_id=1", b"sign="])
def test_what_is_no_form(body: bytes) -> None:
    assert refusal(RawCallback("POST", "/", {}, body, NOW))


@given(st.binary(max_size=300))
def test_only_one_error_for_any_bytes(body: bytes) -> None:
    with pytest.raises(CallbackRefusedError):
        MALL.open_callback(RawCallback("POST", "/", {}, body, NOW))


GENUINE = named("N01")["body"].encode()


@given(at=st.integers(0, len(GENUINE) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_a_changed_byte_is_never_another_fact(at: int, byte: int, cut: bool) -> None:
    changed = GENUINE[:at] + (b"" if cut else bytes([byte])) + GENUINE[at + 1 :]
    genuine = MALL.open_callback(RawCallback("POST", "/", {}, GENUINE, NOW))
    try:
        evidence = MALL.open_callback(RawCallback("POST", "/", {}, changed, NOW))
    except CallbackRefusedError:
        return
    # Some changes say the same: `%2f` for `%2F`, `%20` cut to a plain letter never.
    assert evidence == genuine


@given(
    st.dictionaries(
        st.sampled_from(sorted(trade_callback() | freeze_callback())),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    )
)
def test_only_one_error_for_any_genuine_fields(fields: dict[str, str]) -> None:
    for whole in (trade_callback(), freeze_callback(), release_callback()):
        with suppress(CallbackRefusedError):
            MALL.open_callback(called_back(whole | fields))
