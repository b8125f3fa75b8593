"""One shop for all tests, one Chromium a file, one visitor a test. Never downloads a browser."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from service.sandbox.demo.world import World, running_shop
from tests.e2e.visitor import DESKTOP, PHONE, Visitor

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium."""
    found = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on the PATH: install it (Debian, Ubuntu: apt-get install chromium fonts-noto-cjk)")
    return found


@pytest.fixture(scope="session")
def shop_url(world: World) -> Iterator[str]:
    """The shop, a process of its own like the others."""
    with running_shop(world) as url:
        yield url


@pytest.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    # Chromium's own sandbox does not work for root, as in containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield launched
        await launched.close()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
async def visitor(
    request: pytest.FixtureRequest, browser: Browser, world: World, shop_url: str, tmp_path: Path
) -> AsyncIterator[Visitor]:
    """Somebody with a screen of their own; afterwards nothing may have gone wrong on the page unseen."""
    context = await browser.new_context(viewport=request.param, locale="en-GB", timezone_id="Asia/Shanghai")
    page = await context.new_page()
    visitor = Visitor(page, world, tmp_path, is_phone=request.param is PHONE)
    await page.goto(shop_url)
    yield visitor
    await context.close()
    assert visitor.complaints == []
