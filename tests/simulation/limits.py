"""Narrow limits: no life here comes near production's, and what happens there would never happen.

Some worlds have batches of one record, a cache of one order, a relay that remembers nothing and queues that are
full at once.
"""

import random
from collections.abc import Mapping
from types import ModuleType

import pytest

from service.lanes import backlog, intake, worker
from statemachine import seen

# What a limit is called in its module, and how narrow it may be.
_NARROW: dict[str, tuple[ModuleType, tuple[int, ...]]] = {
    "MAX_BATCH": (worker, (1, 2, 5)),
    "OPENED_AT_ONCE": (worker, (1, 3)),
    "MAX_TIMERS_PER_BATCH": (worker, (1, 2)),
    "CACHE_ORDERS": (worker, (0, 1, 2)),
    "MAX_TRANSACTION": (backlog, (1, 2, 5)),
    "MAX_BACKLOG": (backlog, (0, 1, 3)),
    "QUEUE_HIGH": (intake, (1, 2, 4)),
    "REMEMBERED_CALLBACKS": (seen, (1, 2)),
}
NAMES = frozenset(_NARROW)


def limits_of(seed: int) -> dict[str, int]:
    """The limits that are narrow in the seed's world, and how narrow. None in half of the worlds."""
    dice = random.Random(f"{seed}:limits")
    if dice.random() < 0.5:
        return {}
    return {name: dice.choice(values) for name, (_, values) in _NARROW.items() if dice.random() < 0.5}


def narrow(limits: Mapping[str, int], patch: pytest.MonkeyPatch) -> None:
    """Sets these limits for as long as the patch lasts."""
    for name, limit in limits.items():
        module, _ = _NARROW[name]
        patch.setattr(module, name, limit)
    if "QUEUE_HIGH" in limits:
        # A queue is filled again once it is empty.
        patch.setattr(intake, "QUEUE_LOW", 0)
