"""What goes wrong when the sandbox wallet is told to let it."""

import asyncio

import httpx2
import pytest

from tests.sandbox.merchant import Merchant, Receiver

REFUND = "alipay.trade.refund"


async def test_a_callback_comes_until_it_is_taken(merchant: Merchant, callbacks: Receiver) -> None:
    callbacks.answers = [b"fail", b"success\n"]
    await merchant.pay(merchant.payment("p1"))
    forms = await callbacks.received(3)
    await asyncio.sleep(0.1)
    assert len(callbacks.bodies) == 3
    assert len({form["notify_id"] for form in forms}) == 1
    assert all(merchant.verify_form(form) for form in forms)


async def test_a_callback_that_is_never_taken_ends(merchant: Merchant, callbacks: Receiver) -> None:
    callbacks.answers = [b"fail"] * 10
    await merchant.pay(merchant.payment("p1"))
    await callbacks.received(3)
    await asyncio.sleep(0.1)
    assert len(callbacks.bodies) == 3


async def test_one_callback_and_no_more_by_default(merchant: Merchant, callbacks: Receiver) -> None:
    for n in range(10):
        await merchant.pay(merchant.payment(f"p{n}"))
    await callbacks.received(10)
    await asyncio.sleep(0.1)
    assert len({form["notify_id"] for form in callbacks.forms}) == len(callbacks.bodies) == 10


async def test_one_payment_can_choose_its_callbacks_fate(merchant: Merchant, callbacks: Receiver) -> None:
    await merchant.faults(delay_s=0.2)
    await merchant.pay(merchant.payment("lost"), callback="lose")
    await merchant.pay(merchant.payment("late"), callback="late")
    await merchant.pay(merchant.payment("twice"), callback="twice")
    forms = await callbacks.received(3)
    assert sorted(form["out_trade_no"] for form in forms) == ["late", "twice", "twice"]
    assert len({form["notify_id"] for form in forms}) == 2
    assert forms[0]["out_trade_no"] == "twice"


async def test_rates_lose_repeat_and_reorder(merchant: Merchant, callbacks: Receiver) -> None:
    await merchant.faults(lose_callbacks=0.3, repeat_callbacks=0.3, delay_callbacks=0.5, delay_s=0.2)
    for n in range(60):
        await merchant.pay(merchant.payment(f"p{n:02}"))
    await asyncio.sleep(0.6)
    numbers = [form["out_trade_no"] for form in callbacks.forms]
    assert 25 < len(set(numbers)) < 58
    assert len(numbers) > len(set(numbers))
    assert list(dict.fromkeys(numbers)) != sorted(set(numbers))
    await merchant.faults(lose_callbacks=1)
    before = len(callbacks.bodies)
    await merchant.pay(merchant.payment("none"))
    await asyncio.sleep(0.1)
    assert len(callbacks.bodies) == before


async def test_a_lost_answer_was_carried_out(merchant: Merchant, callbacks: Receiver) -> None:
    await merchant.pay(merchant.payment("p1"))
    await merchant.faults(lose_answers=1, delay_s=0.05)
    wish = {"out_trade_no": "p1", "refund_amount": "2.50", "out_request_no": "p1__B1"}
    for _ in range(4):
        with pytest.raises(httpx2.TransportError):
            await merchant.call(REFUND, wish)
    await merchant.faults()
    assert (await merchant.call(REFUND, wish))["fund_change"] == "N"
    entry = await merchant.ledger("p1")
    assert entry["refunded_minor"] == 250
    assert [r["times_seen"] for r in entry["requests"]] == [5]
    assert len(await callbacks.received(2)) == 2


async def test_a_failed_call_was_carried_out_or_not(merchant: Merchant) -> None:
    await merchant.faults(fail_calls=1)
    codes = set()
    for n in range(20):
        await merchant.pay(merchant.payment(f"p{n:02}"))
        wish = {"out_trade_no": f"p{n:02}", "refund_amount": "1.00", "out_request_no": f"p{n:02}__B1"}
        answer = await merchant.call(REFUND, wish)
        codes.add((answer["code"], answer["sub_code"]))
    assert codes == {("20000", "isp.unknow-error"), ("40004", "ACQ.SYSTEM_ERROR")}
    entries = (await merchant.client.get(f"{merchant.url}/sandbox/ledger")).json()
    assert {entry["refunded_minor"] for entry in entries} == {0, 100}
    assert all(entry["requests"][0]["times_seen"] == 1 for entry in entries)


@pytest.mark.parametrize("wrong", [{"lose_answers": 1.5}, {"delay_s": -1}, {"lose_everything": 1}])
async def test_faults_that_make_no_sense_are_refused(merchant: Merchant, wrong: dict[str, float]) -> None:
    assert (await merchant.client.put(f"{merchant.url}/sandbox/faults", json=wrong)).status_code == 422


async def test_what_a_setting_does_not_name_goes_right(merchant: Merchant) -> None:
    await merchant.faults(lose_answers=1)
    reply = await merchant.client.put(f"{merchant.url}/sandbox/faults", json={"repeat_callbacks": 0.5})
    assert reply.json()["lose_answers"] == 0
    assert (await merchant.client.get(f"{merchant.url}/sandbox/faults")).json() == reply.json()
