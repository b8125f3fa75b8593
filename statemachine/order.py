# ruff: noqa: D102 - a guard is a sentence already
"""An order: its terms, the facts about its money, where it stands, and the rules they must keep.

Facts are totals in minor units, of what the wallet has done: evidence sets a total, nothing is ever
added per message, so a repeated or reordered callback cannot count twice.
"""

from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter

from schemas.vocabulary import Flag, Kind, LatePayment, OperationKind, OperationState, State

# Why an end was begun.
BY_TIMER = "timer"
BY_CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that we ask of a wallet. Its id is its request number, fixed with its amount for ever.

    `complete` says of a capture that nothing more will follow, so that the wallet may release the rest.
    """

    id: str
    kind: OperationKind
    amount_minor: int
    state: OperationState = OperationState.RESERVED
    attempts: int = 0
    complete: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """A service completion that waits: for the authorization, or for the operation under way to end."""

    completion_id: str
    amount_minor: int
    final: bool


@dataclass(frozen=True, slots=True)
class Doubt:
    """That the wallet may know of more than we do, since when, and how far the questions about it are.

    `ask_at` is when it is asked again, unless something is under way then, after so many `questions` before.
    `is_flagged`: a person was asked to look for want of an answer.
    """

    since: datetime
    ask_at: datetime
    questions: int = 0
    is_flagged: bool = False


@dataclass(slots=True)
class Order:
    """One order. The first block never changes once the order exists; amounts are in minor units."""

    order_id: str
    kind: Kind
    profile: str
    currency: str
    amount_minor: int
    subject: str
    pay_timeout_s: int
    # How long the wallet itself lets the buyer pay: `pay_timeout_s`, rounded up if it counts in minutes.
    pay_window_s: int
    authorization_timeout_s: int
    late_payment: LatePayment
    created_at: datetime
    metadata: dict[str, str] = field(default_factory=dict)

    state: State = State.CREATED
    version: int = 0
    frozen_minor: int = 0
    taken_minor: int = 0
    released_minor: int = 0
    refunded_minor: int = 0
    flags: frozenset[Flag] = frozenset()
    # The one live operation, if any; ended ones are in the operations table.
    operation: Operation | None = None

    # What is accounted for by operations: the totals as they were when the last one of that kind began, and
    # with its amount once it succeeded. A success makes the total at least this much, so it counts once,
    # also when the wallet took or gave back something by itself before.
    captured_by_us_minor: int = 0
    released_by_us_minor: int = 0
    refunded_by_us_minor: int = 0
    # The last number given out per request letter.
    request_counts: dict[str, int] = field(default_factory=dict)
    waiting: tuple[Completion, ...] = ()
    # Why an end was begun: "timer" or "cancel"; decides between expired, closed and voided.
    ending: str | None = None
    # No more captures: the final completion has been seen and captured (or is being).
    final: bool = False

    wallet_trade_no: str | None = None
    wallet_auth_no: str | None = None
    issued_at: datetime | None = None
    pay_deadline: datetime | None = None
    authorization_deadline: datetime | None = None
    next_query_at: datetime | None = None
    queries: int = 0
    doubt: Doubt | None = None
    # Ids of inputs already taken (see decide): the same id again is a duplicate.
    seen: tuple[str, ...] = ()

    @property
    def held_minor(self) -> int:
        """What is still frozen: neither captured nor released."""
        if self.kind is Kind.PAYMENT:
            return 0
        return self.frozen_minor - self.taken_minor - self.released_minor

    def ending_in_words(self) -> str:
        """Why an end was begun, as a journal entry says it."""
        return f"by {self.ending}" if self.ending else ""

    # The guards of the table, each a sentence about the order as the facts now are.

    def is_a_payment(self) -> bool:
        return self.kind is Kind.PAYMENT

    def is_a_preauth(self) -> bool:
        return self.kind is Kind.PREAUTH

    def nothing_is_under_way(self) -> bool:
        return self.operation is None

    def nothing_waits(self) -> bool:
        return not self.waiting

    def a_capture_waits(self) -> bool:
        return bool(self.waiting) and self.waiting[0].amount_minor > 0

    def only_an_end_waits(self) -> bool:
        """The completion that waits says that the service cost nothing (more)."""
        return bool(self.waiting) and self.waiting[0].amount_minor == 0

    def something_is_held(self) -> bool:
        return self.held_minor > 0

    def nothing_is_held(self) -> bool:
        return self.held_minor == 0

    def nothing_was_captured(self) -> bool:
        return self.taken_minor == 0

    def something_was_captured(self) -> bool:
        return self.taken_minor > 0

    def nothing_more_to_come(self) -> bool:
        return self.final or self.held_minor == 0

    def more_may_come(self) -> bool:
        return not self.nothing_more_to_come()

    def by_timer(self) -> bool:
        return self.ending == BY_TIMER

    def not_by_timer(self) -> bool:
        return self.ending != BY_TIMER

    def late_money_goes_back(self) -> bool:
        return self.late_payment is LatePayment.REFUND

    def late_money_is_kept(self) -> bool:
        return self.late_payment is LatePayment.ACCEPT

    def the_close_is_unconfirmed(self) -> bool:
        return Flag.CLOSE_UNCONFIRMED in self.flags

    def something_can_be_refunded(self) -> bool:
        return self.taken_minor > self.refunded_minor

    def everything_was_refunded(self) -> bool:
        return self.refunded_minor == self.taken_minor

    def something_is_left(self) -> bool:
        return self.refunded_minor < self.taken_minor

    def nothing_was_refunded(self) -> bool:
        return self.refunded_minor == 0

    def something_was_refunded(self) -> bool:
        return self.refunded_minor > 0


_values_of = attrgetter(*(each.name for each in fields(Order)))


def copy_of(order: Order) -> Order:
    """A new order with the same values, which are never changed in place. 1 µs; deepcopy takes 100."""
    return Order(*_values_of(order))
