"""A wallet that answers truly from now on, and all that drives an order to rest."""

from dataclasses import replace
from datetime import datetime, timedelta

from schemas.vocabulary import Kind, OperationKind, Outcome
from statemachine.decide import decide
from statemachine.decision import Decision
from statemachine.inputs import EvidenceSource, Input, OperationAttempted, TimerFired, Trade, WalletEvidence
from statemachine.order import Operation, Order
from statemachine.timers import wake_at
from tests.unit import builders as b
from tests.unit.exploration import POLICY

# Far more than any honest way takes; reached only by one that goes round in circles.
MAX_STEPS = 200


class HonestWallet:
    """Its ledger is what the order already knows. `done`: the live operation had taken effect before."""

    def __init__(self, order: Order, *, done: bool = False, refuses: bool = False) -> None:
        self.order = order
        self.refuses = refuses
        self.closed = False
        self.done: dict[str, bool] = {}
        self.totals = {
            "frozen": order.frozen_minor,
            "taken": order.taken_minor,
            "released": order.released_minor,
            "refunded": order.refunded_minor,
        }
        if done and order.operation is not None:
            self.carry_out(order.operation)

    def carry_out(self, operation: Operation) -> None:
        """Idempotent under the request number, as the wallets promise."""
        if operation.id in self.done:
            return
        if operation.kind is OperationKind.CLOSE:
            self.done[operation.id] = self.closed = not self.refuses
            return
        totals, amount = self.totals, operation.amount_minor
        held = totals["frozen"] - totals["taken"] - totals["released"]
        left = totals["taken"] - totals["refunded"]
        fits = amount <= (left if operation.kind is OperationKind.REFUND else held)
        self.done[operation.id] = fits and not self.refuses
        if self.done[operation.id]:
            total = {"capture": "taken", "release": "released", "refund": "refunded"}[operation.kind]
            totals[total] += amount

    def answer(self, source: EvidenceSource, operation: Operation | None, *, late: bool) -> WalletEvidence:
        """What it knows of the operation, or of the order."""
        said = WalletEvidence(None, b.NOW, source, self.order.order_id)
        if operation is None:
            totals = {f"total_{name}_minor": total for name, total in self.totals.items()}
            return replace(said, trade=self._trade(late=late), order_amount_minor=self.order.amount_minor, **totals)
        done = self.done.get(operation.id)
        if done is None:
            return replace(said, request_no=operation.id, trade=Trade.MISSING, outcome=Outcome.PENDING)
        return replace(said, request_no=operation.id, outcome=Outcome.SUCCEEDED if done else Outcome.REJECTED)

    def _trade(self, *, late: bool) -> Trade:
        if self.totals["taken"] and self.order.kind is Kind.PAYMENT:
            return Trade.PAID
        if self.totals["frozen"]:
            return Trade.FROZEN
        return Trade.CLOSED if self.closed or (late and not self.refuses) else Trade.OPEN


def comes_to_rest(order: Order, wallet: HonestWallet) -> Order:
    """Drives the order until nothing is under way and nothing is planned; fails when that never happens."""
    now = max(b.NOW, order.pay_deadline or b.NOW)
    for _ in range(MAX_STEPS):
        query = False
        if order.operation is not None:
            order, query = _dispatched(order, wallet, now)
        else:
            wake = wake_at(order)
            if wake is None:
                return order
            now = max(now, wake)
            decision = _decided(order, TimerFired(now), now)
            order, query = decision.order, decision.query
            stays_due = wake_at(order)
            assert stays_due is None or stays_due > now, "a timer that would spin"
        if query:
            order = _decided(order, wallet.answer(EvidenceSource.QUERY, None, late=True), now).order
        now += timedelta(seconds=1)
    raise AssertionError(f"does not come to rest: {order}")


def _dispatched(order: Order, wallet: HonestWallet, now: datetime) -> tuple[Order, bool]:
    """One try of the dispatcher: it asks before it releases, and before it sends anything again."""
    operation = order.operation
    assert operation is not None
    decision = Decision(order)
    if operation.kind is OperationKind.RELEASE:
        decision = _decided(order, wallet.answer(EvidenceSource.QUERY, None, late=True), now)
    if decision.order.operation == operation and operation.attempts:
        decision = _decided(decision.order, wallet.answer(EvidenceSource.QUERY, operation, late=True), now)
    live = decision.order.operation
    if live is None or live.id != operation.id:
        return decision.order, decision.query
    order = _decided(decision.order, OperationAttempted(b.NOW, operation.id), now).order
    wallet.carry_out(operation)
    decision = _decided(order, wallet.answer(EvidenceSource.REPLY, operation, late=True), now)
    return decision.order, decision.query


def _decided(order: Order, given: Input, now: datetime) -> Decision:
    if isinstance(given, WalletEvidence):
        given = replace(given, occurred_at=now)
    return decide(order, given, now=now, policy=POLICY)
