"""What a genuine callback says of an order. Routed by notify_type: an authorization's has no trade at all.

Sources: the parameter tables of the notifications of trades (`trade_status_sync`) and of authorizations
(`fund_auth_freeze`, `fund_auth_unfreeze`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from schemas.identifiers import InvalidOrderIdError, is_request_number, order_id_of
from schemas.money import InvalidMoneyError, exponent, from_decimal
from schemas.vocabulary import Outcome
from service.wallets.adapter import CallbackRefusedError
from service.wallets.alipay.movements import (
    TRADE_STATUSES,
    freeze_trade,
    movement_outcome,
    released,
    trade_outcome,
    trade_standing,
)
from service.wallets.alipay.terms import DEFAULT_CURRENCY, PLACES
from service.wallets.parameters import parse_wallet_time
from statemachine.inputs import EvidenceSource, Trade, WalletEvidence

# The wallet's own limit.
MAX_NOTIFY_ID_LENGTH: Final = 128
# By notify_type: the name of our own number in it.
_NUMBERS: Final = {
    "trade_status_sync": "out_trade_no",
    "fund_auth_freeze": "out_order_no",
    "fund_auth_unfreeze": "out_order_no",
}


class Said:
    """The fields of a callback, read as money and times; empty ones are not there."""

    def __init__(self, fields: Mapping[str, str], received_at: datetime) -> None:
        self.fields = fields
        self.received_at = received_at
        self.currency = fields.get("trans_currency")
        try:
            if self.currency is not None and exponent(self.currency) != PLACES:
                raise CallbackRefusedError(f"its amounts are in {self.currency}, which has not two decimal places")
        except InvalidMoneyError as error:
            raise CallbackRefusedError(str(error)) from None

    def text(self, name: str) -> str:
        """A field that has to be there."""
        if name not in self.fields:
            raise CallbackRefusedError(f"it has no {name}")
        return self.fields[name]

    def minor(self, name: str) -> int | None:
        """An amount in minor units; None when it is not said."""
        if name not in self.fields:
            return None
        try:
            return from_decimal(self.fields[name], self.currency or DEFAULT_CURRENCY)
        except InvalidMoneyError as error:
            raise CallbackRefusedError(f"{name}: {error}") from None

    def occurred_at(self, *names: str) -> datetime:
        """The first of these times that is said, else when it arrived."""
        for name in names:
            moment = parse_wallet_time(self.fields.get(name, ""))
            if moment is not None:
                return moment
        return self.received_at

    def event_id(self) -> str:
        """The wallet's own id of the callback, the same over its resends."""
        notify_id = self.text("notify_id")
        if len(notify_id) > MAX_NOTIFY_ID_LENGTH:
            raise CallbackRefusedError(f"its notify_id is longer than {MAX_NOTIFY_ID_LENGTH} characters")
        return notify_id


def order_of(fields: Mapping[str, str]) -> str | None:
    """The order that a callback speaks of, or None when it is of none of ours. Raises CallbackRefusedError."""
    name = _NUMBERS.get(fields.get("notify_type", ""))
    if name is None:
        return None
    if name not in fields:
        raise CallbackRefusedError(f"it has no {name}")
    return _order_id(fields[name])


def evidence_of(fields: Mapping[str, str], received_at: datetime) -> WalletEvidence | None:
    """The evidence in a callback, or None when it is of no order of ours. Raises CallbackRefusedError."""
    order_id = order_of(fields)
    if order_id is None:
        return None
    said = Said(fields, received_at)
    match fields["notify_type"]:
        case "trade_status_sync":
            return _of_a_trade(said, order_id)
        case "fund_auth_freeze":
            return _of_a_freeze(said, order_id)
        case _:
            return _of_a_release(said, order_id)


def _order_id(number: str) -> str | None:
    """The order that a number names; None for a number that another system gave out under the same app."""
    try:
        return order_id_of(number)
    except InvalidOrderIdError:
        return None


def _own_request(number: str, letter: str, order_id: str) -> str | None:
    """The number itself when it is a request of ours of that kind for that order."""
    if is_request_number(number) and number.startswith(f"{order_id}__{letter}"):
        return number
    return None


def _of_a_trade(said: Said, order_id: str) -> WalletEvidence | None:
    number = said.text("out_trade_no")
    if said.text("trade_status") not in TRADE_STATUSES:
        raise CallbackRefusedError(f"its trade_status {said.text('trade_status')[:40]!r} is not known")
    refund_no = _own_request(said.fields.get("out_biz_no", ""), "B", order_id)
    if number == order_id:
        return _of_a_payment(said, order_id, refund_no)
    if _own_request(number, "C", order_id) is None:
        return None
    return _of_a_capture(said, order_id, number, refund_no)


def _of_a_payment(said: Said, order_id: str, refund_no: str | None) -> WalletEvidence:
    total_minor = said.minor("total_amount")
    trade, refunded_minor = trade_standing(
        said.text("trade_status"),
        total_minor,
        said.minor("refund_fee"),
        was_paid="gmt_payment" in said.fields or "gmt_refund" in said.fields,
    )
    return WalletEvidence(
        event_id=said.event_id(),
        occurred_at=said.occurred_at("gmt_refund", "gmt_payment", "notify_time"),
        source=EvidenceSource.CALLBACK,
        order_id=order_id,
        trade=trade,
        order_amount_minor=total_minor,
        currency=said.currency,
        total_taken_minor=total_minor if trade is Trade.PAID else None,
        total_refunded_minor=refunded_minor,
        request_no=refund_no if refunded_minor else None,
        # A callback of a refund says how much went back of the whole trade, not how much this time.
        outcome=Outcome.SUCCEEDED if refund_no and refunded_minor else None,
        code=said.text("trade_status"),
        trade_no=said.fields.get("trade_no"),
    )


def _of_a_capture(said: Said, order_id: str, number: str, refund_no: str | None) -> WalletEvidence:
    """Of one capture's trade. Its refund is at the least what has been refunded of the order."""
    total_minor = said.minor("total_amount")
    trade, refunded_minor = trade_standing(
        said.text("trade_status"),
        total_minor,
        said.minor("refund_fee"),
        was_paid="gmt_payment" in said.fields or "gmt_refund" in said.fields,
    )
    of_refund = refund_no is not None and bool(refunded_minor)
    return WalletEvidence(
        event_id=said.event_id(),
        occurred_at=said.occurred_at("gmt_refund", "gmt_payment", "notify_time"),
        source=EvidenceSource.CALLBACK,
        order_id=order_id,
        currency=said.currency,
        total_refunded_minor=refunded_minor,
        request_no=refund_no if of_refund else number,
        outcome=Outcome.SUCCEEDED if of_refund else trade_outcome(trade),
        request_amount_minor=None if of_refund else total_minor,
        code=said.text("trade_status"),
        trade_no=said.fields.get("trade_no"),
    )


def _of_a_freeze(said: Said, order_id: str) -> WalletEvidence:
    trade = freeze_trade(said.text("status"))
    if trade is None:
        raise CallbackRefusedError(f"its status {said.text('status')[:40]!r} is not known")
    return _with_totals(said, order_id, trade=trade, order_amount_minor=said.minor("amount"))


def _of_a_release(said: Said, order_id: str) -> WalletEvidence:
    """Also unasked, in any state: the wallet gives back by itself when an authorization has grown old."""
    outcome = movement_outcome(said.text("status"))
    if outcome is Outcome.UNKNOWN:
        raise CallbackRefusedError(f"its status {said.text('status')[:40]!r} is not known")
    number = _own_request(said.fields.get("out_request_no", ""), "R", order_id)
    return _with_totals(
        said,
        order_id,
        request_no=number,
        outcome=outcome if number else None,
        request_amount_minor=said.minor("amount") if number else None,
    )


def _with_totals(
    said: Said,
    order_id: str,
    *,
    trade: Trade | None = None,
    order_amount_minor: int | None = None,
    request_no: str | None = None,
    outcome: Outcome | None = None,
    request_amount_minor: int | None = None,
) -> WalletEvidence:
    frozen, taken = said.minor("total_freeze_amount"), said.minor("total_pay_amount")
    return WalletEvidence(
        event_id=said.event_id(),
        occurred_at=said.occurred_at("gmt_trans", "notify_time"),
        source=EvidenceSource.CALLBACK,
        order_id=order_id,
        trade=trade,
        order_amount_minor=order_amount_minor,
        currency=said.currency,
        total_frozen_minor=frozen,
        total_taken_minor=taken,
        total_released_minor=released(
            said.minor("total_unfreeze_amount"), frozen, taken, said.minor("rest_amount")
        ),
        request_no=request_no,
        outcome=outcome,
        request_amount_minor=request_amount_minor,
        code=said.text("status"),
        auth_no=said.fields.get("auth_no"),
    )
