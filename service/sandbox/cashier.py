"""The buyer's side: an order string is brought, and the buyer confirms or walks away.

A trade exists only from then on. Called inside a ledger transaction.
"""

from datetime import datetime

from service.sandbox import authorizations, trades
from service.sandbox.calls import Done, Terms
from service.sandbox.dialect import RefusedError, wallet_time
from service.sandbox.ledger import Arrival, AuthOperationRow, Ledger, OrderRow, TradeRow


def confirm(ledger: Ledger, terms: Terms, now: datetime, *, force: bool) -> Done:
    """Takes the money, or freezes it. Raises RefusedError with the reason that the buyer is shown.

    With `force` the buyer's bank had already debited, so that a closed or late order is paid all the same.
    """
    arrival = None
    if terms.kind == "preauth":
        parameters = f"{terms.order_id} {terms.amount_minor}"
        arrival = Arrival("freeze", terms.request_no, terms.order_id, terms.amount_minor, parameters)
        if ledger.arrive(arrival):
            raise RefusedError("ACQ.TRADE_HAS_SUCCESS", "frozen already")
    order = look_at(ledger, terms, now, force=force)
    if order.taken_minor or order.frozen_minor:
        raise RefusedError("ACQ.TRADE_HAS_SUCCESS", "paid already")
    if order.closed and not force:
        raise RefusedError("ACQ.TRADE_HAS_CLOSE", "closed")
    order.closed = 0
    if arrival is None:
        return _pay(ledger, order, now)
    ledger.carried_out(arrival)
    return _freeze(ledger, order, now)


def look_at(ledger: Ledger, terms: Terms, now: datetime, *, force: bool = False) -> OrderRow:
    """The buyer sees the order at the cashier, and that is what makes it exist. Raises RefusedError."""
    order = ledger.order(terms.order_id)
    if order is not None:
        trades.expire_if_due(ledger, order, now)
        if (order.kind, order.request_no, order.currency, order.amount_minor, order.dialect) != (
            terms.kind,
            terms.request_no,
            terms.currency,
            terms.amount_minor,
            terms.dialect,
        ):
            raise RefusedError("ACQ.CONTEXT_INCONSISTENT", "this number is that of an order on other terms")
        return order
    if now >= terms.deadline and not force:
        raise RefusedError("ACQ.TRADE_HAS_CLOSE", f"timed out at {wallet_time(terms.deadline)} (Beijing)")
    return _open(ledger, terms, now)


def _open(ledger: Ledger, terms: Terms, now: datetime) -> OrderRow:
    n = ledger.next_number()
    day = wallet_time(now)[:10].replace("-", "")
    order = OrderRow(
        order_id=terms.order_id,
        kind=terms.kind,
        currency=terms.currency,
        amount_minor=terms.amount_minor,
        title=terms.title,
        notify_url=terms.notify_url,
        request_no=terms.request_no,
        wallet_no=f"{day}22001473{n:012d}" if terms.kind == "payment" else f"{day}10002001{n:012d}",
        deadline=wallet_time(terms.deadline),
        opened_at=wallet_time(now),
        dialect=terms.dialect,
    )
    ledger.put(order)
    if terms.kind == "payment":
        ledger.put(
            TradeRow(
                out_trade_no=terms.order_id,
                trade_no=order.wallet_no,
                order_id=terms.order_id,
                amount_minor=terms.amount_minor,
                status=trades.WAITING,
                notify_url=terms.notify_url,
            )
        )
    else:
        ledger.put(
            AuthOperationRow(
                order_id=terms.order_id,
                out_request_no=terms.request_no,
                operation_id=f"{day}{n:012d}",
                kind="FREEZE",
                amount_minor=terms.amount_minor,
                status="INIT",
                at=wallet_time(now),
            )
        )
    return order


def _pay(ledger: Ledger, order: OrderRow, now: datetime) -> Done:
    trade = ledger.trade(order.order_id)
    assert trade is not None
    trade.status = trades.PAID
    trade.paid_at = wallet_time(now)
    order.taken_minor = order.amount_minor
    ledger.put(trade)
    ledger.put(order)
    return Done({}, (trades.notice(order, trade),))


def _freeze(ledger: Ledger, order: OrderRow, now: datetime) -> Done:
    row = ledger.auth_operation(order.order_id, order.request_no)
    assert row is not None
    row.status = "SUCCESS"
    row.at = wallet_time(now)
    order.frozen_minor = order.amount_minor
    ledger.put(row)
    ledger.put(order)
    return Done({}, (authorizations.notice(order, row),))
