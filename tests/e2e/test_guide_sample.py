"""The guide's own sample call of `my.tradePay`, run as it is printed: damaged, and told so."""

from playwright.async_api import expect

from service.sandbox.demo.storefront.app import MINI_PROGRAM
from tests.e2e.visitor import Visitor
from tests.wallets.vectors import named

SAMPLE = MINI_PROGRAM / "pages" / "sample" / "guide_sample.js"


def test_the_sample_is_the_guides_unchanged() -> None:
    assert f"'{named('S01')['order_str']}'" in SAMPLE.read_text("utf-8")


async def test_the_sample_runs_and_its_damage_is_shown(visitor: Visitor) -> None:
    await visitor.press("The guide's own sample call")
    await expect(visitor.page.locator("#title")).to_have_text("The guide's sample")
    await visitor.picture("1_sample")
    await visitor.press("Run the sample")
    problems = visitor.cashier.locator("#problems li")
    await expect(problems).to_have_count(2)
    await expect(problems.first).to_contain_text("&timestamp was turned into ×tamp")
    await expect(problems.last).to_contain_text("method is missing")
    await expect(visitor.cashier.locator("#fields")).to_contain_text("支付宝预授权")
    await visitor.picture("2_diagnosis")
    await visitor.cashier.get_by_role("button", name="Back to the mini program").click()
    # The sample's own `success`: the call has ended, and nothing was paid.
    await expect(visitor.page.locator("#alert-text")).to_have_text('{"resultCode":"4000"}')
    await visitor.picture("3_alert")
    await visitor.page.get_by_role("button", name="OK").click()
    await visitor.behind()
    await expect(visitor.entries("refuses the orderStr")).to_have_count(1)
    await visitor.picture("4_behind")
