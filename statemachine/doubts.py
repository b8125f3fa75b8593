"""Doubts: the wallet may know of more than we do, and is asked until it has answered.

A question alone is not enough: its answer can be lost, and the engine that waited for it with it, and nothing else
may come of an order that rests. So a doubt is stored with its order.
"""

from datetime import timedelta

from schemas.vocabulary import Disposition, Flag, Trigger
from statemachine.inputs import EvidenceSource, WalletEvidence
from statemachine.naming import is_about_the_order
from statemachine.operations import query_wait_s
from statemachine.order import Doubt, Order
from statemachine.turn import Turn

_NO_ANSWER = "the wallet may know of more than was told, and does not answer: a person has to look"


def resolve(order: Order, said: WalletEvidence) -> None:
    """Ends the doubt, if this answers a question about the order as a whole that was asked since."""
    if order.doubt is None or said.source is not EvidenceSource.QUERY:
        return
    if is_about_the_order(said) and said.occurred_at >= order.doubt.since:
        order.doubt = None


def ask_in_doubt(turn: Turn) -> None:
    """Asks again, ever more slowly; a bounded number of times, after which a person has to look."""
    order = turn.order
    doubt = order.doubt
    assert doubt is not None
    questions = doubt.questions + 1
    if questions <= turn.policy.close_sweeps:
        turn.query = True
        ask_at = turn.now + timedelta(seconds=query_wait_s(turn, questions))
        order.doubt = Doubt(doubt.since, ask_at, questions)
        return
    order.doubt = None
    if Flag.NEEDS_REVIEW not in order.flags:
        turn.flag(Flag.NEEDS_REVIEW)
        turn.note(Trigger.OPERATION_UNKNOWN, Disposition.FLAGGED, _NO_ANSWER)
