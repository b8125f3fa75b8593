"""Doubts: the wallet may know of more than we do, and is asked until it has answered.

A question alone is not enough: its answer can be lost, and the engine that waited for it with it, and nothing else
may come of an order that rests. So a doubt is stored with its order.
"""

from dataclasses import replace
from datetime import timedelta

from schemas.vocabulary import Disposition, Flag, Trigger
from statemachine.inputs import EvidenceSource, WalletEvidence
from statemachine.naming import is_about_the_order
from statemachine.operations import GIVEN_UP, query_wait_s
from statemachine.turn import Turn

NO_ANSWER = "the wallet may know of more than was told, and does not answer: a person has to look"


def resolve(turn: Turn, said: WalletEvidence) -> bool:
    """Ends the doubt, if this answers a question about the order as a whole that was asked since.

    True when the flag that the silence had put up came down.
    """
    order, doubt = turn.order, turn.order.doubt
    if doubt is None or said.source is not EvidenceSource.QUERY:
        return False
    if not is_about_the_order(said) or said.occurred_at < doubt.since:
        return False
    order.doubt = None
    is_given_up = order.operation is not None and order.operation.reason == GIVEN_UP
    if not doubt.is_flagged or is_given_up or order.held_minor > 0 or Flag.NEEDS_REVIEW not in order.flags:
        return False
    turn.unflag(Flag.NEEDS_REVIEW)
    return True


def ask_in_doubt(turn: Turn) -> None:
    """Asks again, ever more slowly. After a number of questions a person has to look, and the asking goes on."""
    order = turn.order
    assert order.doubt is not None
    turn.query = True
    questions = order.doubt.questions + 1
    ask_at = turn.now + timedelta(seconds=query_wait_s(turn, questions))
    order.doubt = replace(order.doubt, ask_at=ask_at, questions=questions)
    if questions > turn.policy.close_sweeps and not order.doubt.is_flagged and Flag.NEEDS_REVIEW not in order.flags:
        order.doubt = replace(order.doubt, is_flagged=True)
        turn.flag(Flag.NEEDS_REVIEW)
        turn.note(Trigger.OPERATION_UNKNOWN, Disposition.FLAGGED, NO_ANSWER)
