"""What the calls of Alipay+ do to the ledger: mostly what their elders do, by other names.

Called inside a ledger transaction. `again` means that this very request was carried out before. Amounts are
read in minor units, and handed on as the elder has them.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from service.sandbox import authorizations, trades
from service.sandbox.calls import Call, Done, Notice
from service.sandbox.dialect import RefusedError, required, wallet_time
from service.sandbox.ledger import Arrival, Ledger, OrderRow, RefundRow
from service.sandbox.plus.dialect import decimal_of, iso_of, money, read_money

NOT_EXIST = "ORDER_NOT_EXIST"


def find(ledger: Ledger, call: Call, now: datetime) -> OrderRow:
    """The payment that the call names, by our number or by the merchant's. Raises RefusedError."""
    order = _named(ledger, call)
    if order is None:
        raise RefusedError(NOT_EXIST, "there is no such payment")
    trades.expire_if_due(ledger, order, now)
    return order


def capture(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:
    """`capture`: the last one gives the rest back."""
    order = find(ledger, call, now)
    biz = {
        "auth_no": order.wallet_no,
        "product_code": "PRE_AUTH_ONLINE",
        "out_trade_no": required(call.biz, "captureRequestId"),
        "total_amount": decimal_of(call.biz, "captureAmount"),
        "auth_confirm_mode": "COMPLETE" if call.biz.get("isLastCapture") is True else "NOT_COMPLETE",
    }
    done = authorizations.capture(ledger, Call(biz), now, again=again)
    answer = _answer(order, call, "captureRequestId", "captureAmount")
    return Done(answer | {"captureId": done.fields["trade_no"]}, done.notices)


def void(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:
    """`void`: gives back of what is held."""
    order = find(ledger, call, now)
    biz = {
        "auth_no": order.wallet_no,
        "out_request_no": required(call.biz, "voidRequestId"),
        "amount": decimal_of(call.biz, "voidAmount"),
    }
    done = authorizations.unfreeze(ledger, Call(biz), now, again=again)
    return Done(_answer(order, call, "voidRequestId", "voidAmount"), done.notices)


def cancel(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:
    """`cancel`: closes what was not paid, gives back what was, and will not touch what was captured."""
    order = find(ledger, call, now)
    notices: tuple[Notice, ...] = ()
    if order.kind == "preauth":
        notices = authorizations.cancel(ledger, Call({"out_order_no": order.order_id}), now, again=again).notices
    elif order.taken_minor:
        left_minor = order.taken_minor - order.refunded_minor
        if left_minor:
            notices = _give_back(ledger, order, f"{order.order_id}-cancel", left_minor, now)
        order.closed = 1
        ledger.put(order)
    else:
        trades.close(ledger, Call({"out_trade_no": order.order_id}), now, again=again)
    return Done(_answer(order, call), notices)


def refund(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:
    """`refund`: of the whole payment, whatever captures it was taken in."""
    order = find(ledger, call, now)
    number = required(call.biz, "refundRequestId")
    amount_minor, currency = read_money(call.biz, "refundAmount")
    notices: tuple[Notice, ...] = ()
    if not again:
        if order.kind == "payment" and order.closed:
            raise RefusedError("ORDER_IS_CANCELED", "all of it has been given back")
        if currency != order.currency or amount_minor > order.taken_minor - order.refunded_minor:
            raise RefusedError("REFUND_AMOUNT_EXCEED", "more than is left of the payment")
        notices = _give_back(ledger, order, number, amount_minor, now)
    return Done(_answer(order, call, "refundRequestId", "refundAmount"), notices)


def inquiry_payment(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:  # noqa: ARG001
    """`inquiryPayment`: how it stands, and all that was done with it."""
    order = find(ledger, call, now)
    answer: dict[str, Any] = _answer(order, call) | {
        "paymentRequestId": order.request_no or order.order_id,
        "paymentStatus": _status(order),
        "paymentAmount": money(order.amount_minor, order.currency),
        "transactions": _transactions(ledger, order),
    }
    paid_at = _paid_at(ledger, order)
    return Done(answer | ({"paymentTime": iso_of(paid_at)} if paid_at else {}))


def inquiry_refund(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:  # noqa: ARG001
    """`inquiryRefund`, by the merchant's number."""
    number = required(call.biz, "refundRequestId")
    rows = ledger.refunds_under(number)
    trade = ledger.trade(rows[0].out_trade_no) if rows else None
    order = ledger.order(trade.order_id) if trade else None
    if order is None:
        raise RefusedError("REFUND_NOT_EXIST", "there is no such refund")
    return Done(
        {
            "refundRequestId": number,
            "refundStatus": "SUCCESS",
            "refundAmount": money(sum(row.amount_minor for row in rows), order.currency),
            "refundTime": iso_of(rows[0].at),
        }
    )


def arrival(kind: str, number_name: str, amount_name: str) -> Callable[[Ledger, Call], Arrival]:
    """How requests of a kind are told apart: by their number, with all that they ask for."""

    def of(ledger: Ledger, call: Call) -> Arrival:
        number = required(call.biz, number_name)
        amount_minor, currency = read_money(call.biz, amount_name)
        payment_id = required(call.biz, "paymentId")
        order = ledger.order_by_wallet_no(payment_id)
        last = call.biz.get("isLastCapture", "")
        return Arrival(
            kind,
            number,
            order.order_id if order else number,
            amount_minor,
            f"{payment_id} {amount_minor} {currency} {last}",
        )

    return of


def cancel_arrival(ledger: Ledger, call: Call) -> Arrival:
    """A cancel has no number of its own: the payment's serves."""
    order = _named(ledger, call)
    number = required(call.biz, "paymentId" if call.biz.get("paymentId") else "paymentRequestId")
    return Arrival("close", number, order.order_id if order else number.partition("__")[0], 0, number)


def _named(ledger: Ledger, call: Call) -> OrderRow | None:
    payment_id = call.biz.get("paymentId")
    if isinstance(payment_id, str) and payment_id:
        return ledger.order_by_wallet_no(payment_id)
    number = required(call.biz, "paymentRequestId")
    order = ledger.order(number.partition("__")[0])
    return order if order is not None and (order.request_no or order.order_id) == number else None


def _answer(order: OrderRow, call: Call, *names: str) -> dict[str, Any]:
    """The payment's number, and of the call itself what an answer repeats."""
    return {"paymentId": order.wallet_no} | {name: call.biz[name] for name in names}


def _give_back(
    ledger: Ledger, order: OrderRow, number: str, amount_minor: int, now: datetime
) -> tuple[Notice, ...]:
    """Of the order's trades, the oldest first. One refund, however many trades it is taken of: one callback."""
    left_minor, last = amount_minor, None
    for trade in ledger.trades_of(order.order_id):
        part_minor = min(left_minor, trade.amount_minor - trade.refunded_minor)
        if part_minor:
            row = RefundRow(trade.out_trade_no, number, part_minor, wallet_time(now))
            trades.give_back(ledger, order, trade, row)
            last, left_minor = trades.notice(order, trade, row), left_minor - part_minor
    if last is None:
        raise RefusedError("ORDER_STATUS_INVALID", "nothing of it has been paid")
    return (replace(last, event=replace(last.event, amount_minor=amount_minor)),)


def _status(order: OrderRow) -> str:
    if order.kind == "payment":
        paid = order.taken_minor > 0
    else:
        paid = order.frozen_minor > 0
        if paid and not order.held_minor and not order.taken_minor:
            # Voided in full, which closes it.
            return "CANCELLED"
    if order.closed:
        return "CANCELLED"
    return "SUCCESS" if paid else "PROCESSING"


def _paid_at(ledger: Ledger, order: OrderRow) -> str:
    if order.kind == "payment":
        trade = ledger.trade(order.order_id)
        return trade.paid_at if trade else ""
    freeze = ledger.auth_operation(order.order_id, order.request_no)
    return freeze.at if freeze and freeze.status == "SUCCESS" else ""


def _transactions(ledger: Ledger, order: OrderRow) -> list[dict[str, Any]]:
    listed = []
    for row in ledger.movements_of(order.order_id):
        kind = {"PAY": "CAPTURE", "UNFREEZE": "VOID"}.get(row.kind)
        if kind is not None:
            listed.append((kind, row.out_request_no, row.amount_minor, row.at))
    refunds: dict[str, tuple[int, str]] = {}
    for trade in ledger.trades_of(order.order_id):
        for refund_row in ledger.refunds_of(trade.out_trade_no):
            before_minor, _ = refunds.get(refund_row.out_request_no, (0, ""))
            refunds[refund_row.out_request_no] = (before_minor + refund_row.amount_minor, refund_row.at)
    listed += [("REFUND", number, amount_minor, at) for number, (amount_minor, at) in refunds.items()]
    return [
        {
            "transactionType": kind,
            "transactionRequestId": number,
            "transactionStatus": "SUCCESS",
            "transactionAmount": money(amount_minor, order.currency),
            "transactionTime": iso_of(at),
        }
        for kind, number, amount_minor, at in listed
    ]
