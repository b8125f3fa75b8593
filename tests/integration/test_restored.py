"""Postgres restored to an older state: the lane halts, and `paystate rebase` brings it back, with nothing twice."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx2
import orjson
import pytest

from schemas.vocabulary import State, Topic
from service import wiring
from service.clock import SystemClock
from service.config import Config, Settings, load
from service.dev.kafka import EmbeddedKafka
from service.kafka.access import KafkaAccess
from service.kafka.broker import Kafka
from service.kafka.forwarder import Forwarder
from service.kafka.partition import lane_of
from service.kafka.topics import administrator, create_topics
from service.lanes.rebase import NotRebasedError
from service.sandbox.app import create_app as create_sandbox
from service.sandbox.identity import fresh_identity, write_profile
from service.sandbox.ledger import Ledger
from service.store import orders as order_rows
from service.store import parked as parked_rows
from service.store import views
from service.store.migrate import migrate
from service.verify import verify
from service.wallets.registry import build_adapters
from statemachine.order import Order
from tests.integration.test_halts import running
from tests.sandbox.merchant import running as served

pytestmark = pytest.mark.integration

LANES = 2
PATIENCE_S = 30.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of the test's own: its topics have this database's lanes."""
    with EmbeddedKafka(tmp_path / "kafka") as server:
        yield server


@dataclass
class Shop:
    """A merchant whose buyers pay at a real wallet; callbacks are lost, so the engine asks."""

    config: Config
    publisher: Forwarder
    wallet: httpx2.AsyncClient

    def on(self, dsn: str) -> "Shop":
        settings = self.config.settings.model_copy(update={"postgres_dsn": dsn})
        return replace(self, config=Config(settings, self.config.profiles, None))

    async def publish(self, topic: Topic, order_id: str, type_: str, **fields: Any) -> None:
        record = {
            "type": type_,
            "event_id": f"{order_id}-{type_}",
            "order_id": order_id,
            "occurred_at": "2026-03-01T12:00:00Z",
            **fields,
        }
        await self.publisher.publish(topic, order_id, orjson.dumps(record))

    async def creates(self, order_id: str, kind: str) -> None:
        terms = {"currency": "CNY", "profile": "sandbox", "subject": "A mug"}
        await self.publish(Topic.ORDERS, order_id, "order.created", kind=kind, amount_minor=10_000, **terms)
        await self.until(order_id, State.PAYING)

    async def pays(self, order_id: str) -> None:
        order = await self.order(order_id)
        assert order is not None
        text = await asyncio.to_thread(build_adapters(self.config.profiles)["sandbox"].order_string, order)
        wish = {"order_str": text, "action": "confirm", "callback": "lose"}
        assert (await self.wallet.post("/sandbox/pay", json=wish)).json()["result_code"] == "9000"

    async def order(self, order_id: str) -> Order | None:
        connection = await asyncpg.connect(
            self.config.settings.postgres_dsn, server_settings={"search_path": "paystate"}
        )
        try:
            return (await order_rows.load(connection, lane_of(order_id, LANES), [order_id])).get(order_id)
        finally:
            await connection.close()

    async def makes_anew(self, topic: Topic) -> None:
        """The topic, empty: all that it had is gone."""
        async with administrator(self.config.kafka) as admin:
            await admin.delete_topics([topic])
        await create_topics(self.config.kafka, LANES)
        # The old one counts on from what it has sent.
        await self.publisher.close()
        self.publisher = Forwarder(Kafka(self.config.kafka), LANES)

    async def until(self, order_id: str, state: State) -> Order:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                order = await self.order(order_id)
                if order is not None and order.state is state and order.operation is None:
                    return order
                await asyncio.sleep(0.1)

    async def waits(self, order_id: str, count: int) -> None:
        """Returns when so many records wait for the order."""
        lane = lane_of(order_id, LANES)

        async def waiting(database: Any) -> int:
            async with database.acquire() as connection:
                return (await parked_rows.counts(connection, lane)).get(order_id, 0)

        async with asyncio.timeout(PATIENCE_S):
            while await self._with_database(waiting) != count:
                await asyncio.sleep(0.1)

    async def halted(self, lanes: set[int]) -> None:
        """Returns when just these lanes are halted, and the others are owned."""
        async with asyncio.timeout(PATIENCE_S):
            while {row["lane"]: row["status"] for row in await self._with_database(views.lane_rows)} != {
                lane: "halted" if lane in lanes else "owned" for lane in range(LANES)
            }:
                await asyncio.sleep(0.1)

    async def all_is_well(self) -> None:
        report = await self._with_database(lambda database: verify(database, self.config.kafka, 10.0))
        assert [check for check in report.checks if not check.ok] == []

    async def _with_database(self, work: Any) -> Any:
        database = wiring.database(self.config)
        try:
            return await work(database)
        finally:
            await database.close()


@pytest.fixture
async def shop(broker: EmbeddedKafka, database_dsn: str, tmp_path: Path) -> AsyncIterator[Shop]:
    await migrate(database_dsn, LANES)
    await create_topics(KafkaAccess(broker.bootstrap), LANES)
    identity = fresh_identity()
    wallet = create_sandbox(identity, Ledger(None), SystemClock(), random.Random(7))
    async with served(wallet) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        settings = Settings(
            postgres_dsn=database_dsn,
            kafka_bootstrap=broker.bootstrap,
            lanes=LANES,
            lease_ttl_s=1,
            first_query_s=0.3,
            profiles={},
        )
        profiles = load(write_profile(tmp_path, identity, url)).profiles
        publisher = Forwarder(Kafka(KafkaAccess(broker.bootstrap)), LANES)
        opened = Shop(Config(settings, profiles, None), publisher, client)
        try:
            yield opened
        finally:
            await opened.publisher.close()


@contextlib.asynccontextmanager
async def _copy_of(dsn: str) -> AsyncIterator[str]:
    """What a backup made now would bring back."""
    split = urlsplit(dsn)
    name = f"{split.path[1:]}_older"
    admin = await asyncpg.connect(urlunsplit(split._replace(path="/postgres")))
    try:
        await admin.execute(f"create database {name} template {split.path[1:]}")
        yield urlunsplit(split._replace(path=f"/{name}"))
    finally:
        await admin.execute(f"drop database if exists {name} with (force)")
        await admin.close()


async def test_a_database_that_was_restored_takes_over_what_was_published(shop: Shop) -> None:
    async with running(shop.config):
        for order_id, kind in (("rented", "preauth"), ("mug", "payment")):
            await shop.creates(order_id, kind)
        await shop.pays("rented")
        await shop.until("rented", State.AUTHORIZED)
    async with _copy_of(shop.config.settings.postgres_dsn) as older_dsn:
        async with running(shop.config):
            await shop.publish(
                Topic.COMPLETIONS, "rented", "service.completed",
                completion_id="c1", amount_minor=7_000, currency="CNY",
            )  # fmt: skip
            await shop.until("rented", State.CAPTURED)
            await shop.pays("mug")
            await shop.until("mug", State.PAID)
            await shop.creates("plate", "payment")
            await shop.all_is_well()
        restored = shop.on(older_dsn)
        async with running(restored.config):
            lanes = {lane_of(name, LANES) for name in ("rented", "mug", "plate")}
            await restored.halted(lanes)
            order = await restored.order("rented")
            assert order is not None
            assert order.state is State.AUTHORIZED
            for lane in lanes:
                done = await wiring.rebase(restored.config, lane)
                assert "Postgres went back in time" in done.halt_reason
                assert done.events > 0
            rented = await restored.until("rented", State.CAPTURED)
            assert (rented.taken_minor, rented.released_minor) == (7_000, 3_000)
            await restored.until("mug", State.PAID)
            await restored.pays("plate")
            await restored.until("plate", State.PAID)
            await restored.halted(set())
            await restored.all_is_well()
        ledger = (await shop.wallet.get("/sandbox/ledger")).json()
        requests = {each["request_no"]: each["times_seen"] for row in ledger for each in row["requests"]}
        # What had been captured is not asked for again.
        assert requests["rented__C1"] == 1


@contextlib.asynccontextmanager
async def _empty_database(dsn: str) -> AsyncIterator[str]:
    """What is left when there is no backup at all."""
    split = urlsplit(dsn)
    name = f"{split.path[1:]}_new"
    admin = await asyncpg.connect(urlunsplit(split._replace(path="/postgres")))
    try:
        await admin.execute(f"create database {name}")
        empty_dsn = urlunsplit(split._replace(path=f"/{name}"))
        await migrate(empty_dsn, LANES)
        yield empty_dsn
    finally:
        await admin.execute(f"drop database if exists {name} with (force)")
        await admin.close()


async def test_a_database_that_knows_nothing_takes_all_over_once_what_is_missing_was_sent_again(shop: Shop) -> None:
    async with running(shop.config):
        await shop.creates("mug", "payment")
        await shop.pays("mug")
        await shop.until("mug", State.PAID)
    lane = lane_of("mug", LANES)
    await shop.makes_anew(Topic.ORDERS)
    async with _empty_database(shop.config.settings.postgres_dsn) as empty_dsn:
        restored = shop.on(empty_dsn)
        async with running(restored.config):
            await restored.halted({lane})
            with pytest.raises(NotRebasedError, match=r"order mug: order.created mug-order.created .* sent again"):
                await wiring.rebase(restored.config, lane)
            terms = {"currency": "CNY", "profile": "sandbox", "subject": "A mug"}
            await shop.publish(Topic.ORDERS, "mug", "order.created", kind="payment", amount_minor=10_000, **terms)
            assert (await wiring.rebase(restored.config, lane)).orders == 1
            await restored.until("mug", State.PAID)
            await restored.halted(set())
            await restored.all_is_well()


async def test_what_had_waited_for_an_order_is_neither_lost_nor_left_waiting(shop: Shop) -> None:
    lane = lane_of("rented", LANES)
    cost = {"completion_id": "c1", "amount_minor": 7_000, "currency": "CNY"}
    async with running(shop.config):
        for _ in range(2):
            await shop.publish(Topic.COMPLETIONS, "rented", "service.completed", **cost)
        await shop.waits("rented", 2)
    async with _copy_of(shop.config.settings.postgres_dsn) as older_dsn:
        async with running(shop.config):
            await shop.creates("rented", "preauth")
        # And the completion has left its topic, in which the same offsets will be given out again.
        await shop.makes_anew(Topic.COMPLETIONS)
        restored = shop.on(older_dsn)
        async with running(restored.config):
            await restored.halted({lane})
            with pytest.raises(NotRebasedError, match=r"service.completed rented-service.completed .* sent again"):
                await wiring.rebase(restored.config, lane)
            await shop.publish(Topic.COMPLETIONS, "rented", "service.completed", **cost)
            assert (await wiring.rebase(restored.config, lane)).orders == 1
            order = await restored.order("rented")
            assert order is not None
            assert [each.amount_minor for each in order.waiting] == [7_000]
            await restored.waits("rented", 0)
            await restored.pays("rented")
            await restored.until("rented", State.CAPTURED)
            await restored.halted(set())
            await restored.all_is_well()
