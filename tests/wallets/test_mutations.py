"""A few thousand mutated callbacks in every run; `python -m tests.wallets.mutations 100000` for more."""

import random

import pytest

from tests.wallets.mutations import GENUINE, MUTATIONS, examine

COUNT = 3_000


@pytest.mark.parametrize("seed", [1, random.SystemRandom().randrange(2**32)], ids=["the same", "another"])
def test_no_mutated_callback_is_believed_unless_it_says_the_same(seed: int) -> None:
    figures = examine(COUNT // 2, seed)
    assert figures.wrong == [], f"seed {seed}"
    assert figures.count == COUNT // 2
    # Every sort has been tried, and those that only spell the same otherwise are believed.
    assert set(figures.refused) | set(figures.believed) == {mutate.__name__ for mutate in MUTATIONS}
    assert figures.believed["reorder"] > 0
    assert figures.believed["respell"] > 0
    for never in ("swap_values", "downgrade_hash"):
        assert figures.refused[never] > figures.believed[never]


def test_the_genuine_ones_are_of_every_sort() -> None:
    charsets = {genuine.fields["charset"].lower() for genuine in GENUINE}
    assert charsets == {"utf-8", "gbk"}
    sorts = {genuine.fields["notify_type"] for genuine in GENUINE}
    assert sorts == {"trade_status_sync", "fund_auth_freeze", "fund_auth_unfreeze"}
