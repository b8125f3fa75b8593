"""`wallet.callbacks`: the bytes that a wallet sent, unharmed."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.wallet_callbacks import MAX_CALLBACK_BODY_BYTES, MAX_CALLBACK_HEADERS, WALLET_CALLBACK
from tests.schemas.samples import CALLBACK, is_taken, read, without


def with_body(body: bytes) -> dict[str, Any]:
    return CALLBACK | {"body_base64": b64encode(body).decode()}


def test_a_callback_is_posted_unless_it_says_otherwise() -> None:
    callback = read(CALLBACK)
    assert (callback.method, callback.headers, callback.body) == ("POST", {}, b"order=o1")
    assert callback.path == "/wallets/mall/notify?x=1"
    assert read(CALLBACK | {"method": "GET", "headers": {"content-type": "text/plain"}}).method == "GET"
    assert WALLET_CALLBACK.validate_json(callback.model_dump_json()) == callback


@given(st.binary(max_size=64))
def test_the_body_comes_out_as_it_went_in(body: bytes) -> None:
    assert read(with_body(body)).body == body


@pytest.mark.parametrize(
    "text", ["b3JkZXI9bzE", "b3Jk ZXI9", "b3Jk\nZXI9", "b3J-ZXI_", "b3JkZXI9bzE=x", "充", "=", "a"]
)
def test_what_is_not_base64_is_refused(text: str) -> None:
    assert not is_taken(CALLBACK | {"body_base64": text})


def test_a_callback_has_limits() -> None:
    assert len(read(with_body(b"x" * MAX_CALLBACK_BODY_BYTES)).body) == MAX_CALLBACK_BODY_BYTES
    assert not is_taken(with_body(b"x" * (MAX_CALLBACK_BODY_BYTES + 3)))
    most = {f"h{n}": "v" for n in range(MAX_CALLBACK_HEADERS)}
    assert read(CALLBACK | {"headers": most}).headers == most
    assert not is_taken(CALLBACK | {"headers": most | {"one": "more"}})
    assert is_taken(CALLBACK | {"path": "/" * 2048})
    assert not is_taken(CALLBACK | {"path": "/" * 2049})
    assert is_taken(CALLBACK | {"profile": "p" * 64})
    assert not is_taken(CALLBACK | {"profile": "p" * 65})


@pytest.mark.parametrize("method", ["", "post", "PO", "P" * 11, "POST\n", "PO ST", None, 1])
def test_a_method_is_a_word_of_http(method: Any) -> None:
    assert not is_taken(CALLBACK | {"method": method})


@pytest.mark.parametrize("headers", [None, [], "x", {"a": 1}, {"a": None}, {"a": ["b"]}, [["a", "b"]]])
def test_headers_are_texts_by_name(headers: Any) -> None:
    assert not is_taken(CALLBACK | {"headers": headers})


def test_a_field_that_must_be_there_may_not_be_missing() -> None:
    for field in CALLBACK:
        assert not is_taken(without(CALLBACK, field), "wallet.callbacks/wallet.callback"), field
    assert read(CALLBACK | {"new": 1}) == read(CALLBACK)
