"""The commands that make and read order strings: what they print, what they refuse, and how they end."""

import html
import time
from collections.abc import Callable
from html.entities import html5
from itertools import product
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote_plus

import pytest

from service.wallets.alipay.by_hand import examine_order_string
from service.wallets.html_damage import repair
from tests.wallets.commands import run, wallet
from tests.wallets.vectors import named

AT = "2026-01-15T10:20:30+08:00"
PAY = {"out_trade_no": "o1", "total_amount": "500.00", "subject": "充电 50% off"}
FREEZE = {
    "out_order_no": "o1", "out_request_no": "o1__F1", "order_title": "充电", "amount": "500.00",
    "product_code": "PRE_AUTH_ONLINE", "pay_timeout": "2d",
}  # fmt: skip


def order_str(config: str, biz: dict[str, str] = PAY, **more: str) -> str:
    return str(wallet(config, "order-string", "--timestamp", AT, stdin=biz, **more).document["order_str"])


# ------------------------------------------------------------------------------------------------ order strings


def test_an_order_string_is_made_and_read_back(config: str) -> None:
    for biz, method in ((PAY, "alipay.trade.app.pay"), (FREEZE, "alipay.fund.auth.order.app.freeze")):
        made = wallet(config, "order-string", "--timestamp", AT, stdin=biz).document
        ended = wallet(config, "parse-order-string", stdin=made["order_str"])
        found = ended.document
        assert (ended.code, found["ok"], found["signature"]) == (0, True, "verified")
        assert found["biz_content"] == biz
        assert found["params"]["method"] == method
        assert found["params"]["timestamp"] == "2026-01-15 10:20:30"
        assert made["base_string"].startswith("app_id=2018112803019836&biz_content={")


def test_the_same_moment_in_any_zone_gives_the_same_bytes(config: str) -> None:
    times = (AT, "2026-01-15T02:20:30Z", "2026-01-14T21:20:30.999-05:00")
    assert len({wallet(config, "order-string", "--timestamp", at, stdin=PAY).out for at in times}) == 1


def test_without_a_time_it_is_now(config: str) -> None:
    made = wallet(config, "order-string", stdin=PAY).document
    assert wallet(config, "parse-order-string", stdin=made["order_str"]).code == 0


def test_certificate_mode_and_a_granted_app_are_parameters(config: str) -> None:
    params = dict(parse_qsl(order_str(config, profile="certified")))
    assert (params["app_cert_sn"], params["alipay_root_cert_sn"]) == ("c1", "r1_r2")
    assert params["app_auth_token"] == "granted"
    assert (
        wallet(config, "parse-order-string", profile="certified", stdin=order_str(config, profile="certified")).code
        == 0
    )
    made = wallet(
        config, "sign-request", "--method", "alipay.trade.query", profile="certified", stdin={"trade_no": "t"}
    )
    assert parse_qs(made.document["query"])["app_auth_token"] == ["granted"]
    assert "granted" not in run("config", "show", "--config", config).out


REFUSED = [
    ('{"out_trade_no":"o1","total_amount":1.5,"subject":"s"}', (), "total_amount: a float is not exact"),
    ('{"out_trade_no":"o1","total_amount":1,"subject":"s"}', (), "total_amount: should be a string"),
    (PAY | {"total_amount": "1.005"}, (), "total_amount"),
    (PAY | {"total_amount": "0.00"}, (), "total_amount"),
    (PAY | {"total_amount": "100000000.01"}, (), "total_amount"),
    (PAY | {"timeout_express": "16d"}, (), "timeout_express"),
    (PAY | {"time_expire": "2026-01-15 10:20:30"}, (), "time_expire: 2026-01-15 10:20:30 is over"),
    (PAY | {"subject": ""}, (), "subject: is required"),
    (FREEZE | {"pay_timeout": "1c"}, (), "pay_timeout"),
    (FREEZE | {"extra_param": {"category": "CHARGE_PILE_CAR"}}, (), "extra_param: should be a string"),
    (PAY | {"passback_params": ["a"]}, (), "passback_params: should be a string"),
    (PAY | {"discountable_amount": 5}, (), "discountable_amount: should be a string"),
    (PAY | {"discountable_amount": "1.555"}, (), "discountable_amount: 1.555 is not an amount"),
    (PAY | {"goods_detail": [{"price": "1e2"}]}, (), "goods_detail.price: 1e2 is not an amount"),
    (PAY | {"time_expire": "2026-01-15 10:40:30.5"}, (), "time_expire: should be yyyy-MM-dd HH:mm:ss"),
    (PAY | {"subject": "a&trade_status=TRADE_SUCCESS"}, (), "subject: has a field's name"),
    (PAY, ("--method", "alipay.trade.refund"), "is called by a server"),
    (PAY, ("--method", "alipay trade"), "method: should be"),
]


@pytest.mark.parametrize(("biz", "more", "told"), REFUSED)
def test_what_a_wallet_would_refuse_is_refused(config: str, biz: Any, more: tuple[str, ...], told: str) -> None:
    ended = wallet(config, "order-string", "--timestamp", AT, *more, stdin=biz)
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_what_only_looks_like_a_field_is_signed(config: str) -> None:
    biz = PAY | {
        "subject": "AT&T=1",
        "passback_params": "merchantBizType=3C&no=2016",
        "quit_url": "https://m/?a=1&b=",
    }
    found = wallet(config, "parse-order-string", stdin=order_str(config, biz)).document
    assert (found["ok"], found["biz_content"]) == (True, biz)


def test_what_says_nothing_is_left_out(config: str) -> None:
    biz = PAY | {"extend_params": {}, "goods_detail": [], "body": "", "promo": {"a": {}, "b": "c"}}
    found = wallet(config, "parse-order-string", stdin=order_str(config, biz)).document
    assert found["biz_content"] == PAY | {"promo": {"b": "c"}}


def test_a_character_that_the_charset_cannot_hold_is_refused(config: str) -> None:
    ended = wallet(config, "order-string", stdin=PAY | {"subject": "emoji 😀"}, profile="gbk")
    assert (ended.code, ended.out) == (1, "")
    assert "GBK cannot hold U+1F600" in ended.err
    named = wallet(config, "order-string", stdin=PAY | {"extend_params": {"😀": "x"}}, profile="gbk")
    assert (named.code, "extend_params: GBK cannot hold U+1F600" in named.err) == (1, True)


# ------------------------------------------------------------------------------------------------------- damage


def test_an_order_string_that_went_through_html_is_told_from_a_wrong_key(config: str) -> None:
    whole = order_str(config)
    through_html = html.unescape(whole)
    assert "×tamp" in through_html
    assert "¬ify_url" in through_html
    for raw in (
        through_html.encode(), through_html.encode("latin-1"), through_html.encode("utf-16"),
        through_html.encode("utf-8-sig"), through_html.encode().decode("cp1252").encode(),
    ):  # fmt: skip
        ended = wallet(config, "parse-order-string", stdin=raw)
        found = ended.document
        assert (ended.code, found["ok"], found["signature"]) == (1, False, "not verifiable"), raw
        assert found["damage"] == ["notify_url", "timestamp"]
        assert all("this orderStr has been through an HTML page" in problem for problem in found["problems"][:2])
        assert found["repaired"] == whole
        assert found["problems"][2].startswith("its signature verifies once that is undone")
    # GBK has a × and no ¬.
    in_gbk = wallet(config, "parse-order-string", stdin=through_html.encode("gbk", "ignore")).document
    assert "timestamp" in in_gbk["damage"]
    escaped = wallet(config, "parse-order-string", stdin=html.escape(whole)).document
    assert "timestamp" in escaped["damage"]
    assert "&app_id was turned into" not in escaped["problems"][0]
    assert "was turned into &amp;" in escaped["problems"][0]


@pytest.mark.parametrize("amp", ["&amp;", "&amp;amp;", "&#38;", "&#x26;"])
def test_every_spelling_of_an_escaped_ampersand_is_undone(config: str, amp: str) -> None:
    whole = order_str(config)
    found = wallet(config, "parse-order-string", stdin=whole.replace("&", amp)).document
    assert found["repaired"] == whole
    assert found["problems"][-1].startswith("its signature verifies once that is undone")


@pytest.mark.parametrize(
    "lost", ["×", "&times;", "&#215;", "&#xD7;", "%C3%97", "%c3%97", "%D7", "%A1%C1", "\\u00d7", "脳", "Ã—"]
)
def test_what_html_made_of_a_parameter_is_seen_however_it_was_written_since(config: str, lost: str) -> None:
    whole = order_str(config)
    ended = wallet(config, "parse-order-string", stdin=whole.replace("&times", lost))
    found = ended.document
    assert (ended.code, found["damage"], found["repaired"]) == (1, ["timestamp"], whole)


def test_every_entity_that_needs_no_semicolon_is_seen() -> None:
    # What begins with `amp` keeps its ampersand, and loses its name: nobody can tell.
    names = sorted({name for name in html5 if not name.endswith(";") and name.lower() != "amp"})
    assert len(names) > 100
    for name, rest in product(names, ("", "1", "_id", "-a.b")):
        text = f"a=1&{name}{rest}=2&b=3"
        repaired, damages = repair(html.unescape(text))
        # Of two entities that are one character nobody can tell which it was.
        assert (repaired.lower(), len(damages)) == (text.lower(), 1)


def test_json_that_was_never_encoded_hides_no_parameter(config: str) -> None:
    text = 'biz_content={"subject":"5×a=b"}&charset=utf-8&sign_type=RSA2×tamp=1'
    found = wallet(config, "parse-order-string", profile=None, stdin=text).document
    assert (found["damage"], found["biz_content"]) == (["timestamp"], {"subject": "5×a=b"})


@pytest.mark.parametrize("cut", [1, 3, 6, 100])
def test_an_order_string_whose_end_was_cut_off_is_told_without_a_key(config: str, cut: int) -> None:
    pairs = sorted(order_str(config).split("&"), key=lambda pair: pair.startswith("sign="))
    ended = wallet(config, "parse-order-string", profile=None, stdin="&".join(pairs)[:-cut])
    found = ended.document
    assert (ended.code, found["ok"], found["signature"]) == (1, False, "not verifiable")
    assert [problem for problem in found["problems"] if "cut off" in problem]
    assert wallet(config, "parse-order-string", profile=None, stdin="&".join(pairs)).code == 0


@pytest.mark.parametrize(
    ("wrap", "told"),
    [
        (quote_plus, "decode it once"),
        (lambda text: quote_plus(quote_plus(text)), "decode it twice"),
        (lambda text: text.replace("&", "\\u0026").replace("=", "\\u003d"), "read the JSON first"),
        (lambda text: f"?{text}", "something stands before it"),
        (lambda text: f"orderStr={text}", "something stands before it"),
        (lambda text: text.replace("&", ";"), "joined with ;"),
    ],
)
def test_what_an_order_string_is_wrapped_in_is_said(config: str, wrap: Callable[[str], str], told: str) -> None:
    ended = wallet(config, "parse-order-string", stdin=wrap(order_str(config)))
    assert (ended.code, told in ended.document["problems"][0]) == (1, True)


def test_an_apostrophe_does_not_end_an_order_string_in_other_quotes(config: str) -> None:
    text = order_str(config, PAY | {"subject": "it's"}).replace("%27", "'").replace("+", " ")
    for quoted in (f'orderStr: "{text}",', f"orderStr: `{text}`"):
        found = wallet(config, "parse-order-string", stdin=quoted).document
        assert found["signature"] == "verified", found["problems"]


def test_an_order_string_is_found_in_the_program_that_uses_it(config: str) -> None:
    call = f"""my.tradePay({{
  orderStr: '{named("S01")["order_str"]}',
  success: function(res) {{ my.alert({{ content: JSON.stringify(res) }}); }},
}});"""
    found = wallet(config, "parse-order-string", profile=None, stdin=call).document
    assert (found["damage"], found["missing"]) == (["timestamp"], ["method"])
    assert found["params"] == named("S01")["params"]
    printed = wallet(config, "order-string", stdin=PAY).out
    assert wallet(config, "parse-order-string", stdin=printed).document["signature"] == "verified"


def test_the_currency_of_old_is_seen_too(config: str) -> None:
    found = wallet(config, "parse-order-string", profile=None, stdin="app_id=1¤cy=CNY").document
    assert found["damage"] == ["currency"]
    assert "&currency was turned into ¤cy" in found["problems"][0]


def test_json_that_was_never_encoded_is_no_damage(config: str) -> None:
    found = wallet(config, "parse-order-string", profile=None, stdin='app_id=1&biz_content={"a":"b=c"}').document
    assert found["damage"] == []
    assert found["biz_content"] == {"a": "b=c"}


def test_gbk_that_was_never_encoded_is_read_and_told(config: str) -> None:
    raw = 'app_id=1&biz_content={"subject":"充电"}&charset=GBK'.encode("gbk")
    found = wallet(config, "parse-order-string", profile=None, stdin=raw).document
    assert found["biz_content"] == {"subject": "充电"}
    assert any("not ASCII" in problem for problem in found["problems"])


@pytest.mark.parametrize(
    ("change", "signature", "told"),
    [
        (("500.00", "1.00"), "not verified", "another key signed it, or it was changed after"),
        (
            ("app_id=2018112803019836", "app_id=2018112803019837"),
            "not verified",
            "it is of the app 2018112803019837",
        ),
        (("sign_type=RSA2", "sign_type=RSA"), "not verified", "its sign_type is RSA, the profile's RSA2"),
        (("sign=", "sign=AAAA"), "not verified", "sign has 259 bytes, as no RSA signature has"),
        (("&biz_content=", "&biz_content=%7B%22a%22%3A1%2C%22a%22%3A2%7D&x="), "not verifiable", "the key 'a' is"),
        (("&method=alipay.trade.app.pay", ""), "not verifiable", "method is missing"),
        (("charset=utf-8", "charset=utf-7"), "not verifiable", "charset 'utf-7' is not one of"),
        (("&format=json", "&format=json&format=json"), "not verifiable", "format is repeated"),
    ],
)
def test_what_is_wrong_with_a_signature_is_said(
    config: str, change: tuple[str, str], signature: str, told: str
) -> None:
    ended = wallet(config, "parse-order-string", stdin=order_str(config).replace(*change))
    found = ended.document
    assert (ended.code, found["ok"], found["signature"]) == (1, False, signature)
    assert any(told in problem for problem in found["problems"])


def test_without_a_signature_or_anything_at_all(config: str) -> None:
    unsigned = "&".join(pair for pair in order_str(config).split("&") if not pair.startswith("sign="))
    found = wallet(config, "parse-order-string", stdin=unsigned).document
    assert (found["signature"], found["missing"]) == ("not verifiable", ["sign"])
    assert any("nobody has signed it" in problem for problem in found["problems"])
    for raw in (b"", b"\0", b"\xff\xfe\xd8", b"&", b"x" * 70_000, b"\x80" * 300):
        ended = wallet(config, "parse-order-string", stdin=raw)
        assert ended.code == 1
        assert ended.document["ok"] is False


def test_a_plus_that_was_not_encoded_is_forgiven(config: str) -> None:
    text = order_str(config).replace("%2B", "+")
    assert wallet(config, "parse-order-string", stdin=text).document["signature"] == "verified"


@pytest.mark.parametrize("unit", ["&", "'a=&", "'", "×", "&amp;", "Ã", "×" + "a" * 40, "\xff"])
def test_no_text_takes_long_to_read(unit: str) -> None:
    raw = b"'a=" + (unit * (1_000_000 // len(unit.encode()))).encode("latin-1" if unit == "\xff" else "utf-8")
    began = time.thread_time()
    assert not examine_order_string(raw, None).ok
    assert time.thread_time() - began < 3
