"""Each vector of the Alipay dialect through the command that people and scripts would use."""

import json
from pathlib import Path
from urllib.parse import parse_qsl

from schemas.vocabulary import Outcome
from service.wallets.parameters import base_string
from service.wallets.signatures import SignType, verify
from tests.wallets.commands import config_of, run, written
from tests.wallets.test_vectors import _method
from tests.wallets.vectors import NOW, Vector, of_kind, public_key

AT = NOW.isoformat()


@of_kind("seed_orderstr")
def test_the_printed_sample_comes_out_diagnosed(vector: Vector, tmp_path: Path) -> None:
    config = str(
        written(
            tmp_path / "p.toml",
            sign_type="RSA",
            charset="GBK",
            private_key="app_rsa1024",
            wallet_key="wallet_rsa1024",
        )
    )
    for more in ((), ("--profile", "mall")):
        ended = run(
            "wallet", "parse-order-string", *more, "--config", config, "--output=json", stdin=vector["order_str"]
        )
        found = ended.document
        assert found["params"] == vector["params"]
        assert found["biz_content"] == json.loads(vector["params"]["biz_content"])
        assert found["missing"] == vector.get("missing", [])
        if vector["accept"] is False:
            assert (ended.code, found["ok"], found["damage"]) == (1, False, ["timestamp"])
            assert found["signature"] == "not verifiable"
            assert found["problems"][0].startswith(
                "&timestamp was turned into ×tamp: this orderStr has been through"
            )
            assert found["problems"][1].startswith("method is missing")
        else:
            # Whole, and nobody knows the key: without a profile there is nothing to say against it.
            assert (ended.code, found["damage"]) == (1 if more else 0, [])
            assert found["signature"] == ("not verified" if more else "not verifiable")


@of_kind("html_corruption")
def test_lost_ampersands_are_found(vector: Vector) -> None:
    for whole, damaged in vector["table"].items():
        text = f"a=b{whole}=1" if damaged is None else f"a=b{damaged}"
        ended = run("--output=json", "wallet", "parse-order-string", stdin=text)
        assert ended.code == 1
        assert ended.document["damage"] == ([] if damaged is None else [whole.removeprefix("&")])


@of_kind("orderstr")
def test_an_order_string_of_another_sdk(vector: Vector, tmp_path: Path) -> None:
    config = config_of(vector, tmp_path)
    ended = run(
        "wallet", "parse-order-string", "--profile", "mall", "--config", config, "--output", "json",
        stdin=vector["order_str"] + "\n",
    )  # fmt: skip
    found = ended.document
    assert (ended.code, found["ok"], found["signature"]) == (0, vector["accept"], "verified")
    assert found["params"] == vector["params"] | {"sign": vector["sign"]}
    assert (found["damage"], found["missing"], found["problems"]) == ([], [], [])


@of_kind("orderstr")
def test_its_order_string_is_made_again_or_refused(vector: Vector, tmp_path: Path) -> None:
    config = config_of(vector, tmp_path)
    biz = vector["params"]["biz_content"]
    ended = run(
        "wallet", "order-string", "--profile", "mall", "--config", config, "--output", "json", "--timestamp", AT,
        stdin=biz,
    )  # fmt: skip
    if vector.get("expect_builder_rejects_input"):
        assert (ended.code, ended.out) == (1, "")
        assert "a float is not exact" in ended.err
        return
    made = ended.document
    assert ended.code == 0
    params = dict(parse_qsl(made["order_str"], encoding=vector["charset"]))
    assert list(params) == sorted(params)
    assert params["method"] == vector["params"]["method"]
    assert params["timestamp"] == vector["params"]["timestamp"]
    assert json.loads(params["biz_content"]) == {k: v for k, v in json.loads(biz).items() if v != ""}
    assert params["sign"] == made["sign"]
    base = made["base_string"].encode(vector["charset"])
    assert base == base_string(params, vector["charset"])
    assert verify(public_key(vector["key"]), base, made["sign"], SignType(vector["sign_type"]))
    text = run("wallet", "order-string", "--profile=mall", "--config", config, "--timestamp", AT, stdin=biz)
    assert text.out == made["order_str"] + "\n"


@of_kind("builder_reject")
def test_the_builder_refuses(vector: Vector, tmp_path: Path) -> None:
    config = config_of(vector, tmp_path)
    for command in (("order-string",), ("sign-request", "--method", "alipay.trade.app.pay")):
        ended = run("wallet", *command, "--profile", "mall", "--config", config, stdin=vector["input"])
        assert (ended.code, ended.out) == (1, "")
        assert "subject: GBK cannot hold U+1F600" in ended.err


@of_kind("notify_form")
def test_a_callback_is_believed_or_not(vector: Vector, tmp_path: Path) -> None:
    headers = tmp_path / "headers.json"
    headers.write_text('{"Content-Type": "text/plain; charset=latin-1"}', "utf-8")
    ended = run(
        "wallet", "verify-callback", "--profile", "mall", "--config", config_of(vector, tmp_path), "--output=json",
        "--headers", str(headers), "--path", "/wallets/mall/notify", "--at", AT, stdin=vector["body"],
    )  # fmt: skip
    found = ended.document
    assert (ended.code, found["ok"]) == ((0, True) if vector["accept"] else (1, False))
    if vector["accept"]:
        fields = vector["params"]
        assert found["fact"]["order_id"] == fields.get("out_trade_no", fields.get("out_order_no"))
        assert found["fact"]["event_id"] == fields["notify_id"]
        assert found["fact"]["occurred_at"].endswith("Z")
    else:
        assert found["fact"] is None
        assert found["reason"]


@of_kind("gateway_request")
def test_a_call_is_signed(vector: Vector, tmp_path: Path) -> None:
    ended = run(
        "wallet", "sign-request", "--profile", "mall", "--method", vector["params"]["method"], "--output=json",
        "--config", config_of(vector, tmp_path), "--timestamp", AT, stdin=vector["params"]["biz_content"],
    )  # fmt: skip
    made = ended.document
    assert ended.code == 0
    assert made["url"] == f"{vector['url']}?{made['query']}"
    assert made["headers"] == {"content-type": vector["headers"]["Content-type"]}
    sent = dict(parse_qsl(f"{made['query']}&{made['body']}", encoding=vector["charset"], strict_parsing=True))
    assert json.loads(sent["biz_content"]) == json.loads(vector["params"]["biz_content"])
    theirs = {name: value for name, value in vector["params"].items() if name != "biz_content"}
    assert {name: value for name, value in sent.items() if name not in ("sign", "biz_content")} == theirs
    base = base_string(sent, vector["charset"])
    assert verify(public_key(vector["key"]), base, sent["sign"], SignType(vector["sign_type"]))


@of_kind("gateway_response")
def test_an_answer_is_believed_or_not(vector: Vector, tmp_path: Path) -> None:
    body = bytes.fromhex(vector["body_hex"]) if "body_hex" in vector else vector["body"].encode(vector["charset"])
    ended = run(
        "wallet", "verify-response", "--profile", "mall", "--method", _method(vector), "--output=json",
        "--config", config_of(vector, tmp_path), "--at", AT, stdin=body,
    )  # fmt: skip
    found = ended.document
    assert (ended.code, found["ok"]) == ((0, True) if vector["accept"] else (1, False))
    if vector["accept"]:
        assert found["body"] == json.loads(vector["signed_node"])
        assert found["code"] == found["body"].get("sub_code", found["body"]["code"])
        assert found["outcome"] in set(Outcome)
    else:
        assert (found["outcome"], found["body"]) == ("unknown", None)
        assert found["reason"].startswith("not believed: ")
