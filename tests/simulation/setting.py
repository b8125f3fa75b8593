"""How the simulated world is furnished: its times, its ids, and who listens to what the service logs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import structlog

from service.dispatch.dispatcher import RetrySchedule
from statemachine.decision import Policy
from tests.simulation.faults import Faults

# Short times, so that a life is short; what matters is which is longer than which.
POLICY = Policy(pay_grace_s=3, first_query_s=2, longest_query_s=15, close_sweeps=3)
SCHEDULE = RetrySchedule(first_s=0.5, longest_s=8, tries=4, review_every_s=20)
BEAT_S = 2.0
CALLS_AT_ONCE = 4
# After everything has healed the world has so long to come to rest.
REST_WITHIN_S = 900.0
LOOK_EVERY_S = 5.0
# Logged by the service where it has found a bug of its own.
ALARMS = frozenset(
    {
        "lane_failed",
        "lane_halted",
        "timer_stuck",
        "operation_not_driven",
        "order_not_asked_about",
        "record_refused_by_database",
        "operation_refused_by_builder",
        "order_string_refused",
        "order_string_without_profile",
        "order_without_profile",
    }
)


class Ids:
    """Ids and jitter that the seed decides."""

    def __init__(self, faults: Faults) -> None:
        self._numbers = count(1)
        self._jitter = faults.dice("jitter").random

    def uuid7(self) -> str:
        return f"{next(self._numbers):08d}-0000-7000-8000-000000000000"

    def jitter(self) -> float:
        return self._jitter()


@contextmanager
def heard(listen: Callable[[str, dict[str, Any]], None]) -> Iterator[None]:
    """What the service logs is heard and not written."""

    def hear(_logger: object, _method: str, told: dict[str, Any]) -> dict[str, Any]:
        listen(told.pop("event"), told)
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[hear],
        wrapper_class=structlog.make_filtering_bound_logger(30),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
