"""What `decide` answers: the order afterwards, its journal entries, and what is to be done."""

from dataclasses import dataclass, field

from schemas.vocabulary import Disposition, Flag, State, Trigger
from statemachine.order import Operation, Order


@dataclass(frozen=True, slots=True)
class Policy:
    """The times by which the lifecycle goes, in seconds."""

    # After the wallet-side deadline: for the wallet's clock, and for a payment that was under way.
    pay_grace_s: float = 10.0
    # A paying order is first asked about after this; then at doubling intervals up to the longest.
    first_query_s: float = 20.0
    longest_query_s: float = 600.0
    # A close that nobody confirmed goes on being asked about, at doubling intervals, this many times.
    close_sweeps: int = 12
    # How long before its end an authorization is warned about and queried, as a share of its life.
    authorization_warning_share: float = 0.1


# Written once and never changed; `frozen` would make it five times as slow to make, and each event makes one.
@dataclass(slots=True)
class Entry:
    """One journal entry: a version of the order. Amounts are totals after it, in minor units.

    `operation` is the one that this entry began, moved or ended, else None.
    """

    version: int
    trigger: Trigger
    disposition: Disposition
    previous_state: State | None
    state: State
    reason: str
    frozen_minor: int
    taken_minor: int
    released_minor: int
    refunded_minor: int
    flags: frozenset[Flag]
    operation: Operation | None
    wallet_trade_no: str | None
    wallet_auth_no: str | None


@dataclass(slots=True)
class Decision:
    """`order` is a new object; the one given to `decide` is never changed.

    `entries` is empty for a duplicate, and for an answer or a timer that told nothing new.
    `operations` are those that began, moved or ended, each as it now is.
    `query` asks the reconciler to ask the wallet about the order now.
    """

    order: Order
    entries: list[Entry] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    duplicate: bool = False
    query: bool = False
