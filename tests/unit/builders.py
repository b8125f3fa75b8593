"""Orders and inputs as the trade speaks of them. The order is always `o1`, in CNY."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from schemas.vocabulary import Kind, LatePayment, OperationKind, Outcome
from statemachine import decide as deciding
from statemachine.decision import Decision, Entry, Policy
from statemachine.inputs import (
    CancelRequested,
    ClientResult,
    EvidenceSource,
    Input,
    IssueRequested,
    OperationAttempted,
    OperationGivenUp,
    OperatorResolved,
    OrderCreated,
    RefundRequested,
    ServiceCompleted,
    TimerFired,
    Trade,
    WalletEvidence,
)
from statemachine.order import Order
from statemachine.timers import wake_at

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = Policy()
_ids = count(1)


def _id(prefix: str) -> str:
    return f"{prefix}{next(_ids)}"


# --- deciding


def decide(order: Order | None, given: Input, *, now: datetime = NOW, policy: Policy = POLICY) -> Decision:
    """The real one, at a fixed time, at which wallets have been asked, too."""
    if isinstance(given, WalletEvidence) and given.source is not EvidenceSource.CALLBACK:
        given = replace(given, occurred_at=now)
    return deciding.decide(order, given, now=now, policy=policy)


def after(order: Order | None, *given: Input, now: datetime = NOW, policy: Policy = POLICY) -> Order:
    """The order after one input and another."""
    for each in given:
        order = decide(order, each, now=now, policy=policy).order
    assert order is not None
    return order


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


# --- inputs


def created(amount: int = 100, kind: Kind = Kind.PAYMENT, *, issue: bool = True, **terms: Any) -> OrderCreated:
    given = OrderCreated(
        event_id=_id("e"),
        occurred_at=NOW,
        order_id="o1",
        kind=kind,
        profile="mall",
        currency="CNY",
        amount_minor=amount,
        subject="a subject",
        pay_timeout_s=900,
        pay_window_s=900,
        authorization_timeout_s=86_400,
        late_payment=LatePayment.REFUND,
        issue=issue,
        metadata={},
    )
    return replace(given, **terms)


def issue() -> IssueRequested:
    return IssueRequested(_id("e"), NOW)


def cancel(reason: str = "") -> CancelRequested:
    return CancelRequested(_id("e"), NOW, reason)


def client_result(code: str = "9000") -> ClientResult:
    return ClientResult(_id("e"), NOW, code)


def refund_of(amount: int, refund_id: str | None = None, currency: str = "CNY") -> RefundRequested:
    return RefundRequested(_id("e"), NOW, refund_id or _id("r"), amount, currency, "")


def completed(
    amount: int, *, final: bool = True, completion_id: str | None = None, currency: str = "CNY"
) -> ServiceCompleted:
    return ServiceCompleted(_id("e"), NOW, completion_id or _id("c"), amount, currency, final)


def callback(trade: Trade | None = None, *, event_id: str | None = None, **said: Any) -> WalletEvidence:
    return WalletEvidence(event_id or _id("n"), NOW, EvidenceSource.CALLBACK, "o1", trade, **said)


def queried(trade: Trade | None = None, **said: Any) -> WalletEvidence:
    return WalletEvidence(None, NOW, EvidenceSource.QUERY, "o1", trade, **said)


def replied(operation: str, outcome: Outcome, **said: Any) -> WalletEvidence:
    """The answer to our call: `replied("C1", SUCCEEDED)`."""
    return WalletEvidence(
        None, NOW, EvidenceSource.REPLY, "o1", request_no=f"o1__{operation}", outcome=outcome, **said
    )


def paid(amount: int = 100) -> WalletEvidence:
    return callback(Trade.PAID, order_amount_minor=amount, currency="CNY", total_taken_minor=amount)


def granted(amount: int = 100) -> WalletEvidence:
    return callback(Trade.FROZEN, order_amount_minor=amount, currency="CNY", total_frozen_minor=amount)


def attempted(operation: str) -> OperationAttempted:
    return OperationAttempted(NOW, f"o1__{operation}")


def given_up(operation: str) -> OperationGivenUp:
    return OperationGivenUp(NOW, f"o1__{operation}")


def timer() -> TimerFired:
    return TimerFired(NOW)


def resolved(order: Order, outcome: Outcome | None = None, version: int | None = None) -> OperatorResolved:
    return OperatorResolved(
        _id("p"),
        NOW,
        "ann",
        "looked at the console",
        "ticket 7",
        order.version if version is None else version,
        outcome,
    )


def sent(operation: str, *answers: WalletEvidence) -> tuple[Input, ...]:
    """A call of the wallet, and what it answered (success, where nothing else is said)."""
    return (attempted(operation), *(answers or (replied(operation, Outcome.SUCCEEDED),)))


# --- orders


def unissued(amount: int = 100, kind: Kind = Kind.PAYMENT) -> Order:
    return after(None, created(amount, kind, issue=False))


def paying(amount: int = 100, kind: Kind = Kind.PAYMENT, **terms: Any) -> Order:
    return after(None, created(amount, kind, **terms))


def paying_preauth(amount: int = 100) -> Order:
    return paying(amount, Kind.PREAUTH)


def expiring(amount: int = 100, kind: Kind = Kind.PAYMENT, **terms: Any) -> Order:
    order = paying(amount, kind, **terms)
    return after(order, timer(), now=past_pay_deadline(order))


def expired(amount: int = 100, kind: Kind = Kind.PAYMENT, **terms: Any) -> Order:
    return after(expiring(amount, kind, **terms), *sent("V1"))


def closed(amount: int = 100, kind: Kind = Kind.PAYMENT, **terms: Any) -> Order:
    return after(paying(amount, kind, **terms), cancel(), *sent("V1"))


def paid_order(amount: int = 100) -> Order:
    return after(paying(amount), paid(amount))


def refunding(amount: int = 100, back: int = 100) -> Order:
    return after(paid_order(amount), refund_of(back))


def authorized(amount: int = 100) -> Order:
    return after(paying_preauth(amount), granted(amount))


def capturing(amount: int = 100, cost: int = 70, *, final: bool = True) -> Order:
    return after(authorized(amount), completed(cost, final=final))


def partially_captured(amount: int = 100, cost: int = 30) -> Order:
    return after(capturing(amount, cost, final=False), *sent("C1"))


def captured(amount: int = 100) -> Order:
    """All of it: nothing is held."""
    return after(capturing(amount, amount), *sent("C1"))


def releasing_remainder(amount: int = 100, cost: int = 70) -> Order:
    """Captured, with the release of the rest live."""
    return after(capturing(amount, cost), *sent("C1"))


def voiding(amount: int = 100) -> Order:
    return after(authorized(amount), cancel())


def past_pay_deadline(order: Order) -> datetime:
    assert order.pay_deadline is not None
    return order.pay_deadline


# --- answers


def unanswered(order: Order, times: int, policy: Policy = POLICY) -> tuple[Order, list[float], list[Entry]]:
    """The order after so many questions without an answer, how long each was waited for (s), and the entries."""
    waits: list[float] = []
    entries: list[Entry] = []
    now = NOW
    for _ in range(times):
        wake = wake_at(order)
        assert wake is not None
        decision = decide(order, timer(), now=wake, policy=policy)
        assert decision.query
        waits.append((wake - now).total_seconds())
        entries += decision.entries
        order, now = decision.order, wake
    return order, waits, entries


def begun(decision: Decision) -> list[tuple[OperationKind, int]]:
    """What was newly asked of the wallet: `[capture(70)]`."""
    live = decision.order.operation
    return [(each.kind, each.amount_minor) for each in decision.operations if each == live]


def capture(amount: int) -> tuple[OperationKind, int]:
    return (OperationKind.CAPTURE, amount)


def release(amount: int) -> tuple[OperationKind, int]:
    return (OperationKind.RELEASE, amount)


def refund(amount: int) -> tuple[OperationKind, int]:
    return (OperationKind.REFUND, amount)


CLOSE = (OperationKind.CLOSE, 0)
