"""What a call asks of this wallet, and what it comes to; and the order strings that buyers bring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.money import InvalidMoneyError, exponent
from schemas.strict_json import MalformedRecordError, loads_object
from service.sandbox.dialect import (
    Fields,
    MalformedError,
    RefusedError,
    amount_of,
    deadline_after,
    optional,
    parse_wallet_time,
    required,
)

# The longest that Alipay keeps an unpaid order open, and so what it does with one that names no time.
LONGEST_OPEN: Final = timedelta(days=15)
BUYER_ID: Final = "2088102116773037"
BUYER_LOGON_ID: Final = "158****1252"


@dataclass(frozen=True, slots=True)
class Call:
    """A verified call of the gateway: its business parameters, and where it wants its callback (or "")."""

    biz: Mapping[str, object]
    notify_url: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """What a callback tells, in no dialect's words: a payment, capture, release or refund that was made.

    `payment_no` is the merchant's number of the payment (of a freeze, that of its request), `wallet_no` ours;
    `request_no` is that of the movement. `at` is Beijing's time, as the ledger has it.
    """

    kind: str
    payment_no: str
    wallet_no: str
    request_no: str
    amount_minor: int
    currency: str
    at: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A callback to make, as the dialect of its order has it. `url` is empty where the profile's is meant.

    `fields` are Alipay's; other dialects make theirs from the event.
    """

    order_id: str
    url: str
    fields: Fields
    event: Event
    dialect: str


@dataclass(frozen=True, slots=True)
class Done:
    """A call carried out: the answer's fields beside code and msg, and the callbacks it gives rise to."""

    fields: dict[str, Any]
    notices: tuple[Notice, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Terms:
    """What an order string offers the buyer. `request_no` is the freeze's; empty for a payment."""

    kind: str
    order_id: str
    request_no: str
    currency: str
    amount_minor: int
    title: str
    notify_url: str
    deadline: datetime
    dialect: str = "alipay"


def read_terms(params: Mapping[str, str]) -> Terms:
    """The terms of an order string whose signature has been verified. Raises MalformedError."""
    try:
        biz = loads_object(params.get("biz_content", "").encode())
        start = parse_wallet_time(params.get("timestamp", ""))
        currency = optional(biz, "trans_currency") or optional(biz, "currency") or "CNY"
        exponent(currency)
        match params.get("method", ""):
            case "alipay.trade.app.pay":
                return Terms(
                    kind="payment",
                    order_id=required(biz, "out_trade_no"),
                    request_no="",
                    currency=currency,
                    amount_minor=amount_of(biz, "total_amount", currency),
                    title=required(biz, "subject"),
                    notify_url=params.get("notify_url", ""),
                    deadline=_deadline(start, optional(biz, "time_expire"), optional(biz, "timeout_express")),
                )
            case "alipay.fund.auth.order.app.freeze":
                return Terms(
                    kind="preauth",
                    order_id=required(biz, "out_order_no"),
                    request_no=required(biz, "out_request_no"),
                    currency=currency,
                    amount_minor=amount_of(biz, "amount", currency),
                    title=required(biz, "order_title"),
                    notify_url=params.get("notify_url", ""),
                    deadline=_deadline(start, "", optional(biz, "pay_timeout")),
                )
            case method:
                raise MalformedError(f"no buyer can act on the method {method[:60]!r}")
    except (MalformedRecordError, RefusedError, InvalidMoneyError) as error:
        raise MalformedError(str(error)) from None


def _deadline(start: datetime, time_expire: str, timeout: str) -> datetime:
    if time_expire:
        return parse_wallet_time(time_expire)
    return deadline_after(start, timeout) if timeout else start + LONGEST_OPEN
