"""What a target is, and what several of them need."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

from schemas.vocabulary import Kind, OperationKind, Outcome, State
from statemachine.decide import decide
from statemachine.decision import Policy
from statemachine.inputs import (
    CancelRequested,
    EvidenceSource,
    Input,
    RefundRequested,
    ServiceCompleted,
    Trade,
    WalletEvidence,
)
from statemachine.order import Operation, Order
from tests.wallets import orders
from tests.wallets.vectors import NOW

LATER = NOW + timedelta(seconds=60)
POLICY = Policy()
# As long as `read_node` and the strict scan can be made to go down, in JSON arrays.
DEPTHS = (31, 32, 33, 200, 400, 900)


@dataclass(frozen=True)
class Target:
    """A parser, and inputs to begin with. What leaves `run` is a bug; a refusal that is documented does not."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]


def paying(kind: Kind, **fields: Any) -> Order:
    """The order `o1` while its buyer may pay."""
    return orders.order(kind, state=State.PAYING, version=2, **fields)


def _after(order: Order, *inputs: Input) -> Order:
    for given in inputs:
        order = decide(order, given, now=NOW, policy=POLICY).order
    return order


def _told(**fields: Any) -> WalletEvidence:
    return WalletEvidence(None, NOW, EvidenceSource.QUERY, "o1", **fields)


@cache
def _orders_under_way() -> dict[tuple[Kind, OperationKind], Order]:
    """Orders as they come to be: each with the operation of `tests.wallets.orders` that its key names."""
    refund, cancel = RefundRequested("e9", NOW, "r1", 2_000, "CNY", ""), CancelRequested("e8", NOW, "")
    whole = {"order_amount_minor": 50_000, "currency": "CNY"}
    paid = _told(trade=Trade.PAID, total_taken_minor=50_000, trade_no="t1", **whole)
    frozen = _told(trade=Trade.FROZEN, total_frozen_minor=50_000, auth_no="a1", **whole)
    capturing = _after(PREAUTH, frozen, ServiceCompleted("e7", NOW, "c1", 12_000, "CNY", final=True))
    releasing = _after(capturing, _told(request_no="o1__C1", outcome=Outcome.SUCCEEDED))
    released = _after(releasing, _told(request_no="o1__R1", outcome=Outcome.SUCCEEDED))
    found = [
        _after(PAYMENT, paid, refund), _after(PAYMENT, cancel), _after(PREAUTH, cancel),
        capturing, releasing, _after(released, refund),
    ]  # fmt: skip
    return {(order.kind, order.operation.kind): order for order in found if order.operation}


def under_way(order: Order, operation: Operation | None) -> Order:
    """The order while the operation is carried out, or while its buyer may pay."""
    if operation is None:
        return PAYMENT if order.kind is Kind.PAYMENT else PREAUTH
    return _orders_under_way()[order.kind, operation.kind]


PAYMENT = paying(Kind.PAYMENT)
PREAUTH = paying(Kind.PREAUTH, wallet_auth_no=None)


def is_taken(given: Input, order_id: str, *about: Order) -> None:
    """What a lane does with what it believes: whatever that says, no invariant of an order breaks."""
    for order in about or (PAYMENT, PREAUTH):
        decide(replace(order, order_id=order_id), given, now=LATER, policy=POLICY)
