"""A few seeds of everything: that they hold, that a seed decides all, and that planted bugs are found."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.relay import Relay
from tests.simulation.coverage import missing, required
from tests.simulation.hunt import hunt
from tests.simulation.mutants import ALL
from tests.simulation.plan import plan_of
from tests.simulation.run import failure_of, run
from tests.simulation.shrink import shortest

# `make simulate` runs thousands.
SEEDS = 150
# Found by one of the first few seeds: one of each kind.
QUICK = (
    "no fence",
    "cache kept after an unknown commit",
    "poison dropped in silence",
    "tail not read again",
    "attempt not stored",
    "timeout = rejected",
    "additions instead of totals: refunded",
    "no dedupe",
)


def test_worlds_in_which_everything_fails_come_to_rest() -> None:
    result = run(0, SEEDS, os.cpu_count() or 1)
    assert result.failed == {}
    assert result.seeds == SEEDS
    # Far from all, with so few: but no kind of fault and no end of an order is missing.
    assert [name for name in missing(result.seen) if name[0] in ("fault", "end", "call")] == []


def test_a_seed_decides_everything_whatever_the_hashes_are() -> None:
    program = (
        "from tests.simulation.run import failure_of; from tests.simulation.plan import plan_of; import zlib;"
        "print([zlib.crc32('\\n'.join(failure_of(plan_of(seed), tells=True)[0].story).encode())"
        " for seed in range(20, 40)])"
    )

    def told(hash_seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(told, ("1", "4711"))
    assert first == second
    assert first.count(",") == 19


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name: str) -> None:
    (mutant,) = [each for each in ALL if each.name == name]
    is_found, said = hunt(mutant, within=60)
    assert is_found, said


def test_every_bug_has_its_place() -> None:
    places = {m.name: Path(str(find_spec(m.module).origin)).read_text("utf-8").count(m.old) for m in ALL}  # type: ignore[union-attr]
    assert {name: count for name, count in places.items() if count != 1} == {}


def test_no_planted_bug_is_planted_twice() -> None:
    assert len({mutant.name for mutant in ALL}) == len({(m.module, m.old, m.new) for m in ALL}) == len(ALL)


def test_what_must_be_seen_is_missed_when_it_is_not() -> None:
    _, error = failure_of(plan_of(0))
    assert error is None
    assert set(missing(failure_of(plan_of(0))[0].seen)) < required()


def test_a_failing_story_is_told_as_short_as_it_can_be() -> None:
    plan = plan_of(7)
    last = plan.orders[-1].order_id

    def fails(smaller: object) -> Exception | None:
        # In place of a bug: the last order alone is the trouble.
        return AssertionError("it: is there") if last in str(smaller) else None

    small = shortest(plan, fails)
    assert [order.order_id for order in small.orders] == [last]
    assert len(small.orders[0].acts) <= 1


def test_a_world_that_hangs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: Relay) -> None:
        while True:
            pass

    monkeypatch.setattr(Relay, "_sleep", hangs)
    monkeypatch.setattr("tests.simulation.run.HANGS_AFTER_S", 0.5)
    _, error = failure_of(plan_of(0))
    assert "HangsError" in repr(error)
