"""What a wallet's message is about: which operation it names, and what its journal entry is called."""

from schemas.identifiers import is_request_number
from schemas.vocabulary import Kind, Outcome, Trigger
from statemachine.inputs import Trade, WalletEvidence
from statemachine.operations import LETTERS, REJECTED_TRIGGER, SUCCEEDED_TRIGGER
from statemachine.order import Order

_KINDS = {letter: kind for kind, letter in LETTERS.items()}
_FREEZE = "F"
_TRADE_TRIGGERS = {
    Trade.PAID: Trigger.PAYMENT_SUCCEEDED,
    Trade.FROZEN: Trigger.AUTHORIZATION_GRANTED,
    Trade.FAILED: Trigger.PAYMENT_FAILED,
    Trade.CLOSED: Trigger.WALLET_CLOSED,
    Trade.MISSING: Trigger.WALLET_CLOSED,
}


def letter_of(said: WalletEvidence) -> str | None:
    """The letter of the request number that the message carries, if it carries one."""
    if said.request_no is None or not is_request_number(said.request_no):
        return None
    return said.request_no.rpartition("__")[2][0]


def is_about_the_order(said: WalletEvidence) -> bool:
    """Whether it speaks of the order as a whole. The freeze is the buyer's, and no operation of ours."""
    return said.request_no is None or letter_of(said) == _FREEZE


def named_by(order: Order, said: WalletEvidence) -> Trigger:
    """The name of a message that moved nothing."""
    kind = _KINDS.get(letter_of(said) or "")
    if kind is None:
        return _named_by_totals(order, said)
    if said.outcome is Outcome.REJECTED:
        return REJECTED_TRIGGER[kind]
    return SUCCEEDED_TRIGGER[kind] if said.outcome is Outcome.SUCCEEDED else Trigger.OPERATION_UNKNOWN


def _named_by_totals(order: Order, said: WalletEvidence) -> Trigger:
    if said.total_refunded_minor:
        return Trigger.WALLET_REFUNDED
    if said.total_released_minor:
        return Trigger.WALLET_RELEASED
    if said.total_taken_minor:
        return Trigger.PAYMENT_SUCCEEDED if order.kind is Kind.PAYMENT else Trigger.CAPTURE_SUCCEEDED
    if said.trade in _TRADE_TRIGGERS:
        return _TRADE_TRIGGERS[said.trade]
    return Trigger.AUTHORIZATION_GRANTED if said.total_frozen_minor else Trigger.OPERATION_UNKNOWN
