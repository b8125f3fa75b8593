"""P5: a wallet that does not answer leaves an operation unknown and asks for a person; time proves nothing."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from schemas.vocabulary import Flag, State, Topic
from service.clock import RandomIds, SystemClock
from service.dev.kafka import EmbeddedKafka
from service.kafka.topics import administrator
from service.sandbox.calls import Event, Notice
from service.sandbox.demo.shop import Shop, open_shop
from service.sandbox.demo.world import SETTINGS, World, running_processes, start_engine
from service.sandbox.dialect import wallet_time
from service.sandbox.identity import kept_identity
from service.sandbox.voice import AlipayVoice
from tests.conftest import make_database
from tests.integration.conftest import Paystate, answer, run_paystate

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def impatient_world(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An installation that gives an operation up after three tries."""
    settings = SETTINGS | {"PAYSTATE_RETRY_TRIES": "3", "PAYSTATE_RETRY_FIRST_S": "0.1", "PAYSTATE_LANES": "2"}
    with (
        EmbeddedKafka() as broker,
        make_database(postgres_dsn) as dsn,
        running_processes(dsn, broker.bootstrap, tmp_path_factory.mktemp("world"), settings) as running,
    ):
        yield running


@pytest.fixture
async def impatient_shop(impatient_world: World) -> AsyncIterator[Shop]:
    async with open_shop(impatient_world, SystemClock(), RandomIds(), lambda _event: None) as opened:
        yield opened


def _shown(world: World, order_id: str) -> dict[str, dict[str, object]]:
    document = answer(run_paystate("orders", "show", order_id, "--output", "json", environment=world.environment))
    return {"order": document["order"], "operation": document["operations"][0]}


def _order(world: World, order_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = answer(
        run_paystate("orders", "show", order_id, "--output", "json", environment=world.environment)
    )["order"]
    return shown


async def _captured_in_silence(shop: Shop, order_id: str) -> None:
    """7,000 are captured, and every answer is lost, also those to our questions, until a person is asked."""
    order_str = await shop.create(order_id, "preauth", 10_000, "A room")
    await shop.buyer_confirms(order_str)
    await shop.state(order_id, State.AUTHORIZED)
    await shop.wallet_goes_wrong(lose_answers=1.0, lose_callbacks=1.0)
    await shop.complete(order_id, 7_000)
    async with asyncio.timeout(20):
        while Flag.NEEDS_REVIEW not in shop.events[order_id][-1]["flags"]:
            await asyncio.sleep(0.05)


async def test_a_silent_wallet_leads_to_review_and_a_restart_asks_before_it_sends_again(
    impatient_world: World, impatient_shop: Shop
) -> None:
    shop, world = impatient_shop, impatient_world
    await _captured_in_silence(shop, "silent")
    shown = _shown(world, "silent")
    assert (shown["order"]["state"], shown["order"]["taken_minor"]) == (State.CAPTURING, 0)
    assert (shown["operation"]["state"], shown["operation"]["amount_minor"]) == ("unknown", 7_000)
    text = run_paystate("orders", "show", "silent", environment=world.environment).stdout
    assert "A person should look: needs_review." in text

    await shop.wallet_goes_wrong()
    world.children["engine"].stop(signal.SIGTERM)
    world.children["engine"] = start_engine(world)
    await shop.state("silent", State.CAPTURED)
    assert shop.events["silent"][-1]["flags"] == []
    (row,) = [row for row in await shop.ledger() if row["order_id"] == "silent"]
    assert row["taken_minor"] == 7_000
    assert [r["times_seen"] for r in row["requests"] if r["kind"] == "capture"] == [1]


async def test_a_person_who_has_looked_says_what_became_of_it(impatient_world: World, impatient_shop: Shop) -> None:
    shop, world = impatient_shop, impatient_world
    await _captured_in_silence(shop, "looked_at")

    def resolve(order_id: str, version: int) -> tuple[int, str]:
        ended = run_paystate(
            "orders", "resolve", order_id, "--version", str(version), "--outcome", "succeeded",
            "--actor", "ann", "--reason", "the console shows the capture", "--evidence", "ticket 7",
            environment=world.environment,
        )  # fmt: skip
        return ended.returncode, ended.stdout + ended.stderr

    version = _shown(world, "looked_at")["order"]["version"]
    assert isinstance(version, int)
    assert resolve("nobody_s", 1) == (1, "paystate: order nobody_s is not known\n")
    code, said = resolve("looked_at", version - 1)
    assert code == 1
    assert f"the order is at version {version}, not {version - 1}" in said
    # The refusal is an entry of the journal, too: what anybody has tried is seen by all.
    code, said = resolve("looked_at", version + 1)
    assert (code, said.splitlines()[0]) == (
        0,
        "operator_resolved: ann: the console shows the capture (evidence: ticket 7)",
    )
    await shop.seen("looked_at", "capture_succeeded")
    await shop.wallet_goes_wrong()
    await shop.state("looked_at", State.CAPTURED)
    (row,) = [row for row in await shop.ledger() if row["order_id"] == "looked_at"]
    assert (row["taken_minor"], row["released_minor"]) == (7_000, 3_000)
    assert [r["times_seen"] for r in row["requests"] if r["kind"] == "capture"] == [1]


async def test_an_order_in_doubt_is_shown_and_resolved_as_json(
    impatient_world: World, impatient_shop: Shop
) -> None:
    """The wallet says that it was paid, without an amount, and answers no question about it."""
    shop, world = impatient_shop, impatient_world
    await shop.create("doubted", "payment", 100, "A mug")
    await shop.wallet_goes_wrong(lose_answers=1.0)
    fields = {
        "notify_type": "trade_status_sync",
        "out_trade_no": "doubted",
        "trade_no": "2026112422001",
        "trade_status": "TRADE_SUCCESS",
        "gmt_create": wallet_time(SystemClock().now()),
    }
    event = Event("payment", "doubted", "2026112422001", "", 100, "CNY", fields["gmt_create"])
    voice = AlipayVoice(kept_identity(world.logs))
    body, headers = voice.signed(Notice("doubted", "", fields, event, "alipay"), "", 1, SystemClock().now())
    taken = await shop.api.post("/wallets/sandbox/notify", content=body, headers=headers)
    assert taken.text == "success"
    async with asyncio.timeout(20):
        while (order := _order(world, "doubted"))["doubt"] is None:
            await asyncio.sleep(0.05)
    assert order["doubt"]["since"].endswith("Z")

    ended = run_paystate(
        *("orders", "resolve", "doubted", "--version", str(order["version"]), "--actor", "ann"),
        *("--reason", "nothing to mend", "--evidence", "ticket 8", "--output", "json"),
        environment=world.environment,
    )
    assert answer(ended)["order"]["doubt"]["since"] == order["doubt"]["since"]
    await shop.wallet_goes_wrong()


async def test_a_wallet_that_fails_is_tried_again_under_the_same_number(
    impatient_world: World, impatient_shop: Shop
) -> None:
    shop = impatient_shop
    order_str = await shop.create("failing", "preauth", 10_000, "A room")
    await shop.buyer_confirms(order_str)
    await shop.state("failing", State.AUTHORIZED)
    await shop.wallet_goes_wrong(fail_calls=1.0)
    await shop.complete("failing", 7_000)
    await shop.seen("failing", "operation_unknown")
    await shop.wallet_goes_wrong()
    impatient_world.children["engine"].stop(signal.SIGTERM)
    impatient_world.children["engine"] = start_engine(impatient_world)
    await shop.state("failing", State.CAPTURED)
    (row,) = [row for row in await shop.ledger() if row["order_id"] == "failing"]
    assert row["taken_minor"] == 7_000
    assert {r["request_no"] for r in row["requests"] if r["kind"] == "capture"} == {"failing__C1"}


async def test_lag_tools_can_see_how_far_the_lanes_are(shop: Shop, world: World, paystate: Paystate) -> None:
    await shop.create("lagging", "payment", 100, "A mug")
    lane = shop.events["lagging"][0]["lane"]
    (row,) = [row for row in answer(paystate("lanes", "--output", "json")) if row["lane"] == lane]
    async with administrator(world.config.kafka) as admin, asyncio.timeout(10):
        partition = TopicPartition(Topic.ORDERS, lane)
        while True:
            offsets = await admin.list_consumer_group_offsets(world.config.settings.group_id)
            if partition in offsets and offsets[partition].offset >= row["offsets"][0]:
                break
            await asyncio.sleep(0.2)


def test_logs_stay_short(impatient_world: World, tmp_path: Path) -> None:
    """A silent wallet is said once a try, not for every poll."""
    lines = (impatient_world.logs / "engine.log").read_text().splitlines()
    assert len(lines) < 200
    assert not [line for line in lines if "Traceback" in line]
