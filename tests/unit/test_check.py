"""Every rule of the check, broken on purpose."""

from dataclasses import replace

import pytest

from schemas.vocabulary import OperationKind, OperationState, State
from statemachine import decide as deciding
from statemachine.check import BrokenInvariantError, check
from statemachine.order import Operation, Order
from tests.unit import builders as b

CAPTURE = Operation("o1__C1", OperationKind.CAPTURE, 101)


@pytest.mark.parametrize(
    ("order", "rule"),
    [
        (replace(b.paying(), version=0), "rule 10"),
        (replace(b.paying(), taken_minor=-1), "rule 4"),
        (replace(b.paid_order(), refunded_minor=101), "rule 1"),
        (replace(b.refunding(100, 60), refunded_minor=50), "rule 1"),
        (replace(b.paid_order(), taken_minor=50), "rule 2"),
        (replace(b.paying(), frozen_minor=100), "rule 2"),
        (replace(b.authorized(), frozen_minor=50), "rule 3"),
        (replace(b.authorized(), operation=CAPTURE), "rule 3"),
        (replace(b.authorized(), released_minor=101), "rule 3"),
        (replace(b.authorized(), operation=replace(CAPTURE, amount_minor=1)), "rule 5"),
        (
            replace(b.capturing(), operation=replace(CAPTURE, amount_minor=1, state=OperationState.REJECTED)),
            "rule 5",
        ),
        (replace(b.paid_order(), state=State.PAYING), "rule 9"),
        (replace(b.expiring(), operation=None), "rule 7"),
        (replace(b.paid_order(), state=State.EXPIRED), "rule 6"),
        (replace(b.authorized(), state=State.VOIDED), "rule 7"),
        (replace(b.paying(), state=State.PAID), "rule 9"),
        (replace(b.paying_preauth(), state=State.AUTHORIZED), "rule 9"),
        (replace(b.authorized(), state=State.PARTIALLY_CAPTURED), "rule 9"),
        (replace(b.capturing(), operation=None), "rule 7"),
        (replace(b.voiding(), operation=None), "rule 7"),
        (replace(b.captured(), state=State.VOIDING), "rule 9"),
        (replace(b.authorized(), state=State.CAPTURED), "rule 9"),
        (replace(b.releasing_remainder(), operation=None), "rule 7"),
        (replace(b.paid_order(), state=State.PARTIALLY_REFUNDED), "rule 9"),
        (replace(b.paid_order(), state=State.REFUNDED), "rule 9"),
        (replace(b.paid_order(), state=State.REFUNDING), "rule 7"),
    ],
)
def test_an_order_that_cannot_be_is_found(order: Order, rule: str) -> None:
    with pytest.raises(BrokenInvariantError, match=rule):
        check(order)


def test_a_total_never_decreases() -> None:
    with pytest.raises(BrokenInvariantError, match="a total has decreased"):
        deciding._check_totals(b.paid_order(), b.paying())
