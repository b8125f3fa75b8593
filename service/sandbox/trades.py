"""Trades: of a payment, or of a capture. Query, close, refund, and the callback that tells of them.

Called inside a ledger transaction. `again` means that this very request was carried out before.
"""

from datetime import datetime

from schemas.money import to_decimal
from service.sandbox.calls import BUYER_ID, BUYER_LOGON_ID, Call, Done, Event, Notice
from service.sandbox.dialect import (
    Fields,
    RefusedError,
    amount_of,
    optional,
    parse_wallet_time,
    required,
    wallet_time,
)
from service.sandbox.ledger import Arrival, Ledger, OrderRow, RefundRow, TradeRow

WAITING = "WAIT_BUYER_PAY"
PAID = "TRADE_SUCCESS"
# Both of a trade that was never paid and of one that was refunded in full.
CLOSED = "TRADE_CLOSED"
NOT_EXIST = "ACQ.TRADE_NOT_EXIST"


def query(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:  # noqa: ARG001 - one shape for all
    """alipay.trade.query."""
    order, trade = _find(ledger, call, now)
    answer = _buyer() | _numbers(trade) | {"trade_status": trade.status}
    answer["total_amount"] = to_decimal(trade.amount_minor, order.currency)
    if trade.paid_at:
        answer |= {
            "send_pay_date": trade.paid_at,
            "buyer_pay_amount": answer["total_amount"],
            "receipt_amount": answer["total_amount"],
        }
    if trade.refunded_minor:
        answer["refund_fee"] = to_decimal(trade.refunded_minor, order.currency)
    return Done(answer)


def close(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:  # noqa: ARG001 - it is its own answer
    """alipay.trade.close: only what has not been paid can be closed."""
    order, trade = _find(ledger, call, now)
    if trade.paid_at:
        raise RefusedError("ACQ.TRADE_STATUS_ERROR", f"the trade is {trade.status}")
    trade.status = CLOSED
    order.closed = 1
    ledger.put(trade)
    ledger.put(order)
    return Done(_numbers(trade))


def refund(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:
    """alipay.trade.refund, under out_request_no (without one: the whole trade, once)."""
    order, trade = _find(ledger, call, now)
    amount_minor = amount_of(call.biz, "refund_amount", order.currency)
    request_no = optional(call.biz, "out_request_no") or trade.out_trade_no
    row = RefundRow(trade.out_trade_no, request_no, amount_minor, wallet_time(now))
    if not again:
        give_back(ledger, order, trade, row)
    answer = _buyer() | _numbers(trade)
    answer |= {
        "fund_change": "N" if again else "Y",
        # Of the trade as a whole; send_back_fee is of this refund.
        "refund_fee": to_decimal(trade.refunded_minor, order.currency),
        "send_back_fee": to_decimal(amount_minor, order.currency),
        "gmt_refund_pay": wallet_time(now),
    }
    return Done(answer, () if again else (notice(order, trade, row),))


def give_back(ledger: Ledger, order: OrderRow, trade: TradeRow, row: RefundRow) -> None:
    """Books a refund; raises RefusedError."""
    if not trade.paid_at:
        raise RefusedError("ACQ.TRADE_STATUS_ERROR", f"the trade is {trade.status}")
    if row.amount_minor > trade.amount_minor - trade.refunded_minor:
        raise RefusedError("ACQ.REASON_TRADE_REFUND_FEE_ERR", "more than is left of the trade")
    trade.refunded_minor += row.amount_minor
    order.refunded_minor += row.amount_minor
    if trade.refunded_minor == trade.amount_minor:
        trade.status = CLOSED
    ledger.put(trade)
    ledger.put(order)
    ledger.put(row)


def refund_query(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:  # noqa: ARG001
    """alipay.trade.fastpay.refund.query: 10000 even without such a refund, and then without its fields."""
    order, trade = _find(ledger, call, now)
    row = ledger.refund(trade.out_trade_no, required(call.biz, "out_request_no"))
    answer = _numbers(trade)
    if row is not None:
        answer |= {
            "out_request_no": row.out_request_no,
            "total_amount": to_decimal(trade.amount_minor, order.currency),
            "refund_amount": to_decimal(row.amount_minor, order.currency),
            "refund_status": "REFUND_SUCCESS",
            "gmt_refund_pay": row.at,
        }
    return Done(answer)


def close_arrival(ledger: Ledger, call: Call) -> Arrival:
    """A close has no number of its own at Alipay: the trade's serves."""
    number, order_id = _named(ledger, call)
    return Arrival("close", number, order_id, 0, number)


def refund_arrival(ledger: Ledger, call: Call) -> Arrival:
    """A refund by its out_request_no."""
    number, order_id = _named(ledger, call)
    order = ledger.order(order_id)
    amount_minor = amount_of(call.biz, "refund_amount", order.currency if order else "CNY")
    request_no = optional(call.biz, "out_request_no") or number
    return Arrival("refund", request_no, order_id, amount_minor, f"{number} {amount_minor}")


def expire_if_due(ledger: Ledger, order: OrderRow, now: datetime) -> None:
    """The wallet closes what was not paid in time. It does so without a word, as Alipay does."""
    if order.closed or order.taken_minor or order.frozen_minor or now < parse_wallet_time(order.deadline):
        return
    order.closed = 1
    ledger.put(order)
    trade = ledger.trade(order.order_id) if order.kind == "payment" else None
    if trade is not None:
        trade.status = CLOSED
        ledger.put(trade)


def notice(order: OrderRow, trade: TradeRow, refund: RefundRow | None = None) -> Notice:
    """The callback trade_status_sync: of a payment or a capture, or of a refund of one."""
    total = to_decimal(trade.amount_minor, order.currency)
    told = _numbers(trade) | {
        "notify_type": "trade_status_sync",
        "trade_status": trade.status,
        "subject": order.title,
        "buyer_id": BUYER_ID,
        "total_amount": total,
        "receipt_amount": total,
        "buyer_pay_amount": total,
        "gmt_create": order.opened_at,
        "gmt_payment": trade.paid_at,
        "fund_bill_list": f'[{{"amount":"{total}","fundChannel":"ALIPAYACCOUNT"}}]',
    }
    if trade.refunded_minor:
        told["refund_fee"] = to_decimal(trade.refunded_minor, order.currency)
    if refund is not None:
        told |= {"out_biz_no": refund.out_request_no, "gmt_refund": refund.at}
    return Notice(order.order_id, trade.notify_url, told, _event(order, trade, refund), order.dialect)


def _event(order: OrderRow, trade: TradeRow, refund: RefundRow | None) -> Event:
    payment_no = order.request_no or order.order_id
    if refund is not None:
        kind, request_no, amount_minor, at = "refund", refund.out_request_no, refund.amount_minor, refund.at
    else:
        kind = "payment" if order.kind == "payment" else "capture"
        request_no, amount_minor, at = trade.out_trade_no, trade.amount_minor, trade.paid_at
    return Event(kind, payment_no, order.wallet_no, request_no, amount_minor, order.currency, at)


def _named(ledger: Ledger, call: Call) -> tuple[str, str]:
    """The merchant's number of the trade that the call names, and its order; the trade need not exist."""
    trade_no = optional(call.biz, "trade_no")
    trade = ledger.trade_by_no(trade_no) if trade_no else None
    if trade is None:
        number = trade_no or required(call.biz, "out_trade_no")
        trade = ledger.trade(number)
        return number, trade.order_id if trade else number
    return trade.out_trade_no, trade.order_id


def _find(ledger: Ledger, call: Call, now: datetime) -> tuple[OrderRow, TradeRow]:
    trade_no = optional(call.biz, "trade_no")
    named = ledger.trade_by_no(trade_no) if trade_no else ledger.trade(required(call.biz, "out_trade_no"))
    order = ledger.order(named.order_id) if named else None
    if named is None or order is None:
        raise RefusedError(NOT_EXIST, "there is no such trade")
    expire_if_due(ledger, order, now)
    # Read again: it may just have been closed.
    return order, ledger.trade(named.out_trade_no) or named


def _buyer() -> Fields:
    return {"buyer_user_id": BUYER_ID, "buyer_logon_id": BUYER_LOGON_ID}


def _numbers(trade: TradeRow) -> Fields:
    return {"trade_no": trade.trade_no, "out_trade_no": trade.out_trade_no}
