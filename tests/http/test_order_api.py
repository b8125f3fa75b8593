"""The order API on the whole road: what is asked over HTTP becomes an order, and its order string pays."""

import asyncio
import os
from typing import Any

import asyncpg
import pytest

from schemas.vocabulary import State, Topic
from service import wiring
from service.http.ordering import Limits
from service.kafka.partition import lane_of
from service.sandbox.demo.shop import Shop
from service.sandbox.demo.world import World
from service.store.views import dead_letters_of_key
from tests.http.api import MUG, POWER_BANK, is_problem, served
from tests.integration.conftest import Paystate, answer

pytestmark = pytest.mark.integration


async def test_an_order_is_made_and_its_order_string_pays(shop: Shop) -> None:
    reply = await shop.api.post("/v1/orders", json=MUG)
    made = reply.json()
    assert (reply.status_code, made["state"], made["version"]) == (201, "paying", 2)
    assert reply.headers["location"] == f"/v1/orders/{made['order_id']}"
    assert reply.headers["cache-control"] == "no-store"

    await shop.buyer_confirms(made["order_str"])
    await shop.state(made["order_id"], State.PAID)
    shown = (await shop.api.get(reply.headers["location"])).json()
    assert (shown["state"], shown["taken_minor"], shown["amount_minor"]) == ("paid", 450, 450)
    assert shown["timeline"] == shop.events[made["order_id"]]


async def test_the_order_string_over_http_is_the_one_on_the_topic(shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=MUG | {"order_id": "api_same"})).json()
    await shop._until("api_same", lambda: "api_same" in shop.order_strings, "its order string")
    assert made["order_str"] == shop.order_strings["api_same"]
    again = (await shop.api.get("/v1/orders/api_same?order_str=true")).json()
    assert (again["order_str"], again["expires_at"]) == (made["order_str"], made["expires_at"])
    assert (await shop.api.get("/v1/orders/api_same")).json()["order_str"] is None


async def test_no_order_string_is_given_out_once_the_order_is_not_paying(shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=MUG | {"order_id": "api_cancelled"})).json()
    cancelled = await shop.api.post("/v1/orders/api_cancelled/cancel")
    assert cancelled.status_code == 202
    await shop.seen("api_cancelled", "cancel")
    shown = (await shop.api.get("/v1/orders/api_cancelled?order_str=true")).json()
    assert (shown["state"], shown["order_str"]) == ("expiring", None)
    assert [each["kind"] for each in shown["operations"]] == ["close"]
    (cancel,) = [event for event in shown["timeline"] if event["trigger"] == "cancel"]
    assert cancel["cause_event_id"] == cancelled.json()["event_id"]
    assert made["order_str"]


async def test_an_order_can_be_made_without_being_issued(shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=MUG | {"issue": False})).json()
    assert (made["state"], made["version"], made["order_str"], made["expires_at"]) == ("created", 1, None, None)


async def test_a_service_is_completed_and_part_of_the_money_goes_back(shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=POWER_BANK | {"order_id": "api_bank"})).json()
    await shop.buyer_confirms(made["order_str"])
    await shop.state("api_bank", State.AUTHORIZED)

    completion = {"completion_id": "c1", "amount_minor": 7_000, "currency": "CNY"}
    completed = (await shop.api.post("/v1/orders/api_bank/completions", json=completion)).json()
    assert completed.keys() == {"order_id", "event_id", "completion_id", "taken_before"}
    await shop.state("api_bank", State.CAPTURED)

    refund = {"refund_id": "r1", "amount_minor": 500, "currency": "CNY", "reason": "it was late"}
    refunded = (await shop.api.post("/v1/orders/api_bank/refunds", json=refund)).json()
    assert refunded["refund_id"] == "r1"
    await shop.seen("api_bank", "refund_succeeded")
    shown = (await shop.api.get("/v1/orders/api_bank")).json()
    assert (shown["state"], shown["taken_minor"], shown["refunded_minor"]) == ("partially_refunded", 7_000, 500)


async def test_what_the_client_was_told_leads_to_a_question(shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=MUG | {"order_id": "api_told"})).json()
    await shop.buyer_confirms(made["order_str"], callback="lose")
    reply = await shop.api.post("/v1/orders/api_told/client-result", json={"result_code": "9000"})
    assert reply.status_code == 202
    await shop.state("api_told", State.PAID)


async def test_metadata_and_the_trace_go_all_the_way(shop: Shop) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    body = MUG | {"order_id": "api_traced", "metadata": {"table": "7"}}
    await shop.api.post("/v1/orders", json=body, headers={"traceparent": trace})
    (first, *_) = (await shop.api.get("/v1/orders/api_traced")).json()["timeline"]
    assert (first["metadata"], first["traceparent"]) == ({"table": "7"}, trace)


async def test_an_order_id_is_used_once(shop: Shop) -> None:
    body = MUG | {"order_id": "api_once"}
    assert (await shop.api.post("/v1/orders", json=body)).status_code == 201
    is_problem(await shop.api.post("/v1/orders", json=body), 409, "order-exists")
    assert len((await shop.api.get("/v1/orders/api_once")).json()["timeline"]) == 2


async def test_of_two_that_make_the_same_order_at_once_one_has_made_it(shop: Shop) -> None:
    body = MUG | {"order_id": "api_race"}
    replies = await asyncio.gather(*(shop.api.post("/v1/orders", json=body) for _ in range(4)))
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    ("change", "status", "kind", "words"),
    [
        ({"amount_minor": 10**11}, 422, "order-refused", "the wallet would refuse"),
        ({"currency": "JPY"}, 422, "order-refused", "JPY"),
        ({"profile": "nobody"}, 422, "order-refused", "no wallet profile is named 'nobody'"),
        ({"currency": "XXQ"}, 422, "invalid-request", "ISO 4217"),
        ({"amount_minor": "450"}, 422, "invalid-request", "amount_minor"),
        ({"amount_minor": 4.5}, 422, "invalid-request", "amount_minor"),
        ({"kind": "gift"}, 422, "invalid-request", "kind"),
        ({"order_id": "a__b"}, 422, "invalid-request", "is not an order id"),
        ({"subject": "a\0b"}, 400, "malformed-json", "NUL"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_published(
    world: World, shop: Shop, change: dict[str, Any], status: int, kind: str, words: str
) -> None:
    async def publish(*_: Any) -> int:
        raise AssertionError("published")

    async with served(world, publish=publish) as client:
        problem = is_problem(await client.post("/v1/orders", json=MUG | change), status, kind)
    assert words in problem["detail"]
    if kind == "invalid-request":
        assert [each["field"] for each in problem["errors"]] == list(change)


@pytest.mark.parametrize(
    ("content", "media_type", "status", "kind"),
    [
        (b"{not json", "application/json", 400, "malformed-json"),
        (b'{"kind": "payment", "kind": "preauth"}', "application/json", 400, "malformed-json"),
        (b"[1]", "application/json", 400, "malformed-json"),
        (b"{}", "text/plain", 415, "not-json"),
        (b"", "application/json", 422, "invalid-request"),
        (b'{"subject": "' + b"x" * 65_536 + b'"}', "application/json", 413, "body-refused"),
    ],
)
async def test_a_body_that_is_none_is_a_problem(
    shop: Shop, content: bytes, media_type: str, status: int, kind: str
) -> None:
    reply = await shop.api.post("/v1/orders", content=content, headers={"content-type": media_type})
    is_problem(reply, status, kind)


@pytest.mark.parametrize("order_id", ["nobody_knows_me", "a__b", "%00", "x" * 60])
async def test_an_unknown_order_is_not_found(shop: Shop, order_id: str) -> None:
    refund, key = {"amount_minor": 1, "currency": "CNY"}, {"idempotency-key": "nobody"}
    for reply in (
        await shop.api.get(f"/v1/orders/{order_id}"),
        await shop.api.get(f"/v1/orders/{order_id}/events"),
        await shop.api.post(f"/v1/orders/{order_id}/cancel"),
        await shop.api.post(f"/v1/orders/{order_id}/refunds", json=refund, headers=key),
        await shop.api.post(f"/v1/orders/{order_id}/completions", json=refund, headers=key),
        await shop.api.post(f"/v1/orders/{order_id}/client-result", json={"result_code": "9000"}),
    ):
        is_problem(reply, 404, "no-such-order")


async def test_an_event_that_a_lane_would_not_take_is_refused(shop: Shop) -> None:
    await shop.api.post("/v1/orders", json=MUG | {"order_id": "api_refund"})
    refund = {"amount_minor": 0, "currency": "CNY"}
    is_problem(await shop.api.post("/v1/orders/api_refund/refunds", json=refund), 422, "invalid-request")


async def test_other_paths_and_methods_are_problems_too(shop: Shop) -> None:
    is_problem(await shop.api.get("/v1/nothing"), 404, "not-found")
    reply = await shop.api.delete("/v1/orders/o1")
    is_problem(reply, 405, "method-not-allowed")
    assert reply.headers["allow"] == "GET"


async def test_an_order_that_takes_too_long_can_be_looked_for(world: World) -> None:
    async def publish(*_: Any) -> int:
        return 10**9

    async with served(world, publish=publish, limits=Limits(order_s=0.2)) as client:
        reply = await client.post("/v1/orders", json=MUG)
        assert (reply.status_code, reply.json()["state"], reply.json()["order_str"]) == (202, None, None)
        assert reply.headers["location"] == f"/v1/orders/{reply.json()['order_id']}"
        is_problem(await client.get(reply.headers["location"]), 404, "no-such-order")


async def test_a_long_history_of_dead_letters_is_not_read_whole(world: World) -> None:
    database = wiring.owned_database(world.config)
    try:
        async with database.acquire() as connection:
            # A key may be longer than a B-tree takes.
            await connection.executemany(
                "insert into dead_letters (lane, topic, record_offset, record_key, headers, record_time, reason)"
                " values ($1, 'orders.events', $2, $3, '[]', now(), $4)",
                [
                    (lane_of("api_many", world.config.settings.lanes), -1 - n, key, f"reason {n}")
                    for n in range(100)
                    for key in [b"api_many" if n % 2 else os.urandom(5_000)]
                ],
            )
        rows = await dead_letters_of_key(database, "api_many")
    finally:
        await database.close()
    assert [row["reason"] for row in rows] == [f"reason {n}" for n in range(61, 100, 2)]


async def test_an_order_that_becomes_a_dead_letter_says_why(world: World, shop: Shop) -> None:
    async def publish(topic: str, order_id: str, value: bytes, headers: list[tuple[str, bytes]]) -> int:
        # As if the terms had been good when they were looked at here, and were not any more in the lane.
        return await shop.publisher.publish(topic, order_id, value.replace(b"sandbox", b"nowhere"), headers)

    async with served(world, publish=publish) as client:
        body = MUG | {"order_id": "api_dead"}
        problem = is_problem(await client.post("/v1/orders", json=body), 422, "order-refused")
        assert "no wallet profile is named 'nowhere'" in problem["detail"]
        shown = is_problem(await client.get("/v1/orders/api_dead"), 404, "no-such-order")
        assert "nowhere" in shown["detail"]


@pytest.mark.parametrize("failure", [OSError("no broker"), TimeoutError()])
async def test_what_cannot_be_published_is_to_come_again(world: World, failure: Exception) -> None:
    async def publish(*_: Any) -> int:
        raise failure

    async with served(world, publish=publish) as client:
        reply = await client.post("/v1/orders", json=MUG)
    is_problem(reply, 503, "unavailable")
    assert reply.headers["retry-after"] == "1"


async def test_one_document_describes_bridge_and_orders(shop: Shop) -> None:
    document = (await shop.api.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert {method for path in document["paths"].values() for method in path} == {"get", "post"}
    assert "/wallets/{profile}/notify" in document["paths"]
    assert "/v1/orders/{order_id}/events" in document["paths"]
    assert (await shop.api.get("/docs")).status_code == 200
    assert (await shop.api.get("/health")).json() == {"status": "ok"}
    is_problem(await shop.api.post("/v1/orders", json={}), 422, "invalid-request")
    told = (await shop.api.get("/metrics")).text
    for status in (201, 422):
        assert f'paystate_http_request_seconds_count{{method="POST",path="/v1/orders",status="{status}"}}' in told


async def test_no_order_string_is_kept(world: World, shop: Shop, paystate: Paystate) -> None:
    reply = await shop.api.post(
        "/v1/orders", json=MUG | {"order_id": "api_kept"}, headers={"idempotency-key": "kept"}
    )
    signature = reply.json()["order_str"].partition("&sign=")[2].partition("&")[0]
    connection = await asyncpg.connect(world.config.settings.postgres_dsn)
    try:
        rows = await connection.fetch("select row_to_json(k)::text as row from paystate.idempotency_keys k")
    finally:
        await connection.close()
    shown = answer(paystate("orders", "show", "api_kept", "--output", "json"))
    assert signature
    assert not any(signature in text for text in (*(row["row"] for row in rows), str(shown)))
    assert "api_kept" in str([row["row"] for row in rows])
    assert Topic.ORDER_STRINGS not in str(shown)
