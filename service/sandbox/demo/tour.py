"""The tour: starts the world, runs the stories, shows each order's timeline, and checks the books."""

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import Any

import httpx2
from rich.console import Console
from rich.markup import escape

from service import wiring
from service.clock import RandomIds, SystemClock
from service.dev.child import ServerFailedError
from service.sandbox.demo.shop import NotSettledError, Shop, open_shop
from service.sandbox.demo.stories import STORIES, Story
from service.sandbox.demo.world import World, running_shop, running_world
from service.sandbox.reckoning import differences
from service.store.views import story_of
from service.timeline import console_for_people, print_timeline
from service.verify import verify

VERIFY_WAIT_S = 10.0
WATCH_S = 0.5
SHOP_ANSWERS_S = 10.0


def run_demo(*, once: bool) -> bool:
    """Runs the demo; with `once` it ends by itself. Whether everything went as it should."""
    console = console_for_people()
    began = time.monotonic()
    # A terminal's Ctrl-C and a supervisor's SIGTERM end it the same way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_world(console) as world, running_shop(world) as shop_url:
            console.print(f"[dim]ready after {time.monotonic() - began:.1f} s[/]\n")
            well = wiring.run_loop(_tour(world, console)) and _opens(shop_url, console)
            console.print(f"\n[dim]{time.monotonic() - began:.1f} s in all[/]")
            _say_where(console, world, shop_url)
            if not once:
                _stay(console, world)
            return well
    except ServerFailedError as error:
        console.print(f"[bold red]{escape(str(error))}[/]")
    except KeyboardInterrupt:
        console.print("[dim]stopped[/]")
        return True
    return False


async def _tour(world: World, console: Console) -> bool:
    def on_event(event: dict[str, Any]) -> None:
        if event["state"] != event["previous_state"]:
            console.print(f"[dim]  {event['order_id']:<7} {event['trigger']:<24} -> {event['state']}[/]")

    async with open_shop(world, SystemClock(), RandomIds(), on_event) as shop:
        failures = await _run_all(shop, [story for story in STORIES if not story.alone])
        for story in STORIES:
            if story.alone:
                failures += await _run_all(shop, [story])
        await _show(world, console)
        for failure in failures:
            console.print(f"[bold red]NO[/]  {escape(failure)}")
        return await _check_books(world, shop, console) and not failures


async def _run_all(shop: Shop, stories: Sequence[Story]) -> list[str]:
    results = await asyncio.gather(*(_run(shop, story) for story in stories))
    return [failure for failure in results if failure is not None]


async def _run(shop: Shop, story: Story) -> str | None:
    try:
        await story.run(shop, story.order_id)
    except NotSettledError as error:
        return str(error)
    return None


async def _show(world: World, console: Console) -> None:
    database = wiring.database(world.config)
    try:
        for number, story in enumerate(STORIES, 1):
            console.print(f"\n[bold]{number}. {story.title}[/] [dim]({story.order_id})[/]")
            found = await story_of(database, story.order_id)
            if found is None:
                console.print("[bold red]NO[/]  the order is not there")
            else:
                print_timeline(console, found.timeline)
    finally:
        await database.close()


async def _check_books(world: World, shop: Shop, console: Console) -> bool:
    database = wiring.database(world.config)
    try:
        report = await verify(database, world.config.kafka, VERIFY_WAIT_S)
        stories = [await story_of(database, story.order_id) for story in STORIES]
    finally:
        await database.close()
    ours = [
        {
            "order_id": found.order.order_id,
            "frozen_minor": found.order.frozen_minor,
            "taken_minor": found.order.taken_minor,
            "released_minor": found.order.released_minor,
            "refunded_minor": found.order.refunded_minor,
        }
        for found in stories
        if found is not None
    ]
    broken = [f"{check.name}: {check.detail}" for check in report.checks if not check.ok]
    broken += differences(await shop.ledger(), ours)
    console.print()
    for text in broken:
        console.print(f"[bold red]NO[/]  {escape(text)}")
    if not broken:
        console.print(
            f"[green]ok[/]  verified: {report.orders} orders, {report.journal} journal entries, {report.published}"
            " state events; the wallet's ledger agrees"
        )
    return not broken


def _opens(shop_url: str, console: Console) -> bool:
    """Whether the shop's page is there, with the mini program that its phone runs."""
    for path in ("/", "/miniprogram/app.json"):
        try:
            answer = httpx2.get(shop_url + path, timeout=SHOP_ANSWERS_S, trust_env=False)
            said = "" if answer.is_success else f"answered {answer.status_code}"
        except httpx2.HTTPError as error:
            said = f"did not answer: {error}"
        if said:
            console.print(f"[bold red]NO[/]  the shop, {path}, {escape(said)}")
            return False
    return True


def _say_where(console: Console, world: World, shop_url: str) -> None:
    console.print(f"\n[bold green]the shop        {shop_url}[/]  buy the mug, rent the power bank, let it go wrong")
    console.print(f"\nsandbox wallet  {world.wallet_url}")
    console.print(f"webhook bridge  {world.bridge_url}/wallets/sandbox/notify")
    console.print(f"order API       {world.bridge_url}/v1/orders (described at {world.bridge_url}/docs)")


def _stay(console: Console, world: World) -> None:
    console.print("\nIt goes on running; Ctrl-C ends it. To join in from another terminal:\n")
    for name, value in world.environment.items():
        console.print(f"  export {name}={value}", style="dim", markup=False)
    console.print("\n  .venv/bin/paystate orders show mug_1")
    console.print("  .venv/bin/paystate events tail --from beginning")
    while (failure := world.failure()) is None:
        time.sleep(WATCH_S)
    raise ServerFailedError(failure)
