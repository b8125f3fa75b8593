"""The demo's stories on the whole road: real broker, real Postgres, the sandbox wallet over HTTP."""

from itertools import islice

import pytest

from schemas.vocabulary import State, Topic
from service.sandbox.demo.shop import Shop
from service.sandbox.demo.stories import STORIES, Story
from service.sandbox.demo.world import World
from service.sandbox.reckoning import FACTS, differences
from tests.integration.conftest import Paystate, answer, names_in_lane

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.order_id)
async def test_a_story_ends_where_it_should_and_the_wallet_agrees(
    shop: Shop, paystate: Paystate, story: Story
) -> None:
    order_id = f"story_{story.order_id}"
    await story.run(shop, order_id)

    shown = answer(paystate("orders", "show", order_id, "--output", "json"))
    assert [event["version"] for event in shown["timeline"]] == list(range(1, shown["order"]["version"] + 1))
    assert shown["timeline"][-1]["state"] == shown["order"]["state"]
    ledger = [row for row in await shop.ledger() if row["order_id"] == order_id]
    assert differences(ledger, [shown["order"]]) == []


async def test_state_events_are_the_journal_and_carry_the_trace(shop: Shop, paystate: Paystate) -> None:
    await shop.create("traced", "payment", 100, "A mug", metadata={"table": "7"})
    shown = answer(paystate("orders", "show", "traced", "--output", "json"))
    assert shop.events["traced"] == shown["timeline"]
    assert shop.events["traced"][0]["metadata"] == {"table": "7"}
    assert shop.events["traced"][0]["cause_topic"] == Topic.ORDERS


async def test_an_order_is_refunded_in_parts_and_never_more_than_was_paid(shop: Shop) -> None:
    order_str = await shop.create("refunds", "payment", 1_000, "A lamp")
    await shop.buyer_confirms(order_str)
    await shop.state("refunds", State.PAID)

    async def refund(refund_id: str, amount_minor: int) -> None:
        await shop.publish(
            Topic.ORDERS,
            "refunds",
            "refund.requested",
            refund_id=refund_id,
            amount_minor=amount_minor,
            currency="CNY",
        )

    await refund("first", 400)
    await shop.state("refunds", State.PARTIALLY_REFUNDED)
    await refund("first", 400)
    await refund("too much", 601)
    await refund("rest", 600)
    await shop.state("refunds", State.REFUNDED)
    refused = [event for event in shop.events["refunds"] if event["disposition"] == "refused"]
    assert [event["reason"] for event in refused] == ["refused because 6.00 CNY can be refunded, not 6.01"]
    (row,) = [row for row in await shop.ledger() if row["order_id"] == "refunds"]
    assert row["refunded_minor"] == 1_000


async def test_a_cancelled_authorization_gives_everything_back(shop: Shop) -> None:
    order_str = await shop.create("given_back", "preauth", 5_000, "A room")
    await shop.buyer_confirms(order_str, callback="twice")
    await shop.state("given_back", State.AUTHORIZED)
    await shop.publish(Topic.ORDERS, "given_back", "order.cancel_requested", reason="the guest did not come")
    await shop.state("given_back", State.VOIDED)
    (row,) = [row for row in await shop.ledger() if row["order_id"] == "given_back"]
    assert {fact: row[fact] for fact in FACTS} == {
        "frozen_minor": 5_000,
        "taken_minor": 0,
        "released_minor": 5_000,
        "refunded_minor": 0,
    }


async def test_how_far_a_lane_is_published_is_kept_with_its_commits(
    world: World, shop: Shop, paystate: Paystate
) -> None:
    # One after another: what is published counts once it is known to be readable, and the next commit stores it.
    for name in islice(names_in_lane("counted", 0, world.config.settings.lanes), 4):
        await shop.create(name, "payment", 100, "A mug")
    (row,) = [row for row in answer(paystate("lanes", "--output", "json")) if row["lane"] == 0]
    assert 0 < row["published_seq"] <= row["lane_seq"]
