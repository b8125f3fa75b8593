"""Bad input: each ends in its place with a reason that an operator understands, and the lane goes on."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

import asyncpg
import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from schemas.vocabulary import Flag, State, Topic
from service.clock import SystemClock
from service.kafka.partition import lane_of
from service.sandbox.demo.shop import Shop
from service.sandbox.demo.world import World
from service.sandbox.dialect import base_string, encode_form, wallet_time
from service.sandbox.identity import Identity, kept_identity
from service.wallets.signatures import SignType, load_private_key, sign
from tests.integration.conftest import Paystate, answer, names_in_lane

pytestmark = pytest.mark.integration

PATIENCE_S = 10.0


@pytest.fixture
async def producer(world: World) -> AsyncIterator[AIOKafkaProducer]:
    """Sends what it is given, where it is told to."""
    raw = AIOKafkaProducer(bootstrap_servers=world.config.settings.kafka_bootstrap, max_request_size=4_000_000)
    await raw.start()
    yield raw
    await raw.stop()


@pytest.fixture
def identity(world: World) -> Identity:
    """The sandbox wallet's own."""
    return kept_identity(world.logs)


async def _send(world: World, producer: AIOKafkaProducer, topic: str, order_id: str, value: bytes) -> None:
    lane = lane_of(order_id, world.config.settings.lanes)
    await producer.send_and_wait(topic, value, key=order_id.encode(), partition=lane)


async def _death(world: World, shop: Shop, order_id: str) -> str:
    """The reason of the key's dead letter, once a good order behind it in its lane has gone through."""
    lanes = world.config.settings.lanes
    in_its_lane = names_in_lane(f"{order_id[:30]}_b", lane_of(order_id, lanes), lanes)
    behind = next(name for name in in_its_lane if name not in shop.events)
    await shop.create(behind, "payment", 100, "Behind the bad one")
    connection = await asyncpg.connect(world.config.settings.postgres_dsn)
    try:
        async with asyncio.timeout(PATIENCE_S):
            # One whose value names an order of another lane is sent on there first, and dies there.
            while not (
                rows := await connection.fetch(
                    "select reason, value from paystate.dead_letters where record_key = $1", order_id.encode()
                )
            ):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()
    (row,) = rows
    return str(row["reason"])


def _created(order_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "type": "order.created",
        "event_id": "e1",
        "order_id": order_id,
        "occurred_at": "2026-11-24T08:00:00Z",
        "kind": "payment",
        "amount_minor": 100,
        "currency": "CNY",
        "profile": "sandbox",
        "subject": "A mug",
    } | changes


_GOOD = json.dumps(_created("X"))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("not_json", b"{not json", "not JSON"),
        ("not_an_object", b"[1, 2]", "not a JSON object but an array"),
        ("not_utf8", b'{"type": "\xff\xfe"}', "not JSON"),
        ("empty", b"", "not JSON"),
        ("unknown_type", json.dumps(_created("x", type="order.exploded")).encode(), "order.exploded"),
        ("no_type", b'{"event_id": "e1"}', "type"),
        ("currency_unlisted", json.dumps(_created("x", currency="XXQ")).encode(), "not an ISO 4217 currency code"),
        ("float_money", json.dumps(_created("x", amount_minor=1.5)).encode(), "amount_minor"),
        ("string_money", json.dumps(_created("x", amount_minor="100")).encode(), "amount_minor"),
        ("huge_money", json.dumps(_created("x", amount_minor=10**30)).encode(), "amount_minor"),
        ("nan", _GOOD.replace("100", "NaN").encode(), "not JSON"),
        ("no_profile", json.dumps(_created("x", profile="nobody")).encode(), "no wallet profile is named 'nobody'"),
        ("two_megabytes", json.dumps(_created("x", subject="x" * 2_097_152)).encode(), "at most 1048576 are taken"),
        ("nul", json.dumps(_created("x", subject="a\0b")).encode(), "NUL"),
        ("nul_in_metadata", json.dumps(_created("x", metadata={"a": "\0"})).encode(), "NUL"),
        ("lone_surrogate", _GOOD.replace("A mug", "\\ud800").encode(), "not JSON"),
        (
            "repeated_key",
            _GOOD.replace("{", '{"amount_minor": 1, ', 1).encode(),
            "the key 'amount_minor' is repeated",
        ),
        ("bad_order_id", json.dumps(_created("a__b")).encode(), "is not an order id"),
        ("no_zone", json.dumps(_created("x", occurred_at="2026-11-24T08:00:00")).encode(), "occurred_at"),
        ("too_dear", json.dumps(_created("x", amount_minor=10**12)).encode(), "the wallet would refuse this order"),
    ],
)
async def test_a_bad_order_event_is_a_dead_letter_with_its_reason(
    world: World, shop: Shop, producer: AIOKafkaProducer, name: str, value: bytes, reason: str
) -> None:
    await _send(world, producer, Topic.ORDERS, f"bad_{name}", value)
    assert reason in await _death(world, shop, f"bad_{name}")


async def test_a_tombstone_and_a_record_without_a_key_are_dead_letters(
    world: World, shop: Shop, producer: AIOKafkaProducer
) -> None:
    lane = lane_of("tombstone", world.config.settings.lanes)
    await producer.send_and_wait(Topic.ORDERS, None, key=b"tombstone", partition=lane)
    await producer.send_and_wait(Topic.COMPLETIONS, b"{}", partition=lane)
    assert "not JSON" in await _death(world, shop, "tombstone")


async def test_the_command_says_why_an_order_is_not_there(
    world: World, shop: Shop, producer: AIOKafkaProducer, paystate: Paystate
) -> None:
    await _send(world, producer, Topic.ORDERS, "why_not", json.dumps(_created("why_not", currency="QQQ")).encode())
    await _death(world, shop, "why_not")
    done = paystate("orders", "show", "why_not")
    assert done.returncode == 1
    assert "order why_not is not known; orders.events@" in done.stderr
    assert "not an ISO 4217 currency code" in done.stderr


async def test_a_completion_in_another_currency_is_flagged_and_not_captured(shop: Shop) -> None:
    order_str = await shop.create("yen", "preauth", 5_000, "A bicycle")
    await shop.buyer_confirms(order_str)
    await shop.state("yen", State.AUTHORIZED)
    await shop.publish(
        Topic.COMPLETIONS,
        "yen",
        "service.completed",
        completion_id="c1",
        amount_minor=100,
        currency="JPY",
    )
    await shop.seen("yen", "service_completed")
    last = shop.events["yen"][-1]
    assert (last["state"], last["disposition"], last["taken_minor"]) == ("authorized", "flagged", 0)
    assert last["reason"] == "the completion says JPY, the order is in CNY"


def _callback(identity: Identity, fields: dict[str, str], **changes: str) -> bytes:
    """A callback's body as the wallet signs it; `changes` are made after the signing."""
    params = {
        "notify_id": "2026112400222000000000000000000000099",
        "notify_time": wallet_time(SystemClock().now()),
        "notify_type": "trade_status_sync",
        "app_id": identity.app_id,
        "seller_id": identity.seller_id,
        "charset": "utf-8",
        "version": "1.0",
        "trade_no": "2026112422001473000000000099",
        "trade_status": "TRADE_SUCCESS",
    } | fields
    key = load_private_key(identity.wallet_private_pem)
    signature = sign(key, base_string(params).encode(), SignType.RSA2)
    return encode_form(params | {"sign_type": "RSA2", "sign": signature} | changes, "utf-8")


def _record(body: bytes) -> bytes:
    return json.dumps(
        {
            "type": "wallet.callback",
            "profile": "sandbox",
            "received_at": "2026-11-24T08:00:00Z",
            "method": "POST",
            "path": "/wallets/sandbox/notify",
            "headers": {"content-type": "application/x-www-form-urlencoded"},
            "body_base64": b64encode(body).decode(),
        }
    ).encode()


async def test_a_forged_callback_moves_nothing_whichever_way_it_comes(
    world: World, shop: Shop, producer: AIOKafkaProducer, identity: Identity
) -> None:
    await shop.create("forged", "payment", 100, "A mug")
    body = _callback(identity, {"out_trade_no": "forged", "total_amount": "1.00"}, total_amount="1.01")
    async with httpx2.AsyncClient(trust_env=False) as client:
        reply = await client.post(f"{world.bridge_url}/wallets/sandbox/notify", content=body)
    assert (reply.status_code, reply.content) == (400, b"fail")

    # Who can write to Kafka still cannot move money.
    await _send(world, producer, Topic.CALLBACKS, "forged", _record(body))
    assert "the callback is refused" in await _death(world, shop, "forged")
    assert shop.events["forged"][-1]["state"] == "paying"


async def test_a_genuine_callback_that_nobody_understands_is_kept_for_a_person(
    world: World, shop: Shop, identity: Identity
) -> None:
    await shop.create("pondered", "payment", 100, "A mug")
    body = _callback(
        identity, {"out_trade_no": "pondered", "total_amount": "1.00", "trade_status": "TRADE_PONDERING"}
    )
    async with httpx2.AsyncClient(trust_env=False) as client:
        reply = await client.post(f"{world.bridge_url}/wallets/sandbox/notify", content=body)
    # The wallet need not come again: it would say the same.
    assert (reply.status_code, reply.content) == (200, b"success")
    assert "its trade_status 'TRADE_PONDERING' is not known" in await _death(world, shop, "pondered")


async def test_a_callback_with_a_wrong_amount_is_flagged_and_not_booked(
    world: World, shop: Shop, producer: AIOKafkaProducer, identity: Identity
) -> None:
    await shop.create("underpaid", "payment", 100, "A mug")
    body = _callback(identity, {"out_trade_no": "underpaid", "total_amount": "0.99", "notify_id": "n-underpaid"})
    await _send(world, producer, Topic.CALLBACKS, "underpaid", _record(body))
    await shop.seen("underpaid", "payment_succeeded")
    last = shop.events["underpaid"][-1]
    assert (last["state"], last["taken_minor"], last["flags"]) == ("paying", 0, [Flag.AMOUNT_MISMATCH])
    assert last["reason"] == "the wallet says 0.99 CNY, the order is 1.00 CNY"


async def test_a_callback_that_comes_before_its_order_waits_for_it(
    world: World, shop: Shop, producer: AIOKafkaProducer, identity: Identity
) -> None:
    body = _callback(identity, {"out_trade_no": "early", "total_amount": "1.00", "notify_id": "n-early"})
    await _send(world, producer, Topic.CALLBACKS, "early", _record(body))
    await _send(world, producer, Topic.CALLBACKS, "early", _record(body))
    await _parked(world, "early", 2)
    await shop.create("early", "payment", 100, "A mug")
    await shop.state("early", State.PAID)
    await _parked(world, "early", 0)
    assert [event["trigger"] for event in shop.events["early"]] == ["create", "issue", "payment_succeeded"]


async def _parked(world: World, order_id: str, count: int) -> None:
    connection = await asyncpg.connect(world.config.settings.postgres_dsn)
    try:
        async with asyncio.timeout(10):
            query = "select count(*) from paystate.parked where order_id = $1"
            while await connection.fetchval(query, order_id) != count:
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def test_a_record_in_the_wrong_partition_is_sent_on_to_its_own(
    world: World, shop: Shop, producer: AIOKafkaProducer, paystate: Paystate
) -> None:
    lanes = world.config.settings.lanes
    wrong = (lane_of("astray", lanes) + 1) % lanes
    await producer.send_and_wait(
        Topic.ORDERS, json.dumps(_created("astray")).encode(), key=b"astray", partition=wrong
    )
    await shop.seen("astray", "issue")
    rows = answer(paystate("lanes", "--output", "json"))
    assert rows[wrong]["counters"]["forwarded"] >= 1


async def test_what_the_database_refuses_dies_alone(world: World, shop: Shop, producer: AIOKafkaProducer) -> None:
    together = list(islice(names_in_lane("refused", 0, world.config.settings.lanes), 9))
    bad = {together[0], together[5]}
    connection = await asyncpg.connect(world.config.settings.postgres_dsn)
    # What no record can bring about: a bug of ours that only a constraint stops.
    await connection.execute(f"alter table paystate.orders add constraint bad check (order_id not in {tuple(bad)})")
    try:
        batch = producer.create_batch()
        for name in together:
            batch.append(key=name.encode(), value=json.dumps(_created(name)).encode(), timestamp=None)
        await producer.send_batch(batch, Topic.ORDERS, partition=0)
        assert {(await _death(world, shop, name)).partition(":")[0] for name in bad} == {
            "the database refuses what it leads to"
        }
    finally:
        await connection.execute("alter table paystate.orders drop constraint bad")
        await connection.close()
    for name in set(together) - bad:
        await shop.seen(name, "issue")


async def test_after_all_that_the_promises_hold(paystate: Paystate) -> None:
    report = answer(paystate("verify", "--output", "json"))
    assert report["ok"], report
    assert report["published"] == report["journal"] > 0
