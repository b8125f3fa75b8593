"""The general payment in a browser: the mug, and every way in which paying for it goes wrong."""

import pytest
from playwright.async_api import expect

from tests.e2e.visitor import ON_A_DESK, ON_A_PHONE, STILL_PAYING, Visitor

STEPS = {
    *("1", "1.1", "1.1.1", "1.1.2"),
    *("1.1.2.1", "1.1.2.1.1", "1.1.2.1.2", "1.1.2.1.3"),
    *("2", "2.1", "2.2", "2.3", "2.3.1"),
}


async def is_paid(visitor: Visitor) -> None:
    """As the buyer is told, as paystate says, and as the wallet has it."""
    await visitor.is_told("Paid")
    await visitor.behind()
    await visitor.path("created", "paying", "paid")
    assert (await visitor.order())["taken_minor"] == (await visitor.ledger())["taken_minor"] == 4_500


async def is_closed(visitor: Visitor) -> None:
    """And nothing was taken."""
    await visitor.is_told("Order cancelled")
    await visitor.behind()
    await visitor.path("created", "paying", "expiring", "closed")
    order, ledger = await visitor.order(), await visitor.ledger()
    assert (order["taken_minor"], ledger["taken_minor"], ledger["closed"]) == (0, 0, True)


async def test_the_mug_is_bought(visitor: Visitor) -> None:
    await visitor.picture("1_shop")
    await visitor.behind()
    await visitor.picture("2_behind_before")
    await visitor.in_front()
    await visitor.press("Buy the mug")
    await visitor.cashier.get_by_role("button", name="Pay ¥45.00").wait_for()
    await visitor.picture("3_cashier")
    await visitor.cashier.locator("#failures button").last.scroll_into_view_if_needed()
    await visitor.picture("4_cashier_failures")
    assert await visitor.at_the_cashier("Pay ¥45.00") == "9000"
    await is_paid(visitor)
    await expect(visitor.entries("client result")).to_have_count(1)
    await expect(visitor.page.locator("#ledger")).to_contain_text("taken ¥45.00")
    await visitor.picture("5_behind_paid")
    assert await visitor.numbers() == STEPS
    await visitor.in_front()
    await visitor.picture("6_paid")
    await visitor.press("Back to the shop")
    await expect(visitor.page.locator("#title")).to_have_text("Harbour Goods 港湾小铺")


@ON_A_DESK
async def test_each_step_shows_its_real_record(visitor: Visitor) -> None:
    await visitor.press("Buy the mug")
    await visitor.at_the_cashier("Pay ¥45.00")
    await is_paid(visitor)
    order_id = await visitor.order_id()
    for words, record in (
        ("orders.events", f'"order_id": "{order_id}"'),
        ("wallet.callbacks", '"trade_status": "TRADE_SUCCESS"'),
        ("payment succeeded", '"state": "paid"'),
        ("POST /v1/orders →", '"subject": "Ceramic mug · 陶瓷马克杯"'),
    ):
        entry = visitor.entries(words).first
        await entry.locator("summary").click()
        await expect(entry.locator("pre")).to_contain_text(record)
    await visitor.entries("payment succeeded").scroll_into_view_if_needed()
    await visitor.picture("records")


@ON_A_DESK
@pytest.mark.parametrize(("failure", "code"), STILL_PAYING)
async def test_it_is_paid_whatever_becomes_of_the_answer_and_the_callback(
    visitor: Visitor, failure: str, code: str
) -> None:
    await visitor.press("Buy the mug")
    assert await visitor.fails(failure) == code
    await is_paid(visitor)
    await visitor.picture(failure)


@ON_A_PHONE
async def test_the_callback_is_lost_and_the_shop_is_told_nothing(visitor: Visitor) -> None:
    await visitor.sets_the_scene("closes-early")
    await visitor.press("Buy the mug")
    await visitor.fails("lose")
    await is_paid(visitor)
    await expect(visitor.records("wallet.callbacks")).to_have_count(0)
    await expect(visitor.records("orders.events")).to_have_count(1)


@ON_A_PHONE
async def test_a_callback_that_comes_twice_pays_once(visitor: Visitor) -> None:
    await visitor.press("Buy the mug")
    await visitor.fails("twice")
    await is_paid(visitor)
    await expect(visitor.records("wallet.callbacks")).to_have_count(2)
    await expect(visitor.entries("payment succeeded")).to_have_count(1)


async def test_the_buyer_cancels_and_then_the_order(visitor: Visitor) -> None:
    await visitor.press("Buy the mug")
    assert await visitor.at_the_cashier("Cancel") == "6001"
    await visitor.is_told("Not paid yet")
    await visitor.picture("not_paid")
    await visitor.press("Cancel the order")
    await is_closed(visitor)
    await visitor.in_front()
    await visitor.picture("closed")


async def test_the_network_fails_and_the_second_try_succeeds(visitor: Visitor) -> None:
    await visitor.press("Buy the mug")
    assert await visitor.fails("network") == "6002"
    await visitor.is_told("Not paid yet")
    assert (await visitor.ledger())["taken_minor"] == 0
    await visitor.press("Pay now")
    assert await visitor.at_the_cashier("Pay ¥45.00") == "9000"
    await is_paid(visitor)


@ON_A_PHONE
async def test_leaving_the_cashier_is_cancelling(visitor: Visitor) -> None:
    await visitor.press("Buy the mug")
    await visitor.cashier.get_by_role("button", name="Pay ¥45.00").wait_for()
    assert await visitor.at_the_cashier("Leave the cashier") == "6001"
    await visitor.is_told("Not paid yet")


@ON_A_DESK
async def test_the_other_dialect_pays_too(visitor: Visitor) -> None:
    await visitor.speaks("sandbox_plus")
    await visitor.press("Buy the mug")
    await expect(visitor.cashier.get_by_text("Alipay+, RSA256")).to_be_visible()
    await visitor.at_the_cashier("Pay ¥45.00")
    await is_paid(visitor)
    assert (await visitor.order())["profile"] == "sandbox_plus"
