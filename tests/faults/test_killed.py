"""A short count of what `make faults` does at length: engines killed and frozen, lanes handed on under load."""

from collections.abc import Callable

import pytest

from tests.faults import breaking
from tests.faults.breaking import Breaking
from tests.faults.run import Fault, run

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SEED = 20_261_124


@pytest.mark.parametrize(
    ("break_it", "times"),
    [(breaking.engine_killed, 3), (breaking.engine_frozen, 2)],
    ids=lambda given: getattr(given, "__name__", str(given)),
)
def test_nothing_is_lost_and_nothing_happens_twice(break_it: Callable[[Breaking], list[float]], times: int) -> None:
    result = run(Fault(break_it, times, 80), "embedded", SEED, durable=False, PAYSTATE_LEASE_TTL_S="2")
    assert result.verdict.problems == []
    assert (result.verdict.orders, result.verdict.lost, result.verdict.doubled) == (80, 0, 0)
    assert len(result.recoveries) == times
    assert max(result.recoveries) < 15
