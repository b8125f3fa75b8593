"""Everything that can go wrong, by name, and the dice that decide when it does.

Each kind has dice of its own, made from the seed: taking one kind out of a failing story leaves the others'
as they are, as far as the story itself goes on alike.
"""

import random
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

# Kind: the highest rate that a seed may draw for it. Of what is asked (a statement, a request, a call, a
# record), or for those in DAILY, how many times in a world's life.
MOST: dict[str, float] = {
    # Processes.
    "crash": 0.02,
    "stall": 0.02,
    "handover": 2,
    # Postgres.
    "statement_refused": 0.03,
    "statement_answer_lost": 0.03,
    "statement_late": 0.02,
    "statement_orphaned": 0.02,
    "commit_refused": 0.05,
    "commit_answer_lost": 0.1,
    "commit_late": 0.05,
    "commit_orphaned": 0.1,
    "postgres_outage": 2,
    "postgres_clock_jump": 2,
    # Kafka.
    "produce_refused": 0.05,
    "produce_answer_lost": 0.05,
    "produce_late": 0.05,
    "produce_orphaned": 0.05,
    "publish_refused": 0.1,
    "publish_answer_lost": 0.15,
    "publish_late": 0.1,
    "publish_orphaned": 0.1,
    "markers_late": 0.2,
    "metadata_refused": 0.03,
    "metadata_late": 0.06,
    "kafka_outage": 2,
    "fetch_late": 0.1,
    "forward_answer_lost": 0.3,
    # Input.
    "input_duplicated": 0.3,
    "input_delayed": 0.3,
    "input_misrouted": 0.2,
    "input_malformed": 0.15,
    "callback_forged": 0.3,
    "callback_lost": 1,
    "callback_repeated": 0.3,
    "callback_delayed": 0.5,
    "callback_wrong": 0.1,
    # Wallet.
    "call_refused": 0.2,
    "call_late": 0.15,
    "call_orphaned": 0.15,
    "call_answer_lost": 0.3,
    "answer_unsigned": 0.15,
    "answer_wrong": 0.1,
    "answer_pending": 0.8,
    "wallet_refuses": 0.6,
    "wallet_releases": 0.6,
    "wallet_refunds": 0.9,
    "wallet_captures": 0.7,
    "wallet_clock_behind": 1,
    "wallet_outage": 2,
    # A person: how often what could be said is said.
    "person_speaks": 1,
    # Offsets without a record, as transactions of upstream and compaction leave them.
    "input_gap": 0.3,
    "markers_lost": 0.05,
    # What has been done at once, and is told when much else has been done since.
    "commit_answer_late": 0.05,
    "publish_answer_late": 0.1,
    "call_answer_late": 0.15,
}
# They come at moments, not with requests.
AT_MOMENTS = frozenset({"handover", "postgres_outage", "postgres_clock_jump", "kafka_outage", "wallet_outage"})

# What comes together makes trouble that none of it makes alone: some worlds have much of one of these.
THEMES = (
    ("crash", "stall", "handover", "commit_orphaned", "commit_answer_lost"),
    ("commit_refused", "commit_answer_lost", "commit_late", "commit_orphaned", "postgres_outage"),
    ("publish_refused", "publish_answer_lost", "publish_late", "publish_orphaned", "markers_late", "stall"),
    ("answer_pending", "wallet_refuses", "wallet_releases", "wallet_refunds", "wallet_captures"),
    ("answer_pending", "wallet_refuses", "wallet_refunds", "callback_lost", "wallet_outage"),
    ("call_refused", "call_answer_lost", "call_orphaned", "callback_lost", "crash"),
    ("input_duplicated", "input_delayed", "input_misrouted", "crash"),
    ("wallet_clock_behind", "callback_delayed", "wallet_outage", "wallet_refunds"),
)


def rates_of(seed: int) -> dict[str, float]:
    """A rate for every kind: many none, some a little, some as much as there may be."""
    dice = random.Random(f"{seed}:rates")
    # Quiet worlds, too: what only works when everything fails would not be found otherwise.
    share = dice.choice((0.0, 0.3, 0.6, 0.6, 0.9))
    theme = dice.choice(THEMES) if dice.random() < 0.5 else ()
    rates = {}
    for kind, most in MOST.items():
        chosen, much = dice.random() < share or kind in theme, dice.random()
        if kind in theme:
            much = max(much, 0.7)
        if kind in AT_MOMENTS:
            rates[kind] = round(most * much) if chosen else 0
        else:
            rates[kind] = most * much if chosen else 0.0
    return rates


@dataclass
class Faults:
    """The dice. `fired` counts what really went wrong; `are_over` once everything heals."""

    seed: int
    rates: dict[str, float]
    without: AbstractSet[str] = frozenset()
    are_over: bool = False
    fired: Counter[str] = field(default_factory=Counter)
    _dice: dict[str, random.Random] = field(default_factory=dict)

    def dice(self, kind: str) -> random.Random:
        found = self._dice.get(kind)
        if found is None:
            found = self._dice[kind] = random.Random(f"{self.seed}:{kind}")
        return found

    def rate(self, kind: str) -> float:
        return 0.0 if self.are_over or kind in self.without else self.rates.get(kind, 0.0)

    def happens(self, kind: str) -> bool:
        """Whether it goes wrong this time."""
        rate = self.rate(kind)
        if rate <= 0.0 or self.dice(kind).random() >= rate:
            return False
        self.fired[kind] += 1
        return True

    def between(self, kind: str, low: float, high: float) -> float:
        return self.dice(kind).uniform(low, high)
