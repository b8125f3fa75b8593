# ruff: noqa: ISC004 - a sentence in two lines is one sentence
"""The table itself, and the pictures made from it."""

import pytest

from schemas.vocabulary import Kind, Outcome, State, Trigger
from statemachine.diagram import matrix_markdown, mermaid
from statemachine.dispositions import DispositionOf, Fate, disposition_of, matrix
from statemachine.explain import explain
from statemachine.lifecycle import ROWS, IllegalTransitionError, fire, has_row
from statemachine.order import Order
from tests.unit import builders as b
from tests.unit.builders import after, replied, sent


def test_every_state_and_trigger_has_a_disposition() -> None:
    assert len(matrix()) == len(State) * len(Trigger)


def test_a_pair_without_a_row_is_treated_by_who_it_comes_from() -> None:
    assert disposition_of(State.PAYING, Trigger.CANCEL) == DispositionOf(Fate.FIRES, (State.EXPIRING,))
    assert disposition_of(State.PAID, Trigger.PAYMENT_SUCCEEDED) == DispositionOf(Fate.ABSORBED)
    assert disposition_of(State.PAID, Trigger.CANCEL) == DispositionOf(Fate.REFUSED)
    assert disposition_of(State.PAID, Trigger.SERVICE_COMPLETED) == DispositionOf(Fate.FLAGGED)
    assert disposition_of(State.PAID, Trigger.PAY_TIMER) == DispositionOf(Fate.IGNORED)


def test_every_guard_is_a_sentence_about_an_order() -> None:
    for rows in ROWS.values():
        for row in rows:
            for guard in row.conditions:
                assert getattr(b.paid_order(), guard)() in (True, False)
                assert Order.__dict__[guard]


def test_a_row_that_is_missing_or_refused_is_said_aloud() -> None:
    with pytest.raises(IllegalTransitionError, match="no row for issue in paid"):
        fire(b.paid_order(), Trigger.ISSUE)
    with pytest.raises(IllegalTransitionError, match="every guard refuses refund_requested in captured"):
        fire(b.releasing_remainder(), Trigger.REFUND_REQUESTED)
    assert not has_row(State.PAID, Trigger.ISSUE)


def test_the_pictures_are_made_from_the_table() -> None:
    picture = mermaid()
    assert "    paying --> expiring: pay_timer\n" in picture
    assert "expiring --> expired: close_succeeded [by timer]" in picture
    page = matrix_markdown()
    assert page.count("\n") == len(Trigger) + 1
    assert "*absorbed*" in page
    assert "**expiring**" in page


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (
            b.paying(),
            "Order o1 (payment of 1.00 CNY) is waiting for the buyer. It waits for the payment, and asks "
            "the wallet or begins to close it at 2026-03-01 12:00:20 UTC (in 20 s).",
        ),
        (
            b.unissued(),
            "Order o1 (payment of 1.00 CNY) has been created and not issued. It waits to be issued, "
            "and expires at 2026-03-01 12:15:10 UTC (in 15 min).",
        ),
        (
            b.paid_order(),
            "Order o1 (payment of 1.00 CNY) is paid, with 1.00 CNY taken. Nothing more is to happen by itself.",
        ),
        (
            b.authorized(),
            "Order o1 (preauth of 1.00 CNY) is authorized, with 1.00 CNY still held. It waits for a "
            "service completion, and is warned about at 2026-03-02 09:36:00 UTC (in 21 h).",
        ),
        (
            after(b.authorized(), b.timer(), now=b.later(86_400 * 0.9)),
            "Order o1 (preauth of 1.00 CNY) is authorized, with 1.00 CNY still held. It waits for a "
            "service completion, and releases what is held at 2026-03-02 12:00:00 UTC (in 24 h). "
            "A person should look: authorization_expiring.",
        ),
        (
            b.capturing(),
            "Order o1 (preauth of 1.00 CNY) is being captured, with 1.00 CNY still held. "
            "The capture o1__C1 of 0.70 CNY is about to be sent.",
        ),
        (
            after(b.expiring(), b.attempted("V1")),
            "Order o1 (payment of 1.00 CNY) is being closed at the wallet, by timer. "
            "The close o1__V1 has been sent and waits for the wallet's answer.",
        ),
        (
            after(b.refunding(), *sent("B1", replied("B1", Outcome.UNKNOWN))),
            "Order o1 (payment of 1.00 CNY) is being refunded, with 1.00 CNY taken. The refund o1__B1 of "
            "1.00 CNY is unknown (the answer was lost): the wallet is asked before anything else is done.",
        ),
        (
            after(b.expiring(), b.given_up("V1")),
            "Order o1 (payment of 1.00 CNY) has expired, by timer. It asks the wallet again at "
            "2026-03-01 12:00:20 UTC (in 20 s). A person should look: close_unconfirmed.",
        ),
    ],
)
def test_an_order_explains_itself(order: Order, said: str) -> None:
    assert explain(order, b.NOW) == said


def test_an_order_says_what_is_due() -> None:
    assert explain(b.paying(), b.later(60)).endswith("at 2026-03-01 12:00:20 UTC (due now).")


def test_a_span_is_told_in_the_unit_that_fits() -> None:
    order = b.paying(100, Kind.PREAUTH, authorization_timeout_s=30 * 86_400)
    assert "(in 27 d)" in explain(after(order, b.granted()), b.NOW)
