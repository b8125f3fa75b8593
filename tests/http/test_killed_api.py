"""The API's process is killed between publishing and answering: the same key leads to the same order."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx2
import pytest

from schemas.vocabulary import Topic
from service import wiring
from service.dev.child import Child, free_port
from service.sandbox.demo.shop import Shop
from service.sandbox.demo.world import World, _started
from service.store import api_keys, idempotency
from tests.http.api import MUG

pytestmark = pytest.mark.integration


@asynccontextmanager
async def another_api(world: World) -> AsyncIterator[tuple[Child, httpx2.AsyncClient]]:
    """One more `paystate serve`, as an operator starts it."""
    port = free_port()
    child, wait = _started(
        "another_api",
        ("serve", "--port", str(port)),
        world.logs / "another_api.log",
        os.environ | world.environment,
    )
    try:
        await asyncio.to_thread(wait)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=15) as client:
            yield child, client
    finally:
        child.stop(signal.SIGTERM)


async def _published(world: World, key: str) -> str:
    """The id of the order that was written down under a key, once there is one."""
    connection = await asyncpg.connect(world.config.settings.postgres_dsn)
    try:
        async with asyncio.timeout(10):
            query = "select order_id from paystate.idempotency_keys where key = $1"
            while (order_id := await connection.fetchval(query, key)) is None:
                await asyncio.sleep(0.01)
    finally:
        await connection.close()
    return str(order_id)


async def test_a_killed_api_is_forgiven(world: World, shop: Shop) -> None:
    headers = {"idempotency-key": "killed"}
    engine = world.children["engine"]
    async with another_api(world) as (api, client):
        # An engine that stands still for a moment keeps the answer back.
        os.kill(engine.pid, signal.SIGSTOP)
        try:
            lost = asyncio.create_task(client.post("/v1/orders", json=MUG, headers=headers))
            order_id = await _published(world, "killed")
            await asyncio.sleep(0.3)
            assert not lost.done()
            api.kill()
            with pytest.raises(httpx2.HTTPError):
                await lost
        finally:
            os.kill(engine.pid, signal.SIGCONT)
    async with asyncio.timeout(idempotency.HELD_S + 10):
        while (reply := await shop.api.post("/v1/orders", json=MUG, headers=headers)).status_code == 409:
            await asyncio.sleep(0.2)
    assert (reply.status_code, reply.json()["order_id"]) == (201, order_id)
    await shop.buyer_confirms(reply.json()["order_str"])
    await shop.seen(order_id, "payment_succeeded")
    assert [event["trigger"] for event in shop.events[order_id][:2]] == ["create", "issue"]
    assert sum(event["cause_topic"] == Topic.ORDERS for event in shop.events[order_id]) == 2


async def test_an_api_that_is_to_stop_answers_first(world: World) -> None:
    engine = world.children["engine"]
    async with another_api(world) as (api, client):
        os.kill(engine.pid, signal.SIGSTOP)
        try:
            answered = asyncio.create_task(client.post("/v1/orders", json=MUG, headers={"idempotency-key": "stop"}))
            await _published(world, "stop")
            os.kill(api.pid, signal.SIGTERM)
            # An answer takes so long while an engine is started again.
            await asyncio.sleep(4)
            assert not answered.done()
        finally:
            os.kill(engine.pid, signal.SIGCONT)
        assert (await answered).status_code == 201
        assert await asyncio.to_thread(api.wait_end, 10) == 0


async def test_the_service_can_look_keys_up_and_neither_make_nor_revoke_them(world: World) -> None:
    database = wiring.database(world.config)
    try:
        assert await api_keys.owner_of(database, "nobody", "x") is None
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api_keys.create(database, "mine", "mine", "x")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api_keys.revoke(database, "mine")
    finally:
        await database.close()
