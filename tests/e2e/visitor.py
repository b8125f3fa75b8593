"""Somebody in front of the shop: presses what is there, and reads what it says."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Locator, Page, expect

from service.sandbox.demo.world import World

PATIENCE_MS = 20_000
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1320, "height": 900}
# For a test that one width is enough for; the other flow then has the other one.
ON_A_PHONE = pytest.mark.parametrize("visitor", [PHONE], ids=["phone"], indirect=True)
ON_A_DESK = pytest.mark.parametrize("visitor", [DESKTOP], ids=["desktop"], indirect=True)
# Both dialects and both widths, in half as many tests.
EACH_WALLET = pytest.mark.parametrize(
    ("visitor", "wallet"),
    [(DESKTOP, "sandbox"), (PHONE, "sandbox_plus")],
    ids=["desktop-alipay", "phone-alipay_plus"],
    indirect=["visitor"],
)
# The cashier's buttons after which the money moves all the same, with what `my.tradePay` says.
STILL_PAYING = [
    ("unknown", "6004"),
    ("lose", "9000"),
    ("late", "9000"),
    ("twice", "9000"),
    ("late-twice", "9000"),
]


# Without slots: Playwright leaves a mark on whoever listens.
@dataclass
class Visitor:
    """`complaints`: what the browser itself had to complain about."""

    page: Page
    world: World
    pictures: Path
    is_phone: bool
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        # A refused orderStr is answered with 400, and Chromium writes down every such answer.
        if message.type == "error" and "status of 400" not in message.text:
            self.complaints.append(message.text)

    # ------------------------------------------------------------------------------------------------- the phone

    async def press(self, name: str) -> None:
        """A button of the mini program."""
        await self.page.locator("#screen").get_by_role("button", name=name).click()

    @property
    def cashier(self) -> Any:
        """The wallet's page over the mini program."""
        return self.page.frame_locator("#sheet iframe")

    async def at_the_cashier(self, button: str) -> str:
        """Presses it; answers the result code that the wallet shows."""
        await self.cashier.get_by_role("button", name=button, exact=False).first.click()
        shown = self.cashier.locator("[data-fill=code]")
        code = await shown.inner_text()
        await self.cashier.get_by_role("button", name="Back to the mini program").click()
        await expect(self.page.locator("#sheet")).to_be_hidden()
        return code

    async def fails(self, failure: str) -> str:
        """One of the cashier's buttons that let something go wrong."""
        await self.cashier.locator(f"[data-failure={failure}]").click()
        code = await self.cashier.locator("[data-fill=code]").inner_text()
        await self.cashier.get_by_role("button", name="Back to the mini program").click()
        await expect(self.page.locator("#sheet")).to_be_hidden()
        return code

    async def is_told(self, heading: str) -> None:
        """What the mini program says of the order, in large letters."""
        await expect(self.page.locator("#screen [role=status]")).to_have_text(heading)

    # ----------------------------------------------------------------------------------------------- behind it

    async def behind(self) -> None:
        """Looks at the panel; at a phone's width it is on another tab."""
        if self.is_phone:
            await self.page.locator(".sides [data-side=behind]").click()

    async def in_front(self) -> None:
        """And back to the phone."""
        if self.is_phone:
            await self.page.locator(".sides [data-side=phone]").click()

    async def speaks(self, wallet: str) -> None:
        await self.behind()
        await self.page.locator(f"[data-wallet={wallet}]").click()
        await self.in_front()

    async def sets_the_scene(self, *boxes: str) -> None:
        await self.behind()
        for box in boxes:
            await self.page.locator(f"#{box}").check()
        await self.in_front()

    async def path(self, *states: str) -> None:
        """The states that the order went through, so far."""
        await expect(self.page.locator("#path li")).to_have_text(list(states))

    async def numbers(self) -> set[str]:
        """The guide's step numbers that have been shown."""
        found = await self.page.locator("#steps .number:not(.none)").all_text_contents()
        return set(found)

    def entries(self, words: str) -> Locator:
        """The steps that say this."""
        return self.page.locator("#steps .entry", has_text=words)

    def records(self, words: str) -> Locator:
        """The records on the input topics that say this; the topic's name stands over each."""
        return self.page.locator("#steps .from-kafka", has_text=words)

    async def order_id(self) -> str:
        return str(await self.page.locator("#order-id").text_content())

    # ------------------------------------------------------------------------------------------- what is the case

    async def order(self) -> dict[str, Any]:
        """The order as paystate has it: asked itself, not the page."""
        async with httpx2.AsyncClient(base_url=self.world.bridge_url, trust_env=False) as client:
            answer = await client.get(f"/v1/orders/{await self.order_id()}")
        document: dict[str, Any] = answer.json()
        return document

    async def ledger(self) -> dict[str, Any]:
        """The order as the wallet has it."""
        async with httpx2.AsyncClient(base_url=self.world.wallet_url, trust_env=False) as client:
            answer = await client.get("/sandbox/ledger", params={"order_id": await self.order_id()})
        (row,) = answer.json()
        return dict(row)

    async def picture(self, name: str) -> None:
        """Leaves a screenshot in the test's own folder."""
        await self.page.screenshot(path=self.pictures / f"{name}.png")


def times_asked(ledger: dict[str, Any], kind: str) -> list[int]:
    """How often the wallet was asked under each number."""
    return [request["times_seen"] for request in ledger["requests"] if request["kind"] == kind]
