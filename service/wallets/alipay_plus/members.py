"""What a call has to have, for calls that somebody has written by hand; ours are made by `calls`.

Source: the parameter tables of `payments/…`: what is required, and how long numbers may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.money import InvalidMoneyError
from service.wallets.adapter import BuilderRefusedError
from service.wallets.alipay_plus import calls, terms
from service.wallets.alipay_plus.headers import parse_time

MAX_NUMBER: Final = 64


@dataclass(frozen=True, slots=True)
class Members:
    """The texts, the amounts and the choices that a call has to have; of each choice one."""

    texts: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()


_PAYMENT: Final = ("paymentId", "paymentRequestId")
CALLS: Final[Mapping[str, Members]] = {
    calls.PAY: Members(texts=("paymentRequestId",), amounts=("paymentAmount",)),
    calls.CAPTURE: Members(texts=("captureRequestId", "paymentId"), amounts=("captureAmount",)),
    calls.VOID: Members(texts=("voidRequestId", "paymentId"), amounts=("voidAmount",)),
    calls.CANCEL: Members(one_of=_PAYMENT),
    calls.REFUND: Members(texts=("refundRequestId", "paymentId"), amounts=("refundAmount",)),
    calls.INQUIRE_PAYMENT: Members(one_of=_PAYMENT),
    calls.INQUIRE_REFUND: Members(one_of=("refundId", "refundRequestId")),
}


def check_call(name: str, fields: Mapping[str, Any], at: datetime) -> None:
    """Raises BuilderRefusedError, with the member, for what this dialect would refuse."""
    if name not in CALLS:
        raise BuilderRefusedError(f"{name[:64]}: is none of this dialect's calls: {', '.join(CALLS)}")
    members = CALLS[name]
    if members.one_of and not any(fields.get(each) for each in members.one_of):
        raise BuilderRefusedError(f"{' or '.join(members.one_of)}: {name} needs one of them")
    for each in (*members.texts, *members.one_of):
        if each in members.texts or each in fields:
            _check_number(each, fields.get(each))
    for each in members.amounts:
        _check_amount(each, fields.get(each))
    if name == calls.PAY:
        _check_pay(fields, at)


def _check_number(name: str, given: object) -> None:
    if not isinstance(given, str) or not 0 < len(given) <= MAX_NUMBER:
        raise BuilderRefusedError(f"{name}: should be a string of 1 to {MAX_NUMBER} characters")


def _check_amount(name: str, given: object) -> None:
    try:
        amount_minor, currency = terms.read_amount(given)
    except InvalidMoneyError as error:
        raise BuilderRefusedError(
            f'{name}: {error}; it is written {{"currency": "USD", "value": "12000"}} for 120.00'
        ) from None
    try:
        terms.amount(amount_minor, currency)
    except BuilderRefusedError as error:
        raise BuilderRefusedError(f"{name}: {error}") from None


def _check_pay(fields: Mapping[str, Any], at: datetime) -> None:
    order = fields.get("order")
    if not isinstance(order, Mapping):
        raise BuilderRefusedError("order: should be an object with referenceOrderId and orderDescription")
    _check_number("order.referenceOrderId", order.get("referenceOrderId"))
    said = order.get("orderDescription")
    if not isinstance(said, str):
        raise BuilderRefusedError("order.orderDescription: should be a string")
    terms.description(said)
    if "orderAmount" in order:
        _check_amount("order.orderAmount", order["orderAmount"])
    if "paymentExpiryTime" in fields:
        until = parse_time(fields["paymentExpiryTime"])
        if until is None:
            raise BuilderRefusedError("paymentExpiryTime: should be ISO 8601 with an offset: 2026-03-01T12:00:00Z")
        if not at < until <= at + timedelta(seconds=terms.LONGEST_WINDOW_S):
            raise BuilderRefusedError(f"paymentExpiryTime: {until:%Y-%m-%dT%H:%M:%SZ} is over, or past 15 days")
