"""An authorization's life at the sandbox wallet."""

from typing import Any

from tests.sandbox.merchant import Merchant, Receiver

CAPTURE = "alipay.trade.pay"
UNFREEZE = "alipay.fund.auth.order.unfreeze"
CANCEL = "alipay.fund.auth.operation.cancel"
DETAIL = "alipay.fund.auth.operation.detail.query"


async def frozen(merchant: Merchant, callbacks: Receiver, order_id: str = "a1") -> str:
    """Freezes 500.00; gives the auth_no."""
    assert (await merchant.pay(merchant.freeze(order_id)))["result_code"] == "9000"
    return (await callbacks.received(1))[-1]["auth_no"]


def capture(auth_no: str, amount: str, number: str = "a1__C1", mode: str = "NOT_COMPLETE") -> dict[str, Any]:
    return {
        "auth_no": auth_no,
        "out_trade_no": number,
        "total_amount": amount,
        "product_code": "PRE_AUTH_ONLINE",
        "auth_confirm_mode": mode,
        "subject": "fee",
    }


async def test_a_freeze_is_told_of_without_any_trade(merchant: Merchant, callbacks: Receiver) -> None:
    await frozen(merchant, callbacks)
    (form,) = callbacks.forms
    assert merchant.verify_form(form)
    expected = {"notify_type": "fund_auth_freeze", "out_order_no": "a1", "out_request_no": "a1__F1"}
    expected |= {"operation_type": "FREEZE", "status": "SUCCESS", "amount": "500.00"}
    expected |= {"total_freeze_amount": "500.00", "rest_amount": "500.00", "total_unfreeze_amount": "0.00"}
    assert form.items() >= expected.items()
    assert not form.keys() & {"trade_no", "trade_status", "out_trade_no"}


async def test_nothing_is_known_before_the_buyer_acts(merchant: Merchant) -> None:
    answer = await merchant.call(DETAIL, {"out_order_no": "a1", "out_request_no": "a1__F1"})
    assert (answer["code"], answer["sub_code"]) == ("40004", "AUTH_ORDER_NOT_EXIST")


async def test_who_cancels_at_the_cashier_leaves_an_open_authorization(merchant: Merchant) -> None:
    await merchant.pay(merchant.freeze("a1"), "cancel")
    question = {"out_order_no": "a1", "out_request_no": "a1__F1", "operation_type": "FREEZE"}
    answer = await merchant.call(DETAIL, question)
    assert (answer["status"], answer["order_status"], answer["total_freeze_amount"]) == (
        "INIT",
        "INIT",
        "0.00",
    )
    closed = await merchant.call(CANCEL, {"out_order_no": "a1", "out_request_no": "a1__F1"})
    assert (closed["code"], closed["action"]) == ("10000", "close")
    answer = await merchant.call(DETAIL, question)
    assert (answer["status"], answer["order_status"]) == ("CLOSED", "CLOSED")
    assert (await merchant.pay(merchant.freeze("a1")))["result_code"] == "4000"


async def test_captures_take_of_what_is_held(merchant: Merchant, callbacks: Receiver) -> None:
    auth_no = await frozen(merchant, callbacks)
    first = capture(auth_no, "120.00")
    answer = await merchant.call(CAPTURE, first)
    again = await merchant.call(CAPTURE, first)
    assert answer == again
    assert (answer["code"], answer["total_amount"]) == ("10000", "120.00")
    other = await merchant.call(CAPTURE, first | {"total_amount": "120.01"})
    assert other["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"
    too_much = await merchant.call(CAPTURE, capture(auth_no, "380.01", "a1__C2"))
    assert too_much["sub_code"] == "ACQ.AUTH_AMOUNT_NOT_ENOUGH"
    form = (await callbacks.received(2))[-1]
    assert (form["notify_type"], form["out_trade_no"]) == ("trade_status_sync", "a1__C1")
    detail = await merchant.call(DETAIL, {"auth_no": auth_no, "out_request_no": "a1__F1"})
    assert (detail["rest_amount"], detail["total_pay_amount"]) == ("380.00", "120.00")
    assert detail["order_status"] == "AUTHORIZED"
    paid = await merchant.call("alipay.trade.query", {"out_trade_no": "a1__C1"})
    assert (paid["trade_status"], paid["total_amount"]) == ("TRADE_SUCCESS", "120.00")
    entry = await merchant.ledger("a1")
    assert (entry["frozen_minor"], entry["taken_minor"], entry["released_minor"]) == (50000, 12000, 0)
    assert [(r["request_no"], r["kind"], r["times_seen"], r["done"]) for r in entry["requests"]] == [
        ("a1__C1", "capture", 3, True),
        ("a1__C2", "capture", 1, False),
        ("a1__F1", "freeze", 1, True),
    ]


async def test_a_complete_capture_gives_the_rest_back(merchant: Merchant, callbacks: Receiver) -> None:
    auth_no = await frozen(merchant, callbacks)
    await merchant.call(CAPTURE, capture(auth_no, "120.00", mode="COMPLETE"))
    forms = {form["notify_type"]: form for form in await callbacks.received(3)}
    unfrozen = forms["fund_auth_unfreeze"]
    assert (unfrozen["amount"], unfrozen["rest_amount"]) == ("380.00", "0.00")
    # The wallet did it by itself, so the number is its own.
    assert unfrozen["out_request_no"] == unfrozen["operation_id"]
    entry = await merchant.ledger("a1")
    assert (entry["taken_minor"], entry["released_minor"]) == (12000, 38000)
    detail = await merchant.call(DETAIL, {"auth_no": auth_no, "out_request_no": "a1__F1"})
    assert detail["order_status"] == "FINISH"
    late = await merchant.call(UNFREEZE, {"auth_no": auth_no, "amount": "1.00", "out_request_no": "a1__R1"})
    assert late["sub_code"] == "ORDER_ALREADY_FINISH"


async def test_a_release_is_once_per_number(merchant: Merchant, callbacks: Receiver) -> None:
    auth_no = await frozen(merchant, callbacks)
    wish = {"auth_no": auth_no, "amount": "500.00", "out_request_no": "a1__R1", "remark": "结算完成"}
    answer = await merchant.call(UNFREEZE, wish, charset="gbk")
    assert (answer["code"], answer["status"], answer["amount"]) == ("10000", "SUCCESS", "500.00")
    assert await merchant.call(UNFREEZE, wish) == answer
    other = await merchant.call(UNFREEZE, wish | {"amount": "1.00"})
    assert other["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"
    more = await merchant.call(UNFREEZE, wish | {"out_request_no": "a1__R2"})
    assert more["sub_code"] == "ORDER_ALREADY_CLOSED"
    form = (await callbacks.received(2))[-1]
    assert (form["notify_type"], form["out_request_no"]) == ("fund_auth_unfreeze", "a1__R1")
    assert (form["total_unfreeze_amount"], form["rest_amount"]) == ("500.00", "0.00")
    detail = await merchant.call(DETAIL, {"out_order_no": "a1", "out_request_no": "a1__R1"})
    assert (detail["operation_type"], detail["status"]) == ("UNFREEZE", "SUCCESS")
    assert detail["order_status"] == "CLOSED"


async def test_more_than_is_held_is_not_released(merchant: Merchant, callbacks: Receiver) -> None:
    auth_no = await frozen(merchant, callbacks)
    wish = {"auth_no": auth_no, "amount": "500.01", "out_request_no": "a1__R1"}
    assert (await merchant.call(UNFREEZE, wish))["sub_code"] == "REQUEST_AMOUNT_EXCEED"
    unknown = await merchant.call(DETAIL, {"auth_no": auth_no, "out_request_no": "a1__R1"})
    assert unknown["sub_code"] == "AUTH_OPERATION_NOT_EXIST"


async def test_a_freeze_that_is_cancelled_is_given_back(merchant: Merchant, callbacks: Receiver) -> None:
    auth_no = await frozen(merchant, callbacks)
    wish = {"auth_no": auth_no, "out_request_no": "a1__F1", "remark": "void"}
    answer = await merchant.call(CANCEL, wish)
    assert (answer["code"], answer["action"]) == ("10000", "unfreeze")
    assert await merchant.call(CANCEL, wish) == answer
    entry = await merchant.ledger("a1")
    assert (entry["released_minor"], entry["closed"]) == (50000, True)


async def test_what_was_captured_cannot_be_cancelled(merchant: Merchant, callbacks: Receiver) -> None:
    auth_no = await frozen(merchant, callbacks)
    await merchant.call(CAPTURE, capture(auth_no, "1.00"))
    answer = await merchant.call(CANCEL, {"auth_no": auth_no, "out_request_no": "a1__F1"})
    assert answer["sub_code"] == "ILLEGAL_STATUS"


async def test_a_capture_is_refunded_as_a_trade(merchant: Merchant, callbacks: Receiver) -> None:
    auth_no = await frozen(merchant, callbacks)
    await merchant.call(CAPTURE, capture(auth_no, "120.00"))
    wish = {"out_trade_no": "a1__C1", "refund_amount": "20.00", "out_request_no": "a1__B1"}
    assert (await merchant.call("alipay.trade.refund", wish))["refund_fee"] == "20.00"
    entry = await merchant.ledger("a1")
    assert (entry["taken_minor"], entry["refunded_minor"]) == (12000, 2000)


async def test_an_unknown_authorization_cannot_be_captured(merchant: Merchant) -> None:
    answer = await merchant.call(CAPTURE, capture("2020010110002001000000000001", "1.00"))
    assert answer["sub_code"] == "ACQ.AUTH_NO_ERROR"
    assert [r["request_no"] for r in (await merchant.ledger("a1"))["requests"]] == ["a1__C1"]


async def test_the_wallet_may_give_back_unasked(merchant: Merchant, callbacks: Receiver) -> None:
    await frozen(merchant, callbacks)
    reply = await merchant.client.post(f"{merchant.url}/sandbox/release", json={"order_id": "a1"})
    assert reply.json()["rest_amount"] == "0.00"
    form = (await callbacks.received(2))[-1]
    assert (form["notify_type"], form["amount"]) == ("fund_auth_unfreeze", "500.00")
    reply = await merchant.client.post(f"{merchant.url}/sandbox/release", json={"order_id": "a1"})
    assert reply.status_code == 400
