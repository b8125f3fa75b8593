"""An order's state events over HTTP as they happen: resumable, kept alive, and bounded."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from service.sandbox.demo.shop import Shop
from service.sandbox.demo.world import World
from tests.http.api import MUG, is_problem, served

pytestmark = pytest.mark.integration


@asynccontextmanager
async def followed(
    client: httpx2.AsyncClient, order_id: str, last_event_id: str | None = None
) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of an order's stream."""
    headers = {} if last_event_id is None else {"last-event-id": last_event_id}
    async with client.stream("GET", f"/v1/orders/{order_id}/events", headers=headers) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["cache-control"] == "no-store"
        yield reply.aiter_lines()


async def events(lines: AsyncIterator[str], count: int) -> list[tuple[int, dict[str, Any]]]:
    """So many events, each with its id."""
    found: list[tuple[int, dict[str, Any]]] = []
    version = 0
    async with asyncio.timeout(20):
        async for line in lines:
            if line.startswith("id: "):
                version = int(line[4:])
            elif line.startswith("data: "):
                found.append((version, json.loads(line[6:])))
                if len(found) == count:
                    break
    return found


async def test_what_has_happened_and_what_happens_is_sent(shop: Shop) -> None:
    made = (await shop.api.post("/v1/orders", json=MUG | {"order_id": "sse_paid"})).json()
    async with followed(shop.api, "sse_paid") as lines:
        before = await events(lines, 2)
        assert [(version, event["state"]) for version, event in before] == [(1, "created"), (2, "paying")]
        await shop.buyer_confirms(made["order_str"])
        ((version, event),) = await events(lines, 1)
        assert (version, event["version"], event["state"], event["taken_minor"]) == (3, 3, "paid", 450)


async def test_it_goes_on_after_the_last_event_that_was_seen(shop: Shop) -> None:
    await shop.api.post("/v1/orders", json=MUG | {"order_id": "sse_resumed"})
    async with followed(shop.api, "sse_resumed", "1") as lines:
        assert [version for version, _ in await events(lines, 1)] == [2]
        await shop.api.post("/v1/orders/sse_resumed/client-result", json={"result_code": "8000"})
        assert [event["trigger"] for _, event in await events(lines, 1)] == ["client_result"]


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "99999999999", "²", "0" * 12 + "9" * 11, "0" * 5_000])
async def test_a_last_event_id_that_is_none_is_refused(shop: Shop, last: str) -> None:
    await shop.api.post("/v1/orders", json=MUG | {"order_id": "sse_none"})
    headers = {"last-event-id": last.encode()}
    reply = await shop.api.get("/v1/orders/sse_none/events", headers=headers)  # type: ignore[arg-type]
    is_problem(reply, 400, "bad-last-event-id")


async def test_silence_is_broken_and_the_stream_ends_by_itself(world: World) -> None:
    async with served(world, lifetime_s=1.0, heartbeat_s=0.1) as client:
        await client.post("/v1/orders", json=MUG | {"order_id": "sse_short"})
        async with asyncio.timeout(5), followed(client, "sse_short") as lines:
            seen = [line async for line in lines]
    assert seen[0] == "retry: 1000"
    assert seen.count(": still here") >= 3
    assert [line for line in seen if line.startswith("id:")] == ["id: 1", "id: 2"]


async def test_there_are_only_so_many_streams_and_a_place_is_free_again(world: World) -> None:
    async with served(world, most=2, heartbeat_s=0.1) as client:
        await client.post("/v1/orders", json=MUG | {"order_id": "sse_many"})
        async with followed(client, "sse_many") as one, followed(client, "sse_many") as two:
            await events(one, 1)
            await events(two, 1)
            is_problem(await client.get("/v1/orders/sse_many/events"), 503, "too-many-streams")
        async with asyncio.timeout(5):
            while True:
                async with client.stream("GET", "/v1/orders/sse_many/events") as again:
                    if again.status_code == 200:
                        break
                await asyncio.sleep(0.05)


async def test_a_server_that_stops_ends_its_streams_in_good_order(world: World) -> None:
    async with served(world) as client:
        await client.post("/v1/orders", json=MUG | {"order_id": "sse_stopped"})
        caught_up, url = asyncio.Event(), client.base_url

        async def follow() -> None:
            async with (
                httpx2.AsyncClient(base_url=url, trust_env=False, timeout=15) as reader,
                followed(reader, "sse_stopped") as lines,
            ):
                await events(lines, 2)
                caught_up.set()
                async for _ in lines:
                    pass

        following = asyncio.create_task(follow())
        await caught_up.wait()
        began = asyncio.get_running_loop().time()
    # Without an error: the last chunk came.
    await asyncio.wait_for(following, 5)
    assert asyncio.get_running_loop().time() - began < 2.5
