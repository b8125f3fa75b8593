"""The auditor finds what it is there to find; and it shares no code with what it audits."""

import ast
import inspect
import json
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from schemas.vocabulary import State, Topic
from service.clock import RandomIds, SystemClock
from service.dev.kafka import EmbeddedKafka
from service.kafka.clients import idempotent_producer, started
from service.sandbox.demo.shop import Shop, open_shop
from service.sandbox.demo.world import SETTINGS, World, running_processes
from tests.conftest import make_database
from tests.faults import auditor

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def own_world(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An installation whose journal and topic may be damaged."""
    with (
        EmbeddedKafka() as broker,
        make_database(postgres_dsn) as dsn,
        running_processes(
            dsn, broker.bootstrap, tmp_path_factory.mktemp("world"), SETTINGS | {"PAYSTATE_LANES": "2"}
        ) as running,
    ):
        yield running


@pytest.fixture
async def own_shop(own_world: World) -> AsyncIterator[Shop]:
    async with open_shop(own_world, SystemClock(), RandomIds(), lambda _event: None) as opened:
        yield opened


async def _audit(world: World) -> auditor.Audit:
    settings = world.config.settings
    return await auditor.audit(settings.postgres_dsn, settings.kafka_bootstrap)


def _kinds(found: auditor.Audit) -> set[str]:
    return {kind for kind, texts in found.differences.items() if texts}


async def _send(producer: AIOKafkaProducer, lane: int, event: dict[str, Any], key: str | None = None) -> None:
    """As the relay would, under the order's own key unless another is given."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": event["event_id"],
        "ce_type": f"paystate.order.{event['state']}",
        "ce_source": "/paystate",
        "ce_subject": event["order_id"],
        "ce_time": event["occurred_at"],
    }
    await producer.send_and_wait(
        Topic.STATE_EVENTS,
        json.dumps(event).encode(),
        key=(key or event["order_id"]).encode(),
        partition=lane,
        headers=[(name, value.encode()) for name, value in attributes.items()],
    )


async def test_every_kind_of_difference_is_found(own_world: World, own_shop: Shop) -> None:
    for number in range(6):
        await own_shop.buyer_confirms(await own_shop.create(f"audited_{number}", "payment", 100, "A mug"))
        await own_shop.state(f"audited_{number}", State.PAID)
    own_world.children["engine"].stop(signal.SIGTERM)
    clean = await _audit(own_world)
    assert _kinds(clean) == set()
    assert sum(len(lane.published) for lane in clean.lanes.values()) >= 18
    assert next(clean.lines()).endswith(" 0 differences")

    (number, lane) = max(clean.lanes.items(), key=lambda each: len(each[1].published))
    first, second = lane.published[0].event, lane.published[1].event
    end = lane.published[-1].lane_seq
    async with started(idempotent_producer(own_world.config.kafka)) as producer:
        await _send(producer, number, first)
        assert _kinds(await _audit(own_world)) == {"published twice"}
        await _send(producer, number, second | {"lane_seq": end + 2})
        await _send(producer, number, second | {"lane_seq": end + 1})
        assert _kinds(await _audit(own_world)) == {"published twice", "out of order", "not in the journal"}
        await _send(producer, number, first, key="another")
        await _send(producer, 1 - number, first)
        odd = (await _audit(own_world)).differences["not a record as promised"]
        assert [text.split(" ", 3)[2] for text in sorted(odd)] == ["key", "partition"]
        await producer.send_and_wait(
            Topic.STATE_EVENTS, json.dumps(first).encode(), key=first["order_id"].encode(), partition=number
        )
        assert len((await _audit(own_world)).differences["not a record as promised"]) == 2 + 6

    connection = await asyncpg.connect(own_world.config.settings.postgres_dsn)
    try:
        await connection.execute("set session_replication_role = replica")
        await connection.execute(
            "update paystate.journal set event = (event::jsonb || '{\"taken_minor\": 7}')::json"
            " where lane = $1 and lane_seq = 2",
            number,
        )
        assert "not what the journal says" in _kinds(await _audit(own_world))
        await connection.execute(
            "insert into paystate.journal (lane, lane_seq, order_id, version, born, event)"
            " select lane, 9999, order_id, version + 77, born, event from paystate.journal"
            " where lane = $1 and lane_seq = 1",
            number,
        )
        found = _kinds(await _audit(own_world))
        assert found >= {"never published", "a gap in the lane", "a gap in an order's versions"}
    finally:
        await connection.close()


async def test_what_an_open_transaction_hides_is_found(own_world: World) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=own_world.config.settings.kafka_bootstrap, transactional_id="audited"
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(Topic.STATE_EVENTS, b"{}", partition=0)
        assert "neither committed nor aborted" in _kinds(await _audit(own_world))
        await producer.abort_transaction()
        assert "neither committed nor aborted" not in _kinds(found := await _audit(own_world))
        assert found.lanes[0].aborted == 1
    finally:
        await producer.stop()


def test_the_auditor_shares_no_code_with_what_it_audits() -> None:
    tree = ast.parse(inspect.getsource(auditor))
    names = [
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    assert names
    assert not [name for name in names if name.split(".")[0] in {"service", "statemachine", "schemas", "tests", ""}]
