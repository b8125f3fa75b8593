"""The order API in this process, on a world's own Postgres and broker, with what a test wants otherwise."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2

from service import wiring
from service.clock import RandomIds, SystemClock
from service.http.app import create_app
from service.http.bridge import Bridge
from service.http.callers import Callers
from service.http.event_stream import EventStreams
from service.http.order_api import OrderApi
from service.http.ordering import Limits, Ordering, Publish, Refusal
from service.kafka.broker import Kafka
from service.kafka.forwarder import Forwarder
from service.lanes.inbox import Inbox
from service.sandbox.demo.world import World
from service.store import api_keys
from service.store.following import OrderRows
from service.store.idempotency import IdempotencyKeys
from service.wallets.registry import build_adapters
from tests.sandbox.merchant import running

MUG = {"kind": "payment", "amount_minor": 450, "currency": "CNY", "profile": "sandbox", "subject": "A mug"}
POWER_BANK = MUG | {"kind": "preauth", "amount_minor": 10_000, "subject": "A power bank"}


@asynccontextmanager
async def served(
    world: World,
    *,
    publish: Publish | None = None,
    limits: Limits | None = None,
    refusal: Refusal | None = None,
    keys_on_loopback: bool = False,
    **stream_options: Any,
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application that is served while the context lasts."""
    settings = world.config.settings
    database = wiring.database(world.config)
    adapters = build_adapters(world.config.profiles)
    publisher = Forwarder(Kafka(world.config.kafka), settings.lanes)
    rows = OrderRows(database, settings.lanes)
    api = OrderApi(
        database,
        Ordering(rows, adapters, publish or publisher.publish, refusal or Inbox(adapters).refusal, limits),
        IdempotencyKeys(database, settings.lanes),
        EventStreams(rows, **stream_options),
        SystemClock().now,
        RandomIds().uuid7,
    )
    callers = Callers(partial(api_keys.owner_of, database), keys_on_loopback=keys_on_loopback)
    app = create_app(Bridge(adapters, publisher.publish, SystemClock().now), api, callers)
    try:
        async with (
            running(app, on_stop=api.streams.end) as url,
            httpx2.AsyncClient(base_url=url, timeout=15.0, trust_env=False) as client,
        ):
            yield client
    finally:
        await publisher.close()
        await database.close()


def is_problem(answer: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem in an answer, which must be one of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:paystate:problem:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem
