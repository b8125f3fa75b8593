"""The same Idempotency-Key does nothing twice: not at once, not later, not after a crash in between."""

import asyncio
from typing import Any

import asyncpg
import pytest

from schemas.vocabulary import State
from service.http.ordering import Limits
from service.sandbox.demo.shop import Shop
from service.sandbox.demo.world import World
from service.store import idempotency
from tests.http.api import MUG, POWER_BANK, is_problem, served

pytestmark = pytest.mark.integration


def keyed(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


async def _lapse(world: World, key: str) -> None:
    """As if so much time had passed that nobody can be at work on the key any more."""
    connection = await asyncpg.connect(world.config.settings.postgres_dsn)
    try:
        await connection.execute("update paystate.idempotency_keys set held_until = now() where key = $1", key)
    finally:
        await connection.close()


async def test_a_key_that_was_forgotten_makes_no_second_order(world: World, shop: Shop) -> None:
    """Its row is deleted after a week, and after an attempt that was refused before it could publish."""
    first = await shop.api.post("/v1/orders", json=MUG, headers=keyed("forgotten"))
    connection = await asyncpg.connect(world.config.settings.postgres_dsn)
    await connection.execute("delete from paystate.idempotency_keys where key = 'forgotten'")
    await connection.close()
    second = await shop.api.post("/v1/orders", json=MUG, headers=keyed("forgotten"))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["order_id"] == second.json()["order_id"]


async def test_the_same_key_gets_the_same_answer(shop: Shop) -> None:
    first = await shop.api.post("/v1/orders", json=MUG, headers=keyed("same"))
    await shop.buyer_confirms(first.json()["order_str"])
    await shop.state(first.json()["order_id"], State.PAID)
    second = await shop.api.post("/v1/orders", json=dict(reversed(MUG.items())), headers=keyed("same"))
    assert (first.status_code, second.status_code) == (201, 201)
    # What was answered; but what can be paid no more is not handed out once more.
    assert second.json() == first.json() | {"order_str": None}
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]


async def test_another_key_makes_another_order(shop: Shop) -> None:
    replies = [await shop.api.post("/v1/orders", json=MUG, headers=keyed(key)) for key in ("one", "two")]
    assert len({reply.json()["order_id"] for reply in replies}) == 2


async def test_the_same_key_for_another_request_is_refused(shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=MUG, headers=keyed("other"))).json()
    path = f"/v1/orders/{made['order_id']}/cancel"
    for reply in (
        await shop.api.post("/v1/orders", json=MUG | {"amount_minor": 451}, headers=keyed("other")),
        await shop.api.post("/v1/orders", json=MUG | {"order_id": "key_other"}, headers=keyed("other")),
        await shop.api.post(path, headers=keyed("other")),
    ):
        is_problem(reply, 422, "key-reused")
    assert (await shop.api.get(f"/v1/orders/{made['order_id']}")).json()["state"] == "paying"


async def test_duplicates_at_the_same_moment_make_one_order(shop: Shop) -> None:
    async def until_answered() -> dict[str, Any]:
        while (reply := await shop.api.post("/v1/orders", json=MUG, headers=keyed("at_once"))).status_code == 409:
            is_problem(reply, 409, "in-progress")
            assert reply.headers["retry-after"] == "1"
            await asyncio.sleep(0.02)
        assert reply.status_code == 201
        made: dict[str, Any] = reply.json()
        return made

    replies = await asyncio.gather(*(until_answered() for _ in range(20)))
    assert len({str(reply) for reply in replies}) == 1
    shown = (await shop.api.get(f"/v1/orders/{replies[0]['order_id']}")).json()
    assert [event["trigger"] for event in shown["timeline"]] == ["create", "issue"]


async def test_while_the_first_is_under_way_the_second_is_told_so(world: World) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def publish(*_: Any) -> int:
        begun.set()
        await go_on.wait()
        raise OSError("no broker")

    async with served(world, publish=publish) as client:
        first = asyncio.create_task(client.post("/v1/orders", json=MUG, headers=keyed("under_way")))
        await begun.wait()
        is_problem(await client.post("/v1/orders", json=MUG, headers=keyed("under_way")), 409, "in-progress")
        go_on.set()
        is_problem(await first, 503, "unavailable")


async def test_after_a_crash_between_publishing_and_answering_the_key_finds_the_same_order(
    world: World, shop: Shop
) -> None:
    published: list[bytes] = []

    async def crash(topic: str, order_id: str, value: bytes, headers: list[tuple[str, bytes]]) -> int:
        published.append(value)
        await shop.publisher.publish(topic, order_id, value, headers)
        await asyncio.sleep(3600)
        raise AssertionError

    async with served(world, publish=crash) as client:
        lost = asyncio.create_task(client.post("/v1/orders", json=MUG, headers=keyed("crash")))
        while not published:
            await asyncio.sleep(0.01)
        lost.cancel()
    await _lapse(world, "crash")
    made = await shop.api.post("/v1/orders", json=MUG, headers=keyed("crash"))
    assert made.status_code == 201
    assert f'"order_id":"{made.json()["order_id"]}"'.encode() in published[0]
    shown = (await shop.api.get(made.headers["location"])).json()
    assert [event["trigger"] for event in shown["timeline"]] == ["create", "issue"]


async def test_what_could_not_be_published_is_carried_on_with_the_same_ids(world: World, shop: Shop) -> None:
    tried: list[bytes] = []

    async def fail(_topic: str, _order_id: str, value: bytes, _headers: list[tuple[str, bytes]]) -> int:
        tried.append(value)
        raise OSError("no broker")

    async with served(world, publish=fail) as client:
        for _ in range(2):
            is_problem(await client.post("/v1/orders", json=MUG, headers=keyed("down")), 503, "unavailable")
    assert tried[0] == tried[1]
    made = (await shop.api.post("/v1/orders", json=MUG, headers=keyed("down"))).json()
    assert f'"order_id":"{made["order_id"]}"'.encode() in tried[0]


async def test_what_took_too_long_is_waited_for_again(world: World, shop: Shop) -> None:
    async def publish(*_: Any) -> int:
        return 10**9

    async with served(world, publish=publish, limits=Limits(order_s=0.1)) as client:
        late = await client.post("/v1/orders", json=MUG, headers=keyed("late"))
    made = await shop.api.post("/v1/orders", json=MUG, headers=keyed("late"))
    assert (late.status_code, made.status_code) == (202, 201)
    assert late.json()["order_id"] == made.json()["order_id"]


async def test_a_refused_request_leaves_the_key_free(shop: Shop) -> None:
    bad = MUG | {"profile": "nobody"}
    is_problem(await shop.api.post("/v1/orders", json=bad, headers=keyed("mended")), 422, "order-refused")
    assert (await shop.api.post("/v1/orders", json=MUG, headers=keyed("mended"))).status_code == 201


async def test_a_key_is_not_forgotten_for_a_repeat_that_is_refused(world: World, shop: Shop) -> None:
    """The first attempt may have been published, though nobody was told so."""

    async def never_told(*_: Any) -> int:
        raise TimeoutError

    headers, path = keyed("refused_later"), "/v1/orders/key_refused_later"
    await shop.api.post("/v1/orders", json=POWER_BANK | {"order_id": "key_refused_later"})
    body = {"amount_minor": 1, "currency": "CNY"}
    async with served(world, publish=never_told) as client:
        is_problem(await client.post(f"{path}/completions", json=body, headers=headers), 503, "unavailable")
    async with served(world, refusal=lambda *_: "no") as client:
        is_problem(await client.post(f"{path}/completions", json=body, headers=headers), 422, "event-refused")
    other = await shop.api.post(f"{path}/completions", json=body | {"amount_minor": 2}, headers=headers)
    is_problem(other, 422, "key-reused")


@pytest.mark.parametrize(("what", "name"), [("completions", "completion_id"), ("refunds", "refund_id")])
async def test_money_needs_an_id_or_a_key(shop: Shop, what: str, name: str) -> None:
    """Somebody who comes again after a 503, as told, would move it a second time."""
    path, body = f"/v1/orders/key_none/{what}", {"amount_minor": 100, "currency": "CNY"}
    assert name in is_problem(await shop.api.post(path, json=body), 422, "id-needed")["detail"]
    is_problem(await shop.api.post(path, json=body | {name: None}), 422, "id-needed")


async def test_whoever_asks_under_an_id_that_was_taken_is_told_so(shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=MUG)).json()
    await shop.buyer_confirms(made["order_str"])
    await shop.state(made["order_id"], State.PAID)
    path = f"/v1/orders/{made['order_id']}/refunds"
    refund = {"amount_minor": 100, "currency": "CNY", "refund_id": "r1"}
    # One that is refused by its order may be asked for again.
    await shop.api.post(path, json=refund | {"amount_minor": 451})
    await shop.seen(made["order_id"], "refund_requested")
    first = await shop.api.post(path, json=refund)
    await shop.seen(made["order_id"], "refund_succeeded")
    second = await shop.api.post(path, json=refund)
    assert [reply.status_code for reply in (first, second)] == [202, 202]
    assert [reply.json()["taken_before"] for reply in (first, second)] == [False, True]
    shown = (await shop.api.get(f"/v1/orders/{made['order_id']}")).json()
    assert shown["refunded_minor"] == 100
    known = {event["cause_event_id"] for event in shown["timeline"]}
    assert first.json()["event_id"] in known
    assert second.json()["event_id"] not in known


async def test_a_refund_is_asked_for_once_even_after_its_row_is_gone(world: World, shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=MUG)).json()
    await shop.buyer_confirms(made["order_str"])
    await shop.state(made["order_id"], State.PAID)
    path, refund = f"/v1/orders/{made['order_id']}/refunds", {"amount_minor": 100, "currency": "CNY"}
    first = await shop.api.post(path, json=refund, headers=keyed("refund"))
    second = await shop.api.post(path, json=refund, headers=keyed("refund"))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    await shop.seen(made["order_id"], "refund_succeeded")

    connection = await asyncpg.connect(world.config.settings.postgres_dsn)
    try:
        await connection.execute("delete from paystate.idempotency_keys where key = 'refund'")
    finally:
        await connection.close()
    third = await shop.api.post(path, json=refund, headers=keyed("refund"))
    assert third.json() == first.json()
    other = await shop.api.post(path, json=refund, headers=keyed("another_refund"))
    assert other.json()["refund_id"] != first.json()["refund_id"]
    await shop._until(
        made["order_id"], lambda: shop.events[made["order_id"]][-1]["refunded_minor"] == 200, "both refunds"
    )
    shown = (await shop.api.get(f"/v1/orders/{made['order_id']}")).json()
    assert [(each["kind"], each["amount_minor"]) for each in shown["operations"]] == [("refund", 100)] * 2


async def test_a_completion_is_taken_once(shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=POWER_BANK)).json()
    path = f"/v1/orders/{made['order_id']}/completions"
    body = {"amount_minor": 7_000, "currency": "CNY"}
    replies = [await shop.api.post(path, json=body, headers=keyed("used")) for _ in range(3)]
    assert len({reply.text for reply in replies}) == 1
    await shop.buyer_confirms(made["order_str"])
    await shop.state(made["order_id"], State.CAPTURED)
    completed = [e for e in shop.events[made["order_id"]] if e["trigger"] == "service_completed"]
    assert len(completed) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "has blanks in it"])
async def test_a_key_that_is_none_is_refused(shop: Shop, key: str) -> None:
    problem = is_problem(await shop.api.post("/v1/orders", json=MUG, headers=keyed(key)), 422, "invalid-request")
    assert problem["errors"][0]["field"] == "idempotency-key"


async def test_old_rows_are_pruned_and_new_ones_are_not(world: World, shop: Shop) -> None:
    for key in ("old", "new"):
        await shop.api.post("/v1/orders", json=MUG, headers=keyed(key))
    connection = await asyncpg.connect(world.config.settings.postgres_dsn)
    try:
        await connection.execute(
            "update paystate.idempotency_keys set created_at = now() - make_interval(days => $1) where key = 'old'",
            idempotency.KEPT_DAYS + 1,
        )
        async with served(world) as client:
            for _ in range(100):
                kept = await connection.fetch("select key from paystate.idempotency_keys")
                if "old" not in {row["key"] for row in kept}:
                    break
                await asyncio.sleep(0.02)
            again = await client.post("/v1/orders", json=MUG, headers=keyed("new"))
    finally:
        await connection.close()
    assert {"new"} <= {row["key"] for row in kept}
    assert "old" not in {row["key"] for row in kept}
    assert again.headers["idempotency-replayed"] == "true"
