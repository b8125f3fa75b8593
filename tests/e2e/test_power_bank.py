"""The pre-authorization in a browser: a power bank whose fee is known at the end."""

import pytest
from playwright.async_api import expect

from tests.e2e.visitor import EACH_WALLET, ON_A_DESK, ON_A_PHONE, STILL_PAYING, Visitor, times_asked

STEPS = {"1", "2", "3", "4", "5", "6", "7", "8", "10", "11", "12", "13", "14", "15", "16", "17"}


async def is_captured(visitor: Visitor, fee_minor: int = 7_000) -> None:
    """Once, with the rest released: as the buyer is told, as paystate says, and as the wallet has it."""
    await visitor.is_told("Returned. Thank you!")
    await expect(visitor.page.locator("#path li").last).to_have_text("captured")
    order, ledger = await visitor.order(), await visitor.ledger()
    assert (order["state"], order["held_minor"]) == ("captured", 0)
    for side in (order, ledger):
        assert (side["taken_minor"], side["released_minor"]) == (fee_minor, 10_000 - fee_minor)


@EACH_WALLET
async def test_it_is_frozen_then_captured_and_the_rest_released(visitor: Visitor, wallet: str) -> None:
    await visitor.speaks(wallet)
    await visitor.press("Rent it")
    await visitor.cashier.get_by_role("button", name="Freeze ¥100.00").wait_for()
    await visitor.picture("1_cashier")
    assert await visitor.at_the_cashier("Freeze ¥100.00") == "9000"
    await visitor.is_told("Enjoy the ride")
    await visitor.picture("2_rented")
    await visitor.press("Return the power bank")
    await is_captured(visitor)
    await visitor.picture("3_returned")
    await visitor.behind()
    await visitor.path("created", "paying", "authorized", "capturing", "captured")
    await expect(visitor.page.locator("#money")).to_contain_text("¥30.00 released")
    await expect(visitor.page.locator("#ledger")).to_contain_text("taken ¥70.00, released ¥30.00")
    await visitor.picture("4_behind")
    assert await visitor.numbers() == STEPS
    assert times_asked(await visitor.ledger(), "capture") == [1]


@ON_A_DESK
async def test_the_fee_is_what_the_hours_cost(visitor: Visitor) -> None:
    await visitor.press("Rent it")
    await visitor.at_the_cashier("Freeze ¥100.00")
    await visitor.press("3 h")
    await visitor.press("Return the power bank")
    await is_captured(visitor, 3_000)


@ON_A_DESK
async def test_more_hours_than_were_frozen_are_a_shortfall(visitor: Visitor) -> None:
    await visitor.press("Rent it")
    await visitor.at_the_cashier("Freeze ¥100.00")
    await visitor.press("12 h")
    await visitor.press("Return the power bank")
    await is_captured(visitor, 10_000)
    assert (await visitor.order())["flags"] == ["shortfall"]
    await visitor.behind()
    await expect(visitor.page.locator("#flags")).to_have_text("shortfall")


@ON_A_PHONE
@pytest.mark.parametrize(("failure", "code"), STILL_PAYING)
async def test_it_ends_captured_whatever_becomes_of_the_answer_and_the_callback(
    visitor: Visitor, failure: str, code: str
) -> None:
    await visitor.press("Rent it")
    assert await visitor.fails(failure) == code
    await visitor.is_told("Enjoy the ride")
    await visitor.press("Return the power bank")
    await is_captured(visitor)
    assert times_asked(await visitor.ledger(), "capture") == [1]


@ON_A_PHONE
async def test_the_buyer_cancels_and_then_the_rental(visitor: Visitor) -> None:
    await visitor.press("Rent it")
    assert await visitor.at_the_cashier("Cancel") == "6001"
    await visitor.is_told("Not paid yet")
    await visitor.press("Cancel the rental")
    await visitor.is_told("Order cancelled")
    assert (await visitor.order())["frozen_minor"] == (await visitor.ledger())["frozen_minor"] == 0


@ON_A_DESK
async def test_the_network_fails_and_the_second_try_succeeds(visitor: Visitor) -> None:
    await visitor.press("Rent it")
    assert await visitor.fails("network") == "6002"
    await visitor.press("Try the wallet again")
    assert await visitor.at_the_cashier("Freeze ¥100.00") == "9000"
    await visitor.is_told("Enjoy the ride")


@EACH_WALLET
async def test_returned_before_the_callback_with_the_captures_answer_lost_and_the_callback_twice(
    visitor: Visitor, wallet: str
) -> None:
    await visitor.speaks(wallet)
    await visitor.sets_the_scene("silence")
    await visitor.press("Rent it")
    assert await visitor.fails("late-twice") == "9000"
    await visitor.is_told("Enjoy the ride")
    await visitor.press("Return the power bank")
    await is_captured(visitor)
    await visitor.picture("1_captured")
    await visitor.behind()
    await expect(visitor.entries("operation unknown")).to_have_count(1)
    callbacks = visitor.records("fund_auth_freeze" if wallet == "sandbox" else "PAYMENT_RESULT")
    await expect(callbacks).to_have_count(2)
    words = await visitor.page.locator("#steps .words").all_text_contents()
    assert words.index("service completed") < words.index("the wallet's callback")
    await visitor.page.locator("#steps .entry").last.scroll_into_view_if_needed()
    await visitor.picture("2_behind")
    # The late callbacks have changed nothing: it is still captured, and was so once.
    await visitor.path("created", "paying", "authorized", "capturing", "captured")
    await visitor.in_front()
    await is_captured(visitor)
    assert times_asked(await visitor.ledger(), "capture") == [1]


@ON_A_DESK
async def test_a_return_that_outruns_the_wallet_waits_for_it(visitor: Visitor) -> None:
    """Nobody tells paystate that the freeze was made: it asks by itself, after the fee has come."""
    await visitor.sets_the_scene("closes-early")
    await visitor.press("Rent it")
    await visitor.fails("late-twice")
    await visitor.press("Return the power bank")
    await is_captured(visitor)
    assert times_asked(await visitor.ledger(), "capture") == [1]
