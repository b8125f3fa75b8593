"""The wallet's words for where a trade or an authorization stands, the same in callbacks and in answers."""

from typing import Final

from schemas.vocabulary import Outcome
from statemachine.inputs import Trade

# TRADE_FINISHED is TRADE_SUCCESS whose time for refunds has run out.
_PAID: Final = frozenset({"TRADE_SUCCESS", "TRADE_FINISHED"})
_CLOSED: Final = "TRADE_CLOSED"
_WAITING: Final = "WAIT_BUYER_PAY"
TRADE_STATUSES: Final = _PAID | {_CLOSED, _WAITING}
_MOVEMENT_OUTCOMES: Final = {
    "SUCCESS": Outcome.SUCCEEDED,
    "INIT": Outcome.PENDING,
    "CLOSED": Outcome.REJECTED,
}
_FREEZE_TRADES: Final = {"SUCCESS": Trade.FROZEN, "INIT": Trade.OPEN, "CLOSED": Trade.CLOSED}


def trade_standing(
    status: str, total_minor: int | None, refunded_minor: int | None, *, was_paid: bool
) -> tuple[Trade | None, int | None]:
    """Where a trade stands (None: not a known status), and how much of it went back (None: not said).

    TRADE_CLOSED is never read alone: it is an unpaid trade that ended, or a paid one that was refunded in
    full.
    """
    if status in _PAID:
        return Trade.PAID, refunded_minor
    if status == _CLOSED:
        if refunded_minor:
            return Trade.PAID, refunded_minor
        # Paid, closed, and no word of how much: then all of it went back.
        return (Trade.PAID, total_minor) if was_paid else (Trade.CLOSED, None)
    return (Trade.OPEN, None) if status == _WAITING else (None, None)


def trade_outcome(trade: Trade | None) -> Outcome:
    """How a capture went whose trade stands there."""
    if trade is Trade.PAID:
        return Outcome.SUCCEEDED
    if trade is Trade.CLOSED:
        return Outcome.REJECTED
    return Outcome.PENDING if trade is Trade.OPEN else Outcome.UNKNOWN


def movement_outcome(status: str) -> Outcome:
    """How a freeze or a release went; UNKNOWN for a status that is not known."""
    return _MOVEMENT_OUTCOMES.get(status, Outcome.UNKNOWN)


def freeze_trade(status: str) -> Trade | None:
    """Where an order stands whose freeze has this status; None for one that is not known."""
    return _FREEZE_TRADES.get(status)


def released(
    said_minor: int | None, frozen_minor: int | None, taken_minor: int | None, rest_minor: int | None
) -> int | None:
    """The total given back: as said, else what is neither taken nor still held; None when that is not told.

    Totals that contradict each other come out negative, which the lifecycle flags.
    """
    if said_minor is not None:
        return said_minor
    if frozen_minor is None or taken_minor is None or rest_minor is None:
        return None
    return frozen_minor - taken_minor - rest_minor
