"""The commands that sign and verify callbacks, answers and calls; and how every command ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.wallets import workbench
from tests.wallets.commands import run, wallet, written
from tests.wallets.orders import answered, called_back, freeze_callback, trade_callback
from tests.wallets.test_commands_order_strings import AT, PAY, order_str
from tests.wallets.vectors import named


@given(raw=st.binary(max_size=120))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_at_all_make_a_command_crash(config: str, raw: bytes) -> None:
    for command in (
        ("parse-order-string",),
        ("verify-callback",),
        ("verify-response", "--method", "alipay.trade.query"),
    ):
        ended = wallet(config, *command, stdin=raw)
        assert (ended.code, ended.document["ok"]) == (1, False)
    for command in (("order-string",), ("sign-callback",), ("sign-request", "--method", "alipay.trade.query")):
        assert wallet(config, *command, stdin=raw).code in (1, 2)


# ---------------------------------------------------------------------------------------- callbacks and answers


def test_a_callback_that_a_wallet_signed_is_believed(config: str) -> None:
    for fields, trade in ((trade_callback(), "paid"), (freeze_callback(order_title="充电"), "frozen")):
        signed = wallet(config, "sign-callback", stdin=fields, profile="wallet").document
        assert signed["headers"] == {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        ended = wallet(config, "verify-callback", "--at", AT, stdin=signed["body"] + "\n")
        found = ended.document
        assert (ended.code, found["ok"], found["reason"]) == (0, True, "genuine")
        fact = found["fact"]
        assert (fact["order_id"], fact["trade"], fact["order_amount_minor"]) == ("o1", trade, 50_000)
        assert (fact["source"], fact["total_refunded_minor"]) == ("callback", None)
        assert wallet(config, "verify-callback", stdin=signed["body"].replace("500.00", "1.00")).code == 1
    as_text = run("wallet", "sign-callback", "--profile", "wallet", "--config", config, stdin=trade_callback())
    assert (
        "ok: genuine\n"
        in run("wallet", "verify-callback", "--profile=mall", "--config", config, stdin=as_text.out).out
    )


def test_a_callback_needs_only_what_it_says(config: str) -> None:
    fields = {"notify_type": "trade_status_sync", "out_trade_no": "o1", "trade_status": "TRADE_SUCCESS"}
    signed = wallet(config, "sign-callback", stdin=fields | {"total_amount": "1.00"}, profile="wallet").document
    again = wallet(config, "sign-callback", stdin=fields | {"total_amount": "1.00"}, profile="wallet").document
    assert signed == again
    assert wallet(config, "verify-callback", stdin=signed["body"]).document["fact"]["total_taken_minor"] == 100


def test_a_genuine_callback_of_no_order_is_ok_and_has_no_fact(config: str) -> None:
    for fields in (trade_callback(notify_type="open_app_auth_notify"), trade_callback(out_trade_no="shop-7")):
        ended = wallet(config, "verify-callback", stdin=called_back(fields).body)
        found = ended.document
        assert (ended.code, found["ok"], found["fact"]) == (0, True, None)
        assert "nothing of an order" in found["reason"]


def test_a_wallets_key_counts_at_the_time_of_arrival(tmp_path: Path) -> None:
    config = str(written(tmp_path / "p.toml"))
    with Path(config).open("a", encoding="utf-8") as file:
        file.write("not_after = 2026-02-01T00:00:00Z\n")
    body = called_back(trade_callback()).body
    assert wallet(config, "verify-callback", "--at", AT, stdin=body).code == 0
    late = wallet(config, "verify-callback", "--at", "2026-02-01T00:00:00Z", stdin=body)
    assert (late.code, late.document["ok"]) == (1, False)
    assert "no key" in late.document["reason"]
    answer = answered("alipay.trade.query", {"code": "10000", "trade_status": "TRADE_SUCCESS"}).body
    command = ("verify-response", "--method", "alipay.trade.query", "--at")
    assert wallet(config, *command, AT, stdin=answer).code == 0
    assert wallet(config, *command, "2027-02-01T00:00:00Z", stdin=answer).code == 1


FIELDS_REFUSED = [
    ({"out_trade_no": 7}, "out_trade_no: should be a string"),
    ({"a&b": "1"}, "name=value"),
    ({"subject": "😀"}, "GBK cannot hold U+1F600"),
    ({f"k{n}": "v" for n in range(200)}, "more than 128 parameters"),
]


@pytest.mark.parametrize(("fields", "told"), FIELDS_REFUSED)
def test_fields_of_which_no_callback_can_be_made(config: str, fields: dict[str, Any], told: str) -> None:
    ended = wallet(config, "sign-callback", stdin=fields, profile="gbk")
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err


@pytest.mark.parametrize(
    ("node", "outcome", "code"),
    [
        ({"code": "10000", "msg": "Success", "trade_status": "TRADE_SUCCESS"}, "succeeded", "10000"),
        ({"code": "10000", "msg": "Success", "trade_status": "WAIT_BUYER_PAY"}, "pending", "10000"),
        ({"code": "10000", "msg": "Success", "trade_status": "TRADE_CLOSED"}, "rejected", "10000"),
        ({"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST"}, "pending", "ACQ.TRADE_NOT_EXIST"),
        ({"code": "20000", "sub_code": "aop.unknow-error"}, "unknown", "aop.unknow-error"),
        ({"code": "40005", "sub_code": "isv.app-call-limited"}, "pending", "isv.app-call-limited"),
    ],
)
def test_a_genuine_answer_is_ok_whatever_it_says(
    config: str, node: dict[str, str], outcome: str, code: str
) -> None:
    ended = wallet(
        config, "verify-response", "--method", "alipay.trade.query", stdin=answered("alipay.trade.query", node).body
    )
    found = ended.document
    assert (ended.code, found["ok"], found["outcome"], found["code"]) == (0, True, outcome, code)
    assert found["body"] == node


def test_an_answer_that_is_not_believed_claims_a_code_and_says_nothing(config: str) -> None:
    vector = named("G08")
    ended = wallet(config, "verify-response", "--method", "alipay.trade.query", stdin=vector["body"])
    assert ended.code == 1
    assert ended.document == {
        "ok": False,
        "reason": "not believed: unsigned",
        "outcome": vector["outcome"],
        "code": "aop.unknow-error",
        "body": None,
    }


# --------------------------------------------------------------------------------------------------- for people


def test_the_answers_are_for_people_too(config: str) -> None:
    where = ("--profile", "mall", "--config", config)
    sample = run("wallet", "parse-order-string", stdin=named("S01")["order_str"])
    assert sample.code == 1
    assert "biz_content.order_title = 支付宝预授权" in sample.out
    assert "- &timestamp was turned into ×tamp" in sample.out
    assert sample.out.endswith("NO: do not use it\n")
    good = run("wallet", "parse-order-string", *where, stdin=order_str(config))
    assert good.out.endswith("signature: verified\nok\n")
    fact = run("wallet", "verify-callback", *where, stdin=called_back(trade_callback()).body)
    assert "total_taken_minor = 50000\n" in fact.out
    assert "total_refunded_minor" not in fact.out
    assert run("wallet", "verify-callback", *where, stdin="x=1").out.startswith("NO: it is not signed")
    answer = answered("alipay.trade.query", {"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR", "sub_msg": "busy"})
    told = run("wallet", "verify-response", "--method", "alipay.trade.query", *where, stdin=answer.body)
    assert told.out.startswith("ok: genuine: busy\noutcome: unknown (ACQ.SYSTEM_ERROR)\n")
    request = run("wallet", "sign-request", "--method", "alipay.trade.close", *where, stdin={"trade_no": "t"})
    assert request.out.startswith("POST https://openapi.alipay.com/gateway.do?timestamp=")
    assert request.out.endswith("\n\nbiz_content=%7B%22trade_no%22%3A%22t%22%7D\n")


WRONG_USAGE: list[tuple[tuple[str, ...], bytes, str]] = [
    (("order-string",), b"", "--profile"),
    (("order-string", "--profile", "nobody"), b"{}", "no profile is named 'nobody'; there is certified, gbk, mall"),
    (("order-string", "--profile", "mall", "--timestamp", "2026-01-15 10:20:30"), b"{}", "not an RFC 3339 time"),
    (("order-string", "--profile", "mall", "--timestamp", "1768443630"), b"{}", "not an RFC 3339 time"),
    (("order-string", "--profile", "mall"), b"", "should be the biz_content object: not JSON"),
    (("order-string", "--profile", "mall"), b"[]", "not a JSON object but an array"),
    (("order-string", "--profile", "mall"), b'{"a":"1","a":"2"}', "the key 'a' is repeated"),
    (("order-string", "--profile", "mall"), b"x" * 1_100_000, "has more than 1048576 bytes"),
    (("sign-callback", "--profile", "mall"), b"7", "should be the fields object"),
    (("sign-request", "--profile", "mall"), b"{}", "--method"),
    (("verify-response", "--profile", "mall"), b"{}", "--method"),
    (("verify-callback", "--profile", "mall", "--at", "now"), b"", "not an RFC 3339 time"),
    (("verify-callback", "--profile", "mall", "--headers", "/nowhere.json"), b"", "cannot read"),
    (("parse-order-string", "--profile", "nobody"), b"", "no profile"),
    (("parse-order-string", "--sideways"), b"", "--sideways"),
]


@pytest.mark.parametrize(("arguments", "stdin", "told"), WRONG_USAGE)
def test_wrong_usage_ends_with_2_and_one_line(
    config: str, arguments: tuple[str, ...], stdin: bytes, told: str
) -> None:
    ended = run("wallet", *arguments, "--config", config, "--output=json", stdin=stdin)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_headers_are_an_object_of_strings(config: str, tmp_path: Path) -> None:
    file = tmp_path / "headers.json"
    for text, told in (("[]", "not a JSON object"), ('{"a":1}', "every header should be a string")):
        file.write_text(text, "utf-8")
        ended = wallet(config, "verify-callback", "--headers", str(file))
        assert ended.code == 2
        assert told in ended.err
    assert "there is none: name a file" in run("wallet", "sign-callback", "--profile", "mall").err


def test_a_dialect_that_cannot_be_used_by_hand_is_said(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(workbench.BY_HAND, "alipay")
    ended = wallet(config, "sign-callback", stdin={})
    assert ended.code == 2
    assert "can be used by hand" in ended.err


def test_what_is_printed_for_scripts_is_one_document(config: str) -> None:
    out = wallet(config, "order-string", "--timestamp", AT, stdin=PAY).out
    assert out.count("\n") == 1
    assert sorted(json.loads(out)) == ["base_string", "order_str", "sign"]
