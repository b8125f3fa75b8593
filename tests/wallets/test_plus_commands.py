"""`paystate wallet …` in the dialect `alipay_plus`: its vectors, and what a developer is told."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.vocabulary import Outcome
from service.wallets.alipay_plus.answer_outcome import outcome_of
from service.wallets.alipay_plus.headers import signed_headers
from tests.wallets import plus
from tests.wallets.commands import Ended, run, wallet
from tests.wallets.plus import CLIENT_ID, GATEWAY, NOTIFY_URL
from tests.wallets.vectors import KEYS, NOW, Vector, named, of_kind, private_key

AT = NOW.isoformat()
PAY: dict[str, Any] = {
    "paymentRequestId": "o1",
    "paymentAmount": plus.amount(),
    "order": {"referenceOrderId": "o1", "orderDescription": "充电 50% off & more"},
    "paymentExpiryTime": "2026-01-15T03:00:00Z",
}
CAPTURE = {"captureRequestId": "o1__C1", "paymentId": "p1", "captureAmount": plus.amount("12000")}

TABLE = """
[profiles.{name}]
dialect = "alipay_plus"
client_id = "{client_id}"
gateway_url = "{gateway}"
notify_url = "{notify_url}"
private_key_file = "{keys}/{private_key}.pkcs8.pem"
[[profiles.{name}.wallet_keys]]
public_key_file = "{keys}/{wallet_key}.pub.pem"
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A merchant `mall`, its wallet, and another client of that wallet."""
    file = tmp_path_factory.mktemp("config") / "paystate.toml"
    given = {"gateway": GATEWAY, "notify_url": NOTIFY_URL, "keys": KEYS}
    app, theirs = "app_rsa2048", "wallet_rsa2048"
    tables = (
        {"name": "mall", "client_id": CLIENT_ID, "private_key": app, "wallet_key": theirs},
        {"name": "wallet", "client_id": CLIENT_ID, "private_key": theirs, "wallet_key": app},
        {"name": "other", "client_id": "SANDBOX_OTHER", "private_key": app, "wallet_key": theirs},
    )
    file.write_text("".join(TABLE.format(**given, **table) for table in tables), "utf-8")
    return str(file)


def headers_in(folder: Path, headers: dict[str, str]) -> str:
    file = folder / "headers.json"
    file.write_text(json.dumps(headers), "utf-8")
    return str(file)


def signed(config: str, fields: dict[str, Any], folder: Path) -> tuple[str, str]:
    """A callback as the wallet would send it: body, and the file with the headers."""
    file = folder / "H.json"
    arguments = ("sign-callback", "--timestamp", AT, "--headers-to", str(file))
    made = wallet(config, *arguments, stdin=fields, profile="wallet").document
    assert made["headers"] == json.loads(file.read_text("utf-8"))
    return made["body"], str(file)


# ------------------------------------------------------------------------------------------------- order strings


def test_an_order_string_is_made_and_read_back(config: str) -> None:
    ended = wallet(config, "order-string", "--timestamp", AT, stdin=PAY)
    made = ended.document
    assert ended.code == 0
    assert wallet(config, "order-string", "--timestamp", AT, "--method", "pay", stdin=PAY).document == made
    params = dict(parse_qsl(made["order_str"], strict_parsing=True))
    assert params["signature"] == made["sign"]
    assert made["base_string"] == f"POST {params['path']}\n{CLIENT_ID}.{AT}.{params['body']}"
    found = wallet(config, "parse-order-string", stdin=made["order_str"] + "\n")
    assert (found.code, found.document["signature"]) == (0, "verified")
    assert found.document["biz_content"] == PAY | {"paymentNotifyUrl": NOTIFY_URL}
    alone = wallet(config, "parse-order-string", stdin=made["order_str"], profile=None)
    assert (alone.code, alone.document["ok"], alone.document["signature"]) == (0, True, "not verifiable")
    quoted = wallet(config, "parse-order-string", stdin=f'my.tradePay({{orderStr: "{made["order_str"]}"}})')
    assert quoted.document["signature"] == "verified"


def test_an_order_string_of_ours_is_what_the_service_gives_out(config: str) -> None:
    ours = plus.adapter().order_string(plus.order())
    found = wallet(config, "parse-order-string", stdin=ours).document
    assert (found["ok"], found["signature"], found["problems"]) == (True, "verified", [])


@pytest.mark.parametrize(
    ("fields", "arguments", "told"),
    [
        (PAY | {"paymentAmount": {"currency": "CNY", "value": 500}}, (), "paymentAmount: "),
        (PAY | {"paymentAmount": {"currency": "CNY", "value": "5.00"}}, (), 'is written {"currency": "USD"'),
        (PAY | {"paymentAmount": plus.amount("0")}, (), "paymentAmount: the amount is not between"),
        (PAY | {"paymentRequestId": "x" * 65}, (), "paymentRequestId: should be a string of 1 to 64"),
        (PAY | {"order": "o1"}, (), "order: should be an object"),
        (PAY | {"order": {"referenceOrderId": "o1"}}, (), "order.orderDescription"),
        (PAY | {"order": PAY["order"] | {"orderDescription": "a\nb"}}, (), "control character"),
        (PAY | {"order": PAY["order"] | {"orderAmount": 5}}, (), "order.orderAmount"),
        (PAY | {"paymentExpiryTime": "2026-01-15 03:00:00"}, (), "ISO 8601"),
        (PAY | {"paymentExpiryTime": "2026-01-15T02:20:30Z"}, (), "is over"),
        (PAY | {"paymentExpiryTime": "2026-03-15T02:20:30Z"}, (), "past 15 days"),
        (PAY, ("--method", "capture"), "no buyer can act on it"),
    ],
)
def test_an_order_string_that_a_wallet_would_refuse(
    config: str, fields: dict[str, Any], arguments: tuple[str, ...], told: str
) -> None:
    ended = wallet(config, "order-string", "--timestamp", AT, *arguments, stdin=fields)
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err


def test_what_is_wrong_with_an_order_string_is_said(config: str) -> None:
    whole = wallet(config, "order-string", "--timestamp", AT, stdin=PAY).document["order_str"]
    params = dict(parse_qsl(whole))

    def found(text: str, profile: str | None = "mall") -> dict[str, Any]:
        ended = wallet(config, "parse-order-string", stdin=text, profile=profile)
        assert ended.code == 1
        return dict(ended.document)

    escaped = found(whole.replace("&", "&amp;"))
    assert (escaped["damage"], escaped["signature"]) == (
        ["client_id", "path", "request_time", "signature"],
        "not verifiable",
    )
    assert "its signature verifies once that is undone" in escaped["problems"][-1]
    assert escaped["repaired"] == whole
    assert (
        "changed after" in found(urlencode(params | {"body": params["body"].replace("50000", "1")}))["problems"][0]
    )
    assert "it is of the client" in found(whole, "other")["problems"][0]
    assert found(urlencode({**params, "signature": ""}))["missing"] == ["signature"]
    for changed, told in (
        (params | {"path": "/ams/api/v1/payments/refund"}, "only a call of pay"),
        (params | {"request_time": "now"}, "not a time"),
        (params | {"sign": "x"}, "has no sign"),
        (params | {"body": "{"}, "body: "),
    ):
        assert told in " ".join(found(urlencode(changed), None)["problems"])
    assert "repeated" in found(f"{whole}&path=/")["problems"][0]
    assert "name=value" in found(f"{whole}&path")["problems"][0]
    assert "not UTF-8" in found(whole.replace("body=", "body=%FF"), None)["problems"][0]
    assert "longer than" in found(whole + "x" * 70_000)["problems"][0]
    # One of the other dialect.
    assert found(named("S01")["order_str"])["missing"] == ["body", "client_id", "path", "request_time", "signature"]


# --------------------------------------------------------------------------------------------------- the vectors


@of_kind("ams_request")
def test_a_call_is_signed(vector: Vector, config: str) -> None:
    name = vector["path"].rpartition("/")[2]
    fields = json.loads(vector["body"])
    ended = wallet(config, "sign-request", "--method", name, "--timestamp", AT, stdin=fields)
    made = ended.document
    assert (ended.code, made["url"], json.loads(made["body"])) == (
        0,
        f"{GATEWAY}/payments/{name}",
        fields,
    )
    url, body = made["url"], made["body"].encode()
    assert made["headers"] == signed_headers(private_key("app_rsa2048"), CLIENT_ID, url, NOW, body)


@of_kind("ams_notify")
def test_a_callback_is_believed_or_not(vector: Vector, config: str, tmp_path: Path) -> None:
    headers = headers_in(tmp_path, vector["headers"])
    for end in ("", "\r\n"):
        ended = wallet(
            config, "verify-callback", "--headers", headers, "--path", vector["path"], "--at", AT,
            stdin=vector["body"] + end,
        )  # fmt: skip
        found = ended.document
        assert (ended.code, found["ok"]) == ((0, True) if vector["accept"] else (1, False))
        assert (found["fact"] is not None) is vector["accept"]
        if vector["accept"]:
            assert found["fact"]["order_id"] == json.loads(vector["body"])["paymentRequestId"]


@of_kind("ams_response")
def test_an_answer_is_believed(vector: Vector, config: str, tmp_path: Path) -> None:
    headers = headers_in(tmp_path, vector["headers"])
    for end in ("", "\n"):
        ended = wallet(
            config, "verify-response", "--method", "capture", "--headers", headers, "--at", AT,
            stdin=vector["body"] + end,
        )  # fmt: skip
        assert (ended.code, ended.document["outcome"]) == (0, vector["outcome"])
        assert ended.document["body"] == json.loads(vector["body"])
    changed = wallet(
        config, "verify-response", "--method", "capture", "--headers", headers,
        stdin=vector["body"].replace('"U"', '"S"'),
    )  # fmt: skip
    assert (changed.code, changed.document["outcome"], changed.document["body"]) == (1, "unknown", None)


# ---------------------------------------------------------------------------------------- callbacks and answers


@pytest.mark.parametrize("notify_type", ["PAYMENT_RESULT", "CAPTURE_RESULT", "REFUND_RESULT", "VOID_RESULT"])
def test_a_callback_that_a_wallet_signed_is_believed(config: str, notify_type: str, tmp_path: Path) -> None:
    body, headers = signed(config, plus.notification(notify_type), tmp_path)
    for path in ((), ("--path", urlsplit(NOTIFY_URL).path)):
        ended = wallet(config, "verify-callback", "--headers", headers, *path, "--at", AT, stdin=body)
        assert (ended.code, ended.document["reason"]) == (0, "genuine")
        assert ended.document["fact"]["order_id"] == "o1"
    for path in ("/another", urlsplit(NOTIFY_URL).path + "?x=1"):
        ended = wallet(config, "verify-callback", "--headers", headers, "--path", path, "--at", AT, stdin=body)
        assert (ended.code, ended.document["fact"]) == (1, None)
    nothing = signed(config, {"notifyType": "DISPUTE"}, tmp_path)
    ended = wallet(config, "verify-callback", "--headers", nothing[1], stdin=nothing[0])
    assert (ended.code, ended.document["fact"]) == (0, None)


def test_what_to_do_about_a_callback_is_said(config: str, tmp_path: Path) -> None:
    body, headers = signed(config, plus.notification(), tmp_path)

    def refused(*arguments: str, profile: str = "mall") -> str:
        ended = wallet(config, "verify-callback", *arguments, stdin=body, profile=profile)
        assert ended.code == 1
        return str(ended.document["reason"])

    assert "no header client-id, request-time, signature: give those" in refused()
    assert f"it is for the client {CLIENT_ID}, the profile for SANDBOX_OTHER" in refused(
        "--headers", headers, profile="other"
    )
    stranger = headers_in(
        tmp_path, json.loads(Path(headers).read_text("utf-8")) | {"request-time": "2026-01-15T02:20:31Z"}
    )
    assert f"it was tried for {NOTIFY_URL}: if it was sent to another" in refused("--headers", stranger)
    assert refused("--headers", stranger, "--path", "/p").endswith(
        "it was tried for https://m.example.com/p: if it was sent to another address, name that with --path"
    )
    assert wallet(config, "sign-callback", stdin={}).code == 1
    nowhere = wallet(config, "sign-callback", "--headers-to", str(tmp_path / "no" / "H"), stdin=plus.notification())
    assert (nowhere.code, "cannot write" in nowhere.err) == (2, True)


def test_the_answers_are_for_people_too(config: str) -> None:
    def told(*arguments: str, stdin: Any) -> Ended:
        return run("wallet", *arguments, "--profile", "mall", "--config", config, stdin=stdin)

    request = told("sign-request", "--method", "capture", stdin=CAPTURE)
    assert request.out.startswith(f"POST {GATEWAY}/payments/capture\ncontent-type: ")
    assert "\nsignature: algorithm=RSA256,keyVersion=1,signature=" in request.out
    callback = told("sign-callback", stdin=plus.notification())
    assert json.loads(callback.out) == plus.notification()
    assert "its signature is in the headers: --headers-to" in callback.err


@pytest.mark.parametrize(
    ("method", "fields", "told"),
    [
        ("close", {}, "close: is none of this dialect's calls: pay, capture"),
        ("capture", CAPTURE | {"paymentId": ""}, "paymentId: should be a string"),
        ("capture", CAPTURE | {"captureAmount": plus.amount(currency="XXQ")}, "captureAmount: "),
        ("refund", CAPTURE, "refundRequestId"),
        ("cancel", {}, "paymentId or paymentRequestId: cancel needs one of them"),
        ("inquiryPayment", {"paymentId": 7}, "paymentId: should be a string"),
    ],
)
def test_a_call_that_a_wallet_would_refuse(config: str, method: str, fields: dict[str, Any], told: str) -> None:
    ended = wallet(config, "sign-request", "--method", method, "--timestamp", AT, stdin=fields)
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err


def test_an_answer_is_refused_with_a_reason(config: str, tmp_path: Path) -> None:
    ended = wallet(config, "verify-response", "--method", "capture", stdin={"result": plus.result()})
    assert (ended.code, ended.document["code"]) == (1, "SUCCESS")
    assert "no header client-id, response-time, signature" in ended.document["reason"]
    ended = wallet(config, "verify-response", "--method", "close", stdin={"result": plus.result()})
    assert "close is none of pay, capture" in ended.document["reason"]


S, R, P, U = Outcome.SUCCEEDED, Outcome.REJECTED, Outcome.PENDING, Outcome.UNKNOWN
ALONE: list[tuple[str, dict[str, Any], Outcome]] = [
    ("capture", {"result": plus.result()}, S),
    ("capture", {"result": plus.result("PAYMENT_PENDING", "S")}, P),
    ("capture", {"result": plus.result("X", "A")}, P),
    ("capture", {"result": plus.result("PAYMENT_IN_PROCESS", "U")}, U),
    ("capture", {"result": plus.result("RISK_REJECT", "F")}, R),
    ("capture", {"result": plus.result("ORDER_NOT_EXIST", "F")}, R),
    ("capture", {"result": plus.result("INVALID_SIGNATURE", "F")}, U),
    ("refund", {"result": plus.result("ORDER_IS_CANCELED", "F")}, R),
    ("cancel", {"result": plus.result("ORDER_NOT_EXIST", "F")}, P),
    ("inquiryPayment", plus.standing(), S),
    ("inquiryPayment", plus.standing("FAIL"), R),
    ("inquiryPayment", plus.standing("CANCELLED"), R),
    ("inquiryPayment", plus.standing("PROCESSING"), P),
    ("inquiryPayment", {"result": plus.result()}, U),
    ("inquiryPayment", plus.standing() | {"paymentStatus": ["SUCCESS"]}, U),
    ("inquiryPayment", {"result": plus.result("ORDER_NOT_EXIST", "F")}, P),
    ("inquiryPayment", {"result": plus.result("PARAM_ILLEGAL", "F")}, U),
    ("inquiryRefund", {"result": plus.result(), "refundStatus": "SUCCESS"}, S),
    ("inquiryRefund", {"result": plus.result(), "refundStatus": "PENDING"}, P),
    ("inquiryPayment", {"result": plus.result(), "paymentResult": plus.result()}, S),
    ("inquiryPayment", {"result": plus.result(), "paymentResult": plus.result("PAYMENT_PENDING", "S")}, P),
    ("inquiryPayment", plus.standing() | {"paymentResult": plus.result("PAYMENT_PENDING", "S")}, U),
    ("refund", {"result": plus.result(), "refundAmount": plus.amount("2000")}, S),
    ("refund", {"result": plus.result(), "refundAmount": {"currency": "CNY", "value": 2000}}, U),
    ("refund", {"result": plus.result(), "refundAmount": {"currency": "CNY", "value": "20.00"}}, U),
    ("capture", {}, U),
]


@pytest.mark.parametrize(("call", "fields", "outcome"), ALONE)
def test_an_answer_by_itself(call: str, fields: dict[str, Any], outcome: Outcome) -> None:
    assert outcome_of(call, fields)[0] is outcome


@given(raw=st.binary(max_size=120))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_at_all_make_a_command_crash(config: str, raw: bytes) -> None:
    for command in (("parse-order-string",), ("verify-callback",), ("verify-response", "--method", "capture")):
        ended = wallet(config, *command, stdin=raw)
        assert (ended.code, ended.document["ok"]) == (1, False)
    for command in (("order-string",), ("sign-callback",), ("sign-request", "--method", "capture")):
        assert wallet(config, *command, stdin=raw).code in (1, 2)
