"""The order strings of our own orders: made, read back, and what is refused before anything is signed."""

import string
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import Kind, LatePayment
from service.wallets.adapter import BuilderRefusedError
from service.wallets.alipay.terms import (
    APP_FREEZE,
    APP_PAY,
    CANCEL,
    REFUND_QUERY,
    TRADE_PAY,
    TRADE_QUERY,
    UNFREEZE,
    biz_content,
)
from service.wallets.order_string import parse_order_string, verify_order_string
from service.wallets.parameters import parse_wallet_time, wallet_time
from service.wallets.signatures import SignType
from statemachine.inputs import OrderCreated
from tests.wallets.orders import order
from tests.wallets.vectors import NOTIFY_URL, NOW, adapter, public_key

MALL = adapter()


def made(kind: Kind = Kind.PAYMENT, /, **fields: Any) -> Any:
    text = MALL.order_string(order(kind, **fields))
    parsed = parse_order_string(text)
    assert verify_order_string(parsed, public_key("app_rsa2048"), SignType.RSA2)
    names = [name for name, _ in parse_qsl(text)]
    assert names == sorted(names)
    return parsed


def test_a_payment() -> None:
    parsed = made()
    assert parsed.biz_content == {
        "out_trade_no": "o1",
        "total_amount": "500.00",
        "subject": "充电 50% off & more",
        "product_code": "QUICK_MSECURITY_PAY",
        "time_expire": "2026-01-15 10:35:20",
    }
    rest = {name: value for name, value in parsed.params.items() if name not in ("sign", "biz_content")}
    assert rest == {
        "app_id": "2018112803019836",
        "method": "alipay.trade.app.pay",
        "format": "json",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": "2026-01-15 10:20:30",
        "version": "1.0",
        "notify_url": NOTIFY_URL,
    }


def test_a_freeze() -> None:
    parsed = made(Kind.PREAUTH)
    assert parsed.params["method"] == "alipay.fund.auth.order.app.freeze"
    assert parsed.biz_content == {
        "out_order_no": "o1",
        "out_request_no": "o1__F1",
        "order_title": "充电 50% off & more",
        "amount": "500.00",
        "product_code": "PRE_AUTH_ONLINE",
        "pay_timeout": "15m",
        "payee_user_id": "2088202224929664",
    }


def test_a_long_subject_is_cut_to_what_a_freeze_may_be_called() -> None:
    assert made(Kind.PREAUTH, subject="充" * 256).biz_content["order_title"] == "充" * 100


def test_it_is_the_same_bytes_always() -> None:
    assert MALL.order_string(order()) == adapter().order_string(order(version=7, queries=3))


def test_gbk_and_certificates_and_another_currency() -> None:
    other = adapter(charset="GBK", app_cert_sn="a1", alipay_root_cert_sn="b2", seller_id=None)
    parsed = parse_order_string(other.order_string(order(Kind.PREAUTH, currency="HKD")))
    assert verify_order_string(parsed, public_key("app_rsa2048"), SignType.RSA2)
    assert (parsed.params["app_cert_sn"], parsed.params["alipay_root_cert_sn"]) == ("a1", "b2")
    assert parsed.biz_content is not None
    assert parsed.biz_content["trans_currency"] == "HKD"
    assert "payee_user_id" not in parsed.biz_content


@pytest.mark.parametrize(("asked", "window"), [(5, 60), (60, 60), (61, 120), (900, 900), (1_296_000, 1_296_000)])
def test_the_wallet_counts_a_freeze_in_minutes(asked: int, window: int) -> None:
    assert MALL.pay_window_s(Kind.PAYMENT, asked) == asked
    assert MALL.pay_window_s(Kind.PREAUTH, asked) == window
    assert made(Kind.PREAUTH, pay_window_s=window).biz_content["pay_timeout"] == f"{window // 60}m"


REFUSED = [
    (Kind.PAYMENT, {"amount_minor": 0}, "amount"),
    (Kind.PAYMENT, {"amount_minor": 10_000_000_001}, "amount"),
    (Kind.PAYMENT, {"currency": "JPY"}, "currency"),
    (Kind.PAYMENT, {"currency": "KWD"}, "currency"),
    (Kind.PAYMENT, {"subject": ""}, "subject"),
    (Kind.PAYMENT, {"subject": " \t"}, "subject"),
    (Kind.PAYMENT, {"subject": "a\nb"}, "subject"),
    (Kind.PAYMENT, {"subject": "x" * 257}, "subject"),
    (Kind.PAYMENT, {"subject": "\ud800"}, "subject"),
    (Kind.PAYMENT, {"subject": "a&trade_status=TRADE_SUCCESS"}, "subject"),
    (Kind.PREAUTH, {"subject": " " * 100 + "x"}, "order_title"),
    (Kind.PAYMENT, {"pay_window_s": 1_296_001}, "pay_timeout_s"),
    (Kind.PAYMENT, {"pay_window_s": 0}, "pay_timeout_s"),
    (Kind.PAYMENT, {"issued_at": None}, "issued"),
]


@pytest.mark.parametrize(("kind", "fields", "named"), REFUSED)
def test_terms_that_the_wallet_would_refuse(kind: Kind, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(BuilderRefusedError, match=named):
        MALL.order_string(order(kind, **fields))


def created(**fields: Any) -> OrderCreated:
    given = OrderCreated(
        "e1",
        NOW,
        "o1",
        Kind.PREAUTH,
        "mall",
        "CNY",
        100,
        "充电",
        900,
        900,
        86_400,
        LatePayment.REFUND,
        True,
        {},
    )
    return replace(given, **fields)


def test_terms_are_checked_before_an_order_is_taken() -> None:
    MALL.check_terms(created())
    MALL.check_terms(created(kind=Kind.PAYMENT))
    MALL.check_terms(created(subject="x" * 256))
    for bad in ({"currency": "JPY"}, {"amount_minor": 10**11}):
        with pytest.raises(BuilderRefusedError):
            MALL.check_terms(created(**bad))
    with pytest.raises(BuilderRefusedError, match="GBK cannot hold U"):
        adapter(charset="GBK").check_terms(created(subject="emoji 😀"))


PAY = {"out_trade_no": "o1", "total_amount": "1.00", "subject": "s"}
FREEZE = {
    "out_order_no": "o1", "out_request_no": "r", "order_title": "t", "amount": "1",
    "product_code": "PRE_AUTH_ONLINE",
}  # fmt: skip
BAD_BIZ = [
    (APP_PAY, PAY | {"total_amount": 1.5}, "float"),
    (APP_PAY, PAY | {"total_amount": 1}, "string"),
    (APP_PAY, PAY | {"total_amount": True}, "string"),
    (APP_PAY, PAY | {"total_amount": "1.001"}, "total_amount"),
    (APP_PAY, PAY | {"total_amount": "1.000"}, "total_amount"),
    (APP_PAY, PAY | {"total_amount": "-1"}, "total_amount"),
    (APP_PAY, PAY | {"total_amount": "1e3"}, "total_amount"),
    (APP_PAY, PAY | {"total_amount": "\u0661"}, "total_amount"),
    (APP_PAY, PAY | {"total_amount": "0.00"}, "total_amount"),
    (APP_PAY, PAY | {"total_amount": "100000000.01"}, "total_amount"),
    (APP_PAY, PAY | {"total_amount": ""}, "total_amount: is required"),
    (APP_PAY, PAY | {"out_trade_no": "a-b"}, "out_trade_no"),
    (APP_PAY, PAY | {"out_trade_no": "a" * 65}, "out_trade_no"),
    (APP_PAY, PAY | {"timeout_express": "0m"}, "timeout_express"),
    (APP_PAY, PAY | {"timeout_express": "16d"}, "timeout_express"),
    (APP_PAY, PAY | {"timeout_express": "1.5h"}, "timeout_express"),
    (APP_PAY, PAY | {"timeout_express": "90s"}, "timeout_express"),
    (APP_PAY, PAY | {"time_expire": "2026-01-15T10:00:00Z"}, "time_expire"),
    (APP_PAY, PAY | {"time_expire": "2026-02-30 10:00:00"}, "time_expire"),
    (APP_PAY, PAY | {"goods_detail": [{"price": 0.1}]}, "float"),
    (APP_PAY, PAY | {"extend_params": {"a": object()}}, "no JSON value"),
    (APP_PAY, PAY | {"body": "x" * 20_000}, "longer"),
    (APP_FREEZE, FREEZE | {"pay_timeout": "1c"}, "pay_timeout"),
    (APP_FREEZE, FREEZE | {"product_code": None}, "product_code: is required"),
    (APP_FREEZE, FREEZE | {"product_code": "PRE_AUTH"}, "product_code: should be PRE_AUTH_ONLINE"),
    (APP_PAY, PAY | {"product_code": "PRE_AUTH_ONLINE"}, "product_code: should be QUICK_MSECURITY_PAY"),
    (APP_PAY, PAY | {"goods_detail": [None]}, "goods_detail: is no JSON value"),
    (UNFREEZE, {"auth_no": "a", "out_request_no": "r", "amount": "1"}, "remark: is required"),
    (TRADE_PAY, PAY | {"auth_no": "a"}, "product_code: should be PRE_AUTH_ONLINE"),
    (TRADE_PAY, PAY | {"auth_confirm_mode": "YES"}, "auth_confirm_mode: should be COMPLETE or NOT_COMPLETE"),
    (TRADE_QUERY, {}, "out_trade_no or trade_no: is required"),
    (CANCEL, {"auth_no": "a"}, "operation_id or out_request_no: is required"),
    (REFUND_QUERY, {"out_trade_no": "o1"}, "out_request_no: is required"),
]


@pytest.mark.parametrize(("method", "biz", "told"), BAD_BIZ)
def test_business_content_that_a_wallet_would_refuse(method: str, biz: dict[str, Any], told: str) -> None:
    with pytest.raises(BuilderRefusedError, match=told):
        biz_content(method, biz, "utf-8")


def test_business_content_leaves_out_what_is_empty() -> None:
    more = {
        "body": "",
        "goods_type": None,
        "timeout_express": "1c",
        "goods_detail": [{"quantity": 1}],
        "x": True,
        "extend_params": {"sys_service_provider_id": "", "hb_fq_num": None, "food": "y"},
    }
    assert biz_content(APP_PAY, PAY | more, "GBK") == (
        '{"out_trade_no":"o1","total_amount":"1.00","subject":"s","timeout_express":"1c",'
        '"goods_detail":[{"quantity":1}],"x":true,"extend_params":{"food":"y"}}'
    )


@given(
    subject=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=100),
    amount_minor=st.integers(1, 10_000_000_000),
    kind=st.sampled_from(Kind),
)
def test_whatever_is_built_reads_back(subject: str, amount_minor: int, kind: Kind) -> None:
    try:
        text = MALL.order_string(order(kind, subject=subject, amount_minor=amount_minor))
    except BuilderRefusedError:
        assert not subject.strip() or "&" in subject
        return
    parsed = parse_order_string(text)
    assert text.isascii()
    assert verify_order_string(parsed, public_key("app_rsa2048"), SignType.RSA2)
    assert parsed.biz_content is not None
    assert subject in parsed.biz_content.values()
    assert f"{amount_minor // 100}.{amount_minor % 100:02d}" in parsed.biz_content.values()


@given(st.text(st.characters() | st.sampled_from("&=%+×¬¤脳;" + string.ascii_lowercase), max_size=200))
def test_reading_never_raises(text: str) -> None:
    assert not parse_order_string(text).is_whole


@pytest.mark.parametrize(
    "text", ["", "x" * 70_000, "a=1&" * 500, "&&&", "charset=latin-1&a=%ff", "biz_content=[]&a=1"]
)
def test_what_is_no_order_string(text: str) -> None:
    parsed = parse_order_string(text)
    assert parsed.missing
    assert parsed.problems
    assert not verify_order_string(parsed, public_key("app_rsa2048"), SignType.RSA2)


def test_a_changed_order_string_does_not_verify() -> None:
    text = MALL.order_string(order())
    key = public_key("app_rsa2048")
    for changed in (
        text.replace("500.00", "5.00"),
        text + "&x=1",
        text.replace("sign_type=RSA2", "sign_type=RSA"),
    ):
        assert not verify_order_string(parse_order_string(changed), key, SignType.RSA2)
    assert parse_order_string(text + "&app_id=x").problems == ("app_id is repeated",)


def test_escaped_ampersands_are_damage_too() -> None:
    text = MALL.order_string(order())
    parsed = parse_order_string(text.replace("&", "&amp;"))
    assert "timestamp" in parsed.damage
    assert parsed.repaired == text


def test_times_are_beijings() -> None:
    assert wallet_time(NOW + timedelta(hours=16)) == "2026-01-16 02:20:30"
    assert parse_wallet_time("2026-01-15 10:20:30") == NOW
    assert parse_wallet_time("2026-01-15 10:20:30.123") == NOW
    for text in ("", "0001-01-01 00:00:00", "2026-13-01 00:00:00", "2026-01-15 10:20:30x", "yesterday"):
        assert parse_wallet_time(text) is None


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
def test_times_are_beijings_whatever_the_zone_of_the_host(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = MALL.order_string(order())
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert wallet_time(NOW) == "2026-01-15 10:20:30"
        assert parse_wallet_time("2026-01-15 10:20:30") == NOW
        assert MALL.order_string(order()) == here
    finally:
        monkeypatch.undo()
        time.tzset()
