"""Profiles of the configuration: what is taken, and how a mistake is told without showing a key."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.vocabulary import LatePayment
from service.wallets.profile import ProfileRefusedError, load_profiles
from service.wallets.registry import build_adapters
from service.wallets.signatures import SignType
from tests.wallets import plus
from tests.wallets.orders import order
from tests.wallets.vectors import KEYS, NOW, profile, table

TOML = """
[profiles.mall]
dialect = "alipay"
app_id = "2018112803019836"
seller_id = "2088202224929664"
client_id = "SANDBOX_5Y0566SG25J004124"
gateway_url = "https://openapi.alipay.com/gateway.do"
notify_url = "https://m.example.com/wallets/mall/notify"
sign_type = "RSA2"
charset = "gbk"
private_key_file = "app_rsa2048.pkcs8.oneline.txt"
app_cert_sn = "50fa7bc5dc305a4fbdbe166689ddc827"
alipay_root_cert_sn = "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6"
late_payment = "accept"
authorization_timeout_s = 86400
[[profiles.mall.wallet_keys]]
public_key_file = "wallet_rsa2048.pub.pem"
not_after = 2026-01-15T00:00:00Z
[[profiles.mall.wallet_keys]]
public_key_file = "wallet_rsa1024.pub_pkcs1.pem"
not_before = 2026-01-14T00:00:00Z
not_after = 2027-01-01T00:00:00Z
"""
SECRET = "MIIEpAIBAAKCAQEAudEaHk6N5vtSECRETSECRETSECRET"


def refusal(given: Any) -> str:
    with pytest.raises(ProfileRefusedError) as refused:
        load_profiles({"mall": given}, KEYS)
    return str(refused.value)


def test_the_whole_table() -> None:
    mall = load_profiles(tomllib.loads(TOML)["profiles"], KEYS)["mall"]
    assert (mall.sign_type, mall.charset, mall.late_payment) == (SignType.RSA2, "GBK", LatePayment.ACCEPT)
    assert mall.app_private_key.key_size == 2048
    sizes = {
        day: [key.key_size for key in mall.wallet_keys_at(datetime(2026, 1, day, tzinfo=UTC))]
        for day in (13, 14, 15, 16)
    }
    assert sizes == {13: [2048], 14: [2048, 1024], 15: [1024], 16: [1024]}
    assert mall.wallet_keys_at(NOW + timedelta(days=400)) == ()
    adapter = build_adapters({"mall": mall})["mall"]
    assert (adapter.authorization_timeout_s, adapter.late_payment) == (86_400, LatePayment.ACCEPT)


def test_what_is_left_out() -> None:
    mall = profile(seller_id=None)
    assert (mall.sign_type, mall.charset, mall.late_payment) == (SignType.RSA2, "utf-8", LatePayment.REFUND)
    assert mall.authorization_timeout_s == 2_592_000
    assert mall.seller_id is None


def test_a_key_in_the_table_itself() -> None:
    private = (KEYS / "app_rsa2048.pkcs1.oneline.txt").read_text("ascii")
    public = (KEYS / "wallet_rsa2048.pub.oneline.txt").read_text("ascii")
    mall = profile(private_key_file=None, private_key=private, wallet_keys=[{"public_key": public}])
    assert private.strip()[:40] not in repr(mall)
    assert mall.app_public_key.key_size == 2048


def test_any_number_of_keys_and_no_notify_url() -> None:
    """Old ones are kept, so that what they signed can be verified; and callbacks may go where the console says."""
    old = {"public_key_file": "stranger_rsa2048.pub.pem", "not_after": NOW}
    mall = profile(notify_url=None, wallet_keys=[*[old] * 20, {"public_key_file": "wallet_rsa2048.pub.pem"}])
    assert len(mall.wallet_keys_at(NOW)) == 1
    assert "notify_url" not in build_adapters({"mall": mall})["mall"].order_string(order())


@pytest.mark.parametrize(
    ("gateway", "given", "call"),
    [
        ("https://wallet.example/ams/api/v1", {}, "cancel"),
        ("https://wallet.example/v2", {}, "void"),
        ("https://wallet.example/ams/api/v1", {"release_call": "void"}, "void"),
    ],
)
def test_antom_has_no_void(gateway: str, given: dict[str, str], call: str) -> None:
    assert plus.profile(**{"gateway_url": gateway, "release_call": None} | given).release_call == call


MISTAKES = [
    ({"dialect": "wechat"}, "dialect"),
    ({"app_id": ""}, "app_id"),
    ({"app_id": None}, "app_id"),
    ({"app_id": 2018112803019836}, "app_id"),
    ({"gateway_url": "ftp://x/y"}, "gateway_url"),
    ({"gateway_url": "https://x/y?a=b"}, "gateway_url"),
    ({"gateway_url": "https://x/ y"}, "gateway_url"),
    ({"notify_url": "//x/y"}, "notify_url"),
    ({"notify_url": "https://x/#y"}, "notify_url"),
    ({"sign_type": "MD5"}, "sign_type"),
    ({"charset": "latin-1"}, "charset"),
    ({"charset": 8}, "charset"),
    ({"late_payment": "keep"}, "late_payment"),
    ({"authorization_timeout_s": 5}, "authorization_timeout_s"),
    ({"app_cert_sn": "a"}, "app_cert_sn"),
    ({"wallet_keys": []}, "wallet_keys"),
    ({"wallet_keys": None}, "wallet_keys"),
    ({"wallet_keys": "x"}, "wallet_keys"),
    ({"wallet_keys": [7]}, "wallet_keys.0"),
    ({"wallet_keys": [{"public_key": SECRET}]}, "wallet_keys.0"),
    ({"wallet_keys": [{"public_key_file": "nowhere.pem"}]}, "wallet_keys.0.public_key_file: cannot read"),
    ({"wallet_keys": [{}]}, "wallet_keys.0.public_key"),
    ({"private_key": SECRET}, "private_key_file: give it or private_key, not both"),
    ({"private_key_file": None}, "private_key"),
    ({"private_key_file": None, "private_key": SECRET}, "private_key"),
    ({"private_key_file": "wallet_rsa2048.pub.pem"}, "private_key"),
    ({"private_key_file": "nowhere.pem"}, "private_key_file: cannot read"),
    ({"private_key_file": 7}, "private_key_file"),
    ({"aplication_id": "x"}, "aplication_id"),
]


@pytest.mark.parametrize(("fields", "named"), MISTAKES, ids=[str(fields) for fields, _ in MISTAKES])
def test_a_mistake_names_the_profile_and_the_field(fields: dict[str, Any], named: str) -> None:
    told = refusal(table(**fields))
    assert told.startswith("profile mall: ")
    assert named in told
    assert SECRET not in told


def test_keys_that_are_never_valid_and_times_without_a_zone() -> None:
    key = {"public_key_file": "wallet_rsa2048.pub.pem"}
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    assert "not_before" in refusal(table(wallet_keys=[key | {"not_before": late, "not_after": early}]))
    local = datetime(2026, 1, 1)  # noqa: DTZ001 - as TOML's local times are
    assert "not_before" in refusal(table(wallet_keys=[key | {"not_before": local}]))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "key.der").write_bytes(b"\x30\x82\xff")
    with pytest.raises(ProfileRefusedError, match=r"key\.der is neither PEM"):
        load_profiles({"mall": table(private_key_file="key.der")}, tmp_path)


@pytest.mark.parametrize("name", ["", "a/b", "ключ", "x" * 65, "../x"])
def test_a_name_that_cannot_stand_in_a_url(name: str) -> None:
    with pytest.raises(ProfileRefusedError):
        load_profiles({name: table()}, KEYS)


def test_no_table_at_all() -> None:
    assert refusal("x") == "profile mall: should be a table"
    assert load_profiles({}, KEYS) == {}
