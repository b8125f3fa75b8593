"""A payment's life at the sandbox wallet."""

import asyncio
from datetime import timedelta

import pytest

from tests.sandbox.merchant import Merchant, MovableClock, Receiver

QUERY = "alipay.trade.query"
CLOSE = "alipay.trade.close"
REFUND = "alipay.trade.refund"
REFUND_QUERY = "alipay.trade.fastpay.refund.query"


async def test_a_trade_does_not_exist_before_the_buyer_acts(merchant: Merchant) -> None:
    for method in (QUERY, CLOSE):
        answer = await merchant.call(method, {"out_trade_no": "p1"})
        assert (answer["code"], answer["sub_code"]) == ("40004", "ACQ.TRADE_NOT_EXIST")
    entry = await merchant.ledger("p1")
    assert entry["taken_minor"] == 0
    assert not entry["closed"]
    assert [(r["kind"], r["times_seen"], r["done"]) for r in entry["requests"]] == [("close", 1, False)]


async def test_a_confirmed_payment_is_taken_and_told_of(merchant: Merchant, callbacks: Receiver) -> None:
    assert (await merchant.pay(merchant.payment("p1")))["result_code"] == "9000"
    (form,) = await callbacks.received(1)
    assert merchant.verify_form(form)
    expected = {"notify_type": "trade_status_sync", "trade_status": "TRADE_SUCCESS", "out_trade_no": "p1"}
    expected |= {"total_amount": "12.50", "subject": "充电 50% off", "seller_id": merchant.identity.seller_id}
    assert form.items() >= expected.items()
    answer = await merchant.call(QUERY, {"out_trade_no": "p1"})
    assert answer["trade_status"] == "TRADE_SUCCESS"
    assert answer["trade_no"] == form["trade_no"]
    assert answer["node"] == "alipay_trade_query_response"
    assert (await merchant.ledger("p1"))["taken_minor"] == 1250


async def test_a_payment_is_not_taken_twice(merchant: Merchant) -> None:
    order_str = merchant.payment("p1")
    await merchant.pay(order_str)
    second = await merchant.pay(order_str)
    assert (second["result_code"], second["reason"]) == ("4000", "paid already")
    assert (await merchant.ledger("p1"))["taken_minor"] == 1250


async def test_who_cancels_at_the_cashier_leaves_an_open_trade(merchant: Merchant, callbacks: Receiver) -> None:
    assert (await merchant.pay(merchant.payment("p1"), "cancel"))["result_code"] == "6001"
    answer = await merchant.call(QUERY, {"out_trade_no": "p1"})
    assert answer["trade_status"] == "WAIT_BUYER_PAY"
    assert "send_pay_date" not in answer
    assert callbacks.bodies == []
    assert (await merchant.pay(merchant.payment("p1")))["result_code"] == "9000"


async def test_a_closed_trade_refuses_payment_unless_it_is_forced(merchant: Merchant, callbacks: Receiver) -> None:
    await merchant.pay(merchant.payment("p1"), "cancel")
    for _ in range(2):
        assert (await merchant.call(CLOSE, {"out_trade_no": "p1"}))["code"] == "10000"
    assert (await merchant.call(QUERY, {"out_trade_no": "p1"}))["trade_status"] == "TRADE_CLOSED"
    assert (await merchant.ledger("p1"))["closed"]
    refused = await merchant.pay(merchant.payment("p1"))
    assert (refused["result_code"], refused["reason"]) == ("4000", "closed")
    assert (await merchant.pay(merchant.payment("p1"), force=True))["result_code"] == "9000"
    await callbacks.received(1)
    entry = await merchant.ledger("p1")
    assert (entry["taken_minor"], entry["closed"]) == (1250, False)


async def test_a_paid_trade_cannot_be_closed(merchant: Merchant) -> None:
    await merchant.pay(merchant.payment("p1"))
    answer = await merchant.call(CLOSE, {"out_trade_no": "p1"})
    assert (answer["code"], answer["sub_code"]) == ("40004", "ACQ.TRADE_STATUS_ERROR")


async def test_time_runs_out(merchant: Merchant, clock: MovableClock) -> None:
    await merchant.pay(merchant.payment("seen"), "cancel")
    clock.ahead = timedelta(minutes=15, seconds=1)
    assert (await merchant.call(QUERY, {"out_trade_no": "seen"}))["trade_status"] == "TRADE_CLOSED"
    assert (await merchant.pay(merchant.payment("seen")))["reason"] == "closed"
    unseen = await merchant.pay(merchant.payment("unseen"))
    assert unseen["result_code"] == "4000"
    assert unseen["reason"].startswith("timed out at")
    assert (await merchant.call(QUERY, {"out_trade_no": "unseen"}))["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    assert (await merchant.pay(merchant.payment("unseen"), force=True))["result_code"] == "9000"


async def test_time_expire_counts_before_timeout_express(merchant: Merchant) -> None:
    order_str = merchant.payment("p1", time_expire="2020-01-01 00:00:00")
    assert (await merchant.pay(order_str))["result_code"] == "4000"


async def test_refunds_are_once_per_number(merchant: Merchant, callbacks: Receiver) -> None:
    await merchant.pay(merchant.payment("p1"))
    first = {"out_trade_no": "p1", "refund_amount": "2.50", "out_request_no": "p1__B1"}
    answer = await merchant.call(REFUND, first)
    assert (answer["code"], answer["fund_change"], answer["refund_fee"]) == ("10000", "Y", "2.50")
    answer = await merchant.call(REFUND, first)
    assert (answer["code"], answer["fund_change"], answer["send_back_fee"]) == ("10000", "N", "2.50")
    answer = await merchant.call(REFUND, first | {"refund_amount": "2.51"})
    assert answer["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"
    rest = {"out_trade_no": "p1", "refund_amount": "10.00", "out_request_no": "p1__B2"}
    too_much = await merchant.call(REFUND, rest | {"refund_amount": "10.01"})
    assert too_much["sub_code"] == "ACQ.REASON_TRADE_REFUND_FEE_ERR"
    # A refused number is not bound to what it was refused for.
    assert (await merchant.call(REFUND, rest))["refund_fee"] == "12.50"
    answer = await merchant.call(QUERY, {"out_trade_no": "p1"})
    assert (answer["trade_status"], answer["refund_fee"]) == ("TRADE_CLOSED", "12.50")
    entry = await merchant.ledger("p1")
    assert (entry["refunded_minor"], entry["closed"]) == (1250, False)
    assert {r["request_no"]: r["times_seen"] for r in entry["requests"]} == {"p1__B1": 3, "p1__B2": 2}
    forms = await callbacks.received(3)
    told = {form.get("out_biz_no"): (form["trade_status"], form.get("refund_fee")) for form in forms}
    assert told == {
        None: ("TRADE_SUCCESS", None),
        "p1__B1": ("TRADE_SUCCESS", "2.50"),
        "p1__B2": ("TRADE_CLOSED", "12.50"),
    }


async def test_a_refund_query_says_ten_thousand_even_of_no_refund(merchant: Merchant) -> None:
    question = {"out_trade_no": "p1", "out_request_no": "p1__B1"}
    assert (await merchant.call(REFUND_QUERY, question))["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    await merchant.pay(merchant.payment("p1"))
    answer = await merchant.call(REFUND_QUERY, question)
    assert answer["code"] == "10000"
    assert "refund_status" not in answer
    await merchant.call(REFUND, question | {"refund_amount": "1.00"})
    answer = await merchant.call(REFUND_QUERY, question)
    assert (answer["refund_amount"], answer["refund_status"]) == ("1.00", "REFUND_SUCCESS")


async def test_an_unpaid_trade_cannot_be_refunded(merchant: Merchant) -> None:
    await merchant.pay(merchant.payment("p1"), "cancel")
    answer = await merchant.call(REFUND, {"out_trade_no": "p1", "refund_amount": "1.00"})
    assert answer["sub_code"] == "ACQ.TRADE_STATUS_ERROR"


async def test_the_same_number_on_other_terms_is_refused(merchant: Merchant) -> None:
    await merchant.pay(merchant.payment("p1"), "cancel")
    answer = await merchant.pay(merchant.payment("p1", "99.00"))
    assert answer["result_code"] == "4000"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("12.50", "1.50"),
        lambda text: text.replace("&timestamp", "\N{MULTIPLICATION SIGN}tamp"),
        lambda text: text + "&app_id=other",
        lambda _: "nonsense",
        lambda text: text.replace("sign_type=RSA2", "sign_type=RSA"),
    ],
)
async def test_an_order_string_that_does_not_verify_is_refused(merchant: Merchant, spoil: object) -> None:
    assert callable(spoil)
    answer = await merchant.pay(spoil(merchant.payment("p1")))
    assert answer["status"] == 400
    assert answer["reason"]


async def test_buyers_who_pay_at_once_pay_once(merchant: Merchant) -> None:
    order_str = merchant.payment("p1")
    answers = await asyncio.gather(*(merchant.pay(order_str) for _ in range(10)))
    assert sorted(answer["result_code"] for answer in answers) == ["4000"] * 9 + ["9000"]
