"""The vectors in `vectors/`, made by running other people's SDKs with the throw-away keys beside them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from service.wallets.alipay.adapter import AlipayAdapter
from service.wallets.profile import WalletProfile, load_profiles
from service.wallets.signatures import load_private_key, load_public_key

FOLDER = Path(__file__).parent / "vectors"
KEYS = FOLDER / "keys"
FILES = ("seed", "alipay_sdk_node", "alipay_sdk_python", "python_alipay_sdk", "global_open_sdk")
NOW = datetime(2026, 1, 15, 2, 20, 30, tzinfo=UTC)
NOTIFY_URL = "https://m.example.com/notify/alipay"

Vector = dict[str, Any]
_profiles: dict[str, WalletProfile] = {}


@cache
def every_vector() -> tuple[Vector, ...]:
    return tuple(vector for name in FILES for vector in json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def named(vector_id: str) -> Vector:
    return next(vector for vector in every_vector() if vector["id"] == vector_id)


def of_kind(kind: str) -> pytest.MarkDecorator:
    """A parametrization over the vectors of a kind."""
    vectors = [vector for vector in every_vector() if vector["kind"] == kind]
    assert vectors, kind
    return pytest.mark.parametrize("vector", vectors, ids=[vector["id"] for vector in vectors])


@cache
def private_key(name: str) -> RSAPrivateKey:
    return load_private_key((KEYS / f"{name}.pkcs8.pem").read_text("ascii"))


@cache
def public_key(name: str) -> RSAPublicKey:
    return load_public_key((KEYS / f"{name}.pub.pem").read_text("ascii"))


def table(**fields: Any) -> dict[str, Any]:
    """A profile's table as the configuration would have it; a field of None is left out."""
    given = {
        "dialect": "alipay",
        "app_id": "2018112803019836",
        "seller_id": "2088202224929664",
        "gateway_url": "https://openapi.alipay.com/gateway.do",
        "notify_url": NOTIFY_URL,
        "private_key_file": "app_rsa2048.pkcs1.pem",
        "wallet_keys": [{"public_key_file": "wallet_rsa2048.pub.pem"}],
    } | fields
    return {name: value for name, value in given.items() if value is not None}


def profile(**fields: Any) -> WalletProfile:
    """Frozen, and so shared: the checks of a private key take 30 ms."""
    given = table(**fields)
    name = repr(given)
    if name not in _profiles:
        _profiles[name] = load_profiles({"mall": given}, KEYS)["mall"]
    return _profiles[name]


def profile_of(vector: Vector) -> WalletProfile:
    """A profile with the vector's sign_type, charset and keys."""
    size = vector.get("key", "app_rsa2048").removeprefix("app_").removeprefix("wallet_")
    return profile(
        sign_type=vector.get("sign_type", "RSA2"),
        charset=vector["charset"],
        private_key_file=f"app_{size}.pkcs8.pem",
        wallet_keys=[{"public_key_file": f"wallet_{size}.pub.pem"}],
    )


def adapter(**fields: Any) -> AlipayAdapter:
    return AlipayAdapter("mall", profile(**fields))


def key_files(*suffixes: str) -> Iterator[Path]:
    for suffix in suffixes:
        yield from sorted(KEYS.glob(f"*{suffix}"))
