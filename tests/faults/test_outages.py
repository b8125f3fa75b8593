"""Postgres or the broker gone or cut off under load: engines wait, say so, and go on, or end when told to."""

from collections.abc import Callable

import pytest

from tests.faults import breaking, cutting
from tests.faults.breaking import Breaking
from tests.faults.run import Fault, run

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SEED = 20_261_125
AWAY_S = 7.0
# Past the limit of a statement.
SILENT_S = 21.0


@pytest.mark.parametrize(
    "break_it", [breaking.servers_away, breaking.ended_in_outage], ids=lambda given: given.__name__
)
def test_servers_that_go_and_come_back_cost_time_and_nothing_else(
    break_it: Callable[[Breaking], list[float]],
) -> None:
    result = run(Fault(break_it, 2, 60, patient=False), "embedded", SEED, outage_s=AWAY_S, PAYSTATE_LEASE_TTL_S="2")
    assert result.verdict.problems == []
    assert (result.verdict.orders, result.verdict.lost, result.verdict.doubled) == (60, 0, 0)
    assert len(result.recoveries) == 2
    assert max(result.recoveries) < 20


def test_a_network_that_swallows_everything_costs_time_and_nothing_else() -> None:
    fault = Fault(cutting.postgres_cut_off, 1, 60, patient=False)
    result = run(fault, "embedded", SEED, durable=False, outage_s=SILENT_S, PAYSTATE_LEASE_TTL_S="2")
    assert result.verdict.problems == []
    assert (result.verdict.orders, result.verdict.lost, result.verdict.doubled) == (60, 0, 0)
    assert len(result.recoveries) == 1
    assert max(result.recoveries) < 20
