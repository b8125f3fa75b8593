"""Two workers: fair shares soon, and lanes handed over at SIGTERM without anybody waiting for a lease."""

import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.judge import judge
from tests.faults.load import Load
from tests.faults.stories import plan
from tests.faults.world import LANES, Engine, World, running_world, until

pytestmark = [pytest.mark.integration, pytest.mark.faults]

# Longer than anything here may take: whatever is owned again before has been handed over.
LEASE_S = 30
SHARED_WITHIN_S = 10.0


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world(durable=False, PAYSTATE_LEASE_TTL_S=str(LEASE_S)) as running:
        yield running


def _shares(world: World) -> list[int]:
    owners = Counter(row["owner"] for row in world.paystate("lanes") if row["status"] == "owned")
    return sorted(owners.values())


def _owned_by(load: Load, engine: Engine) -> int:
    return sum(engine.owns(now.owner) for now in load.watch.lanes.values())


def test_a_second_worker_gets_its_share_and_gives_it_back_at_sigterm(world: World) -> None:
    load = Load(world, plan(40, random.Random(5), patient=False), random.Random(5))
    load.start()
    try:
        first = world.start_engine()
        load.allow(0.5)
        second = world.start_engine(wait=False)
        until(
            lambda: _owned_by(load, first) == _owned_by(load, second) == LANES // 2,
            SHARED_WITHIN_S,
            "each of two workers owns half of the lanes",
        )
        assert _shares(world) == [LANES // 2] * 2
        load.allow(1)
        until(second.is_ready, SHARED_WITHIN_S, "the second worker is ready")
        began = time.monotonic()
        assert second.end() == 0
        until(lambda: _owned_by(load, first) == LANES, LEASE_S / 2, "the first worker owns every lane again")
        assert time.monotonic() - began < LEASE_S / 2
        assert judge(world, load).problems == []
    finally:
        load.finish()
    assert first.end() == 0
