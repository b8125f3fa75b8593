"""The general payment in a browser: the mug."""

from tests.e2e.visitor import Visitor


async def test_the_mug_is_bought(visitor: Visitor) -> None:
    await visitor.picture("1_shop")
    await visitor.behind()
    await visitor.picture("2_behind_before")
    await visitor.in_front()
    await visitor.press("Buy the mug")
    await visitor.cashier.get_by_role("button", name="Pay ¥45.00").wait_for()
    await visitor.picture("3_cashier")
    assert await visitor.at_the_cashier("Pay ¥45.00") == "9000"
    await visitor.is_told("Paid")
    await visitor.picture("4_paid")
    await visitor.behind()
    await visitor.path("created", "paying", "paid")
    await visitor.picture("5_behind_paid")
    assert (await visitor.order())["taken_minor"] == (await visitor.ledger())["taken_minor"] == 4_500
