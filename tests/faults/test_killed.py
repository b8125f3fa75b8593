"""A short count of what `make faults` does at length: engines killed and frozen, lanes handed on under load."""

import pytest

from tests.faults import breaking
from tests.faults.run import Fault, run

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SEED = 20_261_124


@pytest.mark.parametrize(
    "fault",
    [
        # With the orders that wait for the end of the wallet's pay window, which take a minute: once is enough.
        Fault(breaking.engine_killed, 3, 80),
        Fault(breaking.engine_frozen, 2, 80, patient=False),
    ],
    ids=lambda fault: fault.name,
)
def test_nothing_is_lost_and_nothing_happens_twice(fault: Fault) -> None:
    result = run(fault, "embedded", SEED, durable=False, PAYSTATE_LEASE_TTL_S="2")
    assert result.verdict.problems == []
    assert (result.verdict.orders, result.verdict.lost, result.verdict.doubled) == (80, 0, 0)
    assert len(result.recoveries) == fault.times
    assert max(result.recoveries) < 15
