"""The cashier: what it shows of an order, and what a phone's network and a silent wallet make of it."""

from typing import Any

import httpx2
import pytest

from tests.sandbox.merchant import Merchant, Receiver
from tests.sandbox.test_authorizations import CAPTURE, capture, frozen
from tests.sandbox.test_payments import QUERY
from tests.wallets.vectors import named


async def look(merchant: Merchant, order_str: str) -> dict[str, Any]:
    reply = await merchant.client.post(f"{merchant.url}/sandbox/look", json={"order_str": order_str})
    return {"status": reply.status_code, **reply.json()}


async def test_a_look_shows_what_was_verified_and_makes_the_trade_exist(merchant: Merchant) -> None:
    seen = await look(merchant, merchant.payment("p1"))
    expected = {"status": 200, "order_id": "p1", "kind": "payment", "title": "充电 50% off", "amount": "12.50"}
    expected |= {"currency": "CNY", "payee": merchant.identity.payee, "standing": "open", "refusal": ""}
    assert seen.items() >= expected.items()
    assert (await merchant.call(QUERY, {"out_trade_no": "p1"}))["trade_status"] == "WAIT_BUYER_PAY"


@pytest.mark.parametrize("kind", ["payment", "freeze"])
async def test_a_look_says_when_there_is_nothing_left_to_do(merchant: Merchant, kind: str) -> None:
    order_str = getattr(merchant, kind)("p1")
    await merchant.pay(order_str)
    assert (await look(merchant, order_str))["standing"] == {"payment": "paid", "freeze": "frozen"}[kind]


async def test_a_look_at_other_terms_under_the_same_number_is_refused(merchant: Merchant) -> None:
    await look(merchant, merchant.payment("p1"))
    seen = await look(merchant, merchant.payment("p1", "99.00"))
    assert (seen["standing"], "other terms" in seen["refusal"]) == ("refused", True)


async def test_a_damaged_order_string_is_diagnosed(merchant: Merchant) -> None:
    seen = await look(merchant, named("S01")["order_str"])
    assert (seen["status"], seen["damage"], seen["missing"]) == (400, ["timestamp"], ["method"])
    assert "&timestamp was turned into ×tamp" in seen["problems"][0]
    assert seen["biz_content"]["order_title"] == "支付宝预授权"
    assert seen["repaired"] == named("S01")["repaired"]


async def test_a_forged_order_string_is_no_damaged_one(merchant: Merchant) -> None:
    seen = await look(merchant, merchant.payment("p1").replace("12.50", "0.50"))
    assert (seen["status"], seen["damage"]) == (400, [])
    assert "does not verify" in seen["reason"]


@pytest.mark.parametrize(
    ("order_str", "why"),
    [("", "is empty"), ("a" * 16_385, "more than 16384 characters"), ("a" * 16_384, "not a form parameter")],
)
@pytest.mark.parametrize("call", ["pay", "look"])
async def test_what_is_no_order_string_is_refused_with_a_reason(
    merchant: Merchant, call: str, order_str: str, why: str
) -> None:
    wish = {"order_str": order_str} | ({"action": "confirm"} if call == "pay" else {})
    reply = await merchant.client.post(f"{merchant.url}/sandbox/{call}", json=wish)
    assert reply.status_code == 400
    assert why in reply.json()["reason"]
    # The cashier's page reads them, whatever was wrong.
    assert call == "pay" or reply.json().keys() >= {"problems", "damage", "biz_content", "repaired"}


async def test_a_network_that_fails_before_leaves_the_wallet_unaware(merchant: Merchant) -> None:
    said = await merchant.pay(merchant.payment("p1"), connection="lost_before")
    assert said["result_code"] == "6002"
    assert (await merchant.call(QUERY, {"out_trade_no": "p1"}))["sub_code"] == "ACQ.TRADE_NOT_EXIST"


async def test_a_network_that_fails_after_hides_that_it_was_paid(merchant: Merchant, callbacks: Receiver) -> None:
    said = await merchant.pay(merchant.payment("p1"), connection="lost_after")
    assert said["result_code"] == "6004"
    await callbacks.received(1)
    assert (await merchant.ledger("p1"))["taken_minor"] == 1250


async def test_a_callback_can_be_late_and_then_come_twice(merchant: Merchant, callbacks: Receiver) -> None:
    await merchant.pay(merchant.payment("p1"), callback="twice", delay_s=0.3)
    assert callbacks.bodies == []
    first, second = await callbacks.received(2)
    assert first["notify_id"] == second["notify_id"]


async def test_a_silenced_capture_is_carried_out_once_and_told_to_nobody(
    merchant: Merchant, callbacks: Receiver
) -> None:
    auth_no = await frozen(merchant, callbacks)
    wish = {"order_id": "a1", "kind": "capture"}
    assert (await merchant.client.post(f"{merchant.url}/sandbox/silence", json=wish)).status_code == 204
    with pytest.raises(httpx2.TransportError):
        await merchant.call(CAPTURE, capture(auth_no, "200.00"))
    assert (await merchant.ledger("a1"))["taken_minor"] == 20_000
    assert len(callbacks.bodies) == 1
    # Only that one: asked again under the same number, the wallet answers, and has taken it once.
    assert (await merchant.call(CAPTURE, capture(auth_no, "200.00")))["code"] == "10000"
    assert (await merchant.ledger("a1"))["taken_minor"] == 20_000


@pytest.mark.parametrize("name", ["cashier.html", "../control.py", "nothing.js"])
async def test_only_the_parts_of_the_pages_are_served(merchant: Merchant, name: str) -> None:
    assert (await merchant.client.get(f"{merchant.url}/sandbox/pages/{name}")).status_code == 404


@pytest.mark.parametrize("path", ["/", "/sandbox/cashier", "/sandbox/pages/cashier.js"])
async def test_the_pages_load_nothing_from_elsewhere(merchant: Merchant, path: str) -> None:
    reply = await merchant.client.get(merchant.url + path)
    assert reply.status_code == 200
    assert reply.headers["content-security-policy"].startswith("default-src 'self';")
