"""The header signature: its grammar, and everything that must not pass."""

from dataclasses import replace
from typing import Any

import pytest

from service.wallets.adapter import CallbackRefusedError
from service.wallets.alipay_plus.headers import (
    NotBelievedError,
    is_time,
    path_of,
    read_signature,
    signature_header,
    signed_text,
)
from service.wallets.signatures import SignType, sign
from tests.wallets import plus
from tests.wallets.vectors import NOW, private_key


def refusal(callback: Any, **fields: Any) -> str:
    with pytest.raises(CallbackRefusedError) as refused:
        plus.adapter(**fields).open_callback(callback)
    return str(refused.value)


TIMES = [
    ("2026-01-15T02:20:30+00:00", True),
    ("2026-01-15T10:20:30+08:00", True),
    ("2026-01-15T10:20:30+0800", True),
    ("2026-01-15T02:20:30Z", True),
    ("1768443630000", True),
    ("", False),
    ("2026-01-15T02:20:30", False),
    ("2026-01-15 02:20:30+00:00", False),
    ("2026-01-15T02:20:30.253+05:30", True),
    ("2026-01-15T02:20:30.253", False),
    ("2026-01-15T02:20:30.+00:00", False),
    ("2026-13-15T02:20:30Z", False),
    ("2026-01-15T02:20:30Z.", False),
    ("2026-01-15T02:20:30Z\n", False),
    ("1768443630000.{}", False),
    ("1768443630", False),
    ("١٧٦٨٤٤٣٦٣٠٠٠٠", False),
]


@pytest.mark.parametrize(("time", "is_one"), TIMES)
def test_a_request_time_is_a_time_and_nothing_else(time: str, is_one: bool) -> None:
    assert is_time(time) is is_one


def test_a_spliced_request_time_is_refused_though_the_signed_bytes_are_genuine() -> None:
    """`T.` + `{"a":…}.{…}` signs the same bytes whether the first object belongs to the time or to the body."""
    genuine = plus.called_back(b'{"x":1}.{"paymentRequestId":"o1"}')
    time = genuine.headers["request-time"]
    spliced = replace(
        genuine,
        headers={**genuine.headers, "request-time": time + '.{"x":1}'},
        body=b'{"paymentRequestId":"o1"}',
    )
    assert signed_text("/p", "c", time + '.{"x":1}', spliced.body) == signed_text("/p", "c", time, genuine.body)
    assert refusal(spliced) == "its request-time is not a time"


def test_the_client_id_is_pinned_to_the_profile() -> None:
    fields = plus.notification()
    assert "client-id" in refusal(plus.called_back(fields), client_id="ANOTHER")
    assert "client-id" in refusal(plus.called_back(fields, client_id=f"{plus.CLIENT_ID}, {plus.CLIENT_ID}"))
    without = plus.called_back(fields)
    headers = {name: value for name, value in without.headers.items() if name != "client-id"}
    assert "client-id" in refusal(replace(without, headers=headers))


def test_a_plus_that_nobody_escaped_and_one_that_became_a_blank() -> None:
    fields = plus.notification()
    callback = plus.called_back(fields)
    signature = read_signature(callback.headers["signature"])
    assert "+" in signature
    for written in (signature, signature.replace("+", " ")):
        raw = plus.called_back(fields, signature=f"algorithm=RSA256,keyVersion=1,signature={written}")
        assert plus.adapter().open_callback(raw) == plus.adapter().open_callback(callback)


HEADERS = [
    ("", "RSA256"),
    ("algorithm=RSA256,keyVersion=1", "not signed"),
    ("algorithm=RSA256,keyVersion=1,signature=", "not signed"),
    ("keyVersion=1,signature=YQ==", "RSA256"),
    ("algorithm=RSA1,keyVersion=1,signature=YQ==", "RSA256"),
    ("algorithm=rsa256,keyVersion=1,signature=YQ==", "RSA256"),
    ("algorithm=RSA256,keyVersion=x,signature=YQ==", "keyVersion"),
    ("algorithm=RSA256,algorithm=RSA256,keyVersion=1,signature=YQ==", "repeats"),
    ("algorithm=RSA256,signature=YQ==,signature=Yg==", "repeats"),
    ("algorithm=RSA256,signature=" + "a" * 10_000, "too long"),
]


@pytest.mark.parametrize(("header", "why"), HEADERS)
def test_a_signature_header_that_is_not_taken(header: str, why: str) -> None:
    with pytest.raises(NotBelievedError, match=why):
        read_signature(header)


def test_blanks_after_commas_and_no_key_version_are_taken() -> None:
    assert read_signature("algorithm=RSA256, keyVersion=2, signature=YQ%3D%3D") == "YQ=="
    assert read_signature("algorithm=RSA256,signature=YQ==") == "YQ=="
    assert read_signature(signature_header("a+b/c==")) == "a+b/c=="


@pytest.mark.parametrize("sign_type", [SignType.RSA])
def test_another_hash_is_refused_whatever_the_header_says(sign_type: SignType) -> None:
    callback = plus.called_back(plus.notification())
    text = signed_text(callback.path, plus.CLIENT_ID, callback.headers["request-time"], callback.body)
    header = signature_header(sign(private_key("wallet_rsa2048"), text, sign_type))
    assert "does not verify" in refusal(replace(callback, headers={**callback.headers, "signature": header}))


def test_whose_signature_it_is() -> None:
    assert "does not verify" in refusal(plus.called_back(plus.notification(), key="stranger_rsa2048"))
    late = [{"public_key_file": "wallet_rsa2048.pub.pem", "not_after": NOW}]
    assert "no key of the wallet was valid" in refusal(plus.called_back(plus.notification()), wallet_keys=late)


def test_a_proxy_may_have_changed_the_path_but_nobody_may_change_it_for_another_profile() -> None:
    callback = plus.called_back(plus.notification())
    behind_a_proxy = replace(callback, path="/inner/wallets/plus/notify")
    assert plus.adapter().open_callback(behind_a_proxy) is not None
    elsewhere = {"notify_url": "https://m.example.com/notify/other"}
    assert "does not verify" in refusal(behind_a_proxy, **elsewhere)
    # It came where the wallet was told to send it when the order was issued.
    assert plus.adapter(**elsewhere).open_callback(callback) is not None


@pytest.mark.parametrize("path", ["", "notify", "/a b", "/a\nb", "/ü"])
def test_a_path_that_is_none_is_not_signed_for(path: str) -> None:
    callback = replace(plus.called_back(plus.notification()), path=path)
    assert "does not verify" in refusal(callback, notify_url="https://m.example.com/other")


def test_the_query_is_part_of_the_path() -> None:
    assert path_of("https://a.example/b/c?d=e") == "/b/c?d=e"
    assert path_of("https://a.example") == "/"


def test_only_a_post_is_signed() -> None:
    assert "GET" in refusal(replace(plus.called_back(plus.notification()), method="GET"))
