"""Authorizations: what becomes of frozen money. Capture, release, cancel, query, and their callbacks.

Called inside a ledger transaction. `again` means that this very request was carried out before.
The codes of `alipay.fund.auth.…` carry no `ACQ.`, those of `alipay.trade.…` do, as in Alipay's own lists.
"""

from datetime import datetime

from schemas.identifiers import InvalidOrderIdError, order_id_of
from schemas.money import to_decimal
from service.sandbox import trades
from service.sandbox.calls import BUYER_ID, BUYER_LOGON_ID, Call, Done, Event, Notice
from service.sandbox.dialect import Fields, RefusedError, amount_of, optional, required, wallet_time
from service.sandbox.ledger import Arrival, AuthOperationRow, Ledger, OrderRow, TradeRow

NOT_EXIST = "AUTH_ORDER_NOT_EXIST"
PRODUCTS = frozenset({"PRE_AUTH_ONLINE", "PREAUTH_PAY", "PRE_AUTH"})


def capture(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:
    """alipay.trade.pay with auth_no: takes of what is frozen; COMPLETE gives the rest back."""
    order = ledger.order_by_wallet_no(required(call.biz, "auth_no"))
    if order is None or order.kind != "preauth":
        raise RefusedError("ACQ.AUTH_NO_ERROR", "there is no such authorization")
    if call.biz.get("product_code") not in PRODUCTS:
        raise RefusedError("ACQ.INVALID_PARAMETER", "product_code is not that of a pre-authorization")
    number = required(call.biz, "out_trade_no")
    notices: tuple[Notice, ...] = ()
    trade = ledger.trade(number)
    if not again:
        if trade is not None:
            raise RefusedError("ACQ.CONTEXT_INCONSISTENT", f"{number} is another trade")
        amount_minor = amount_of(call.biz, "total_amount", order.currency)
        if amount_minor > order.held_minor:
            raise RefusedError("ACQ.AUTH_AMOUNT_NOT_ENOUGH", "more than is held")
        trade = _take(ledger, order, call, amount_minor, now)
        notices = (trades.notice(order, trade),)
        if call.biz.get("auth_confirm_mode") == "COMPLETE" and order.held_minor:
            row = _release(ledger, order, "", order.held_minor, now)
            notices += (notice(order, row),)
    assert trade is not None
    total = to_decimal(trade.amount_minor, order.currency)
    return Done(
        {
            "trade_no": trade.trade_no,
            "out_trade_no": number,
            "buyer_user_id": BUYER_ID,
            "buyer_logon_id": BUYER_LOGON_ID,
            "total_amount": total,
            "receipt_amount": total,
            "gmt_payment": trade.paid_at,
            "auth_no": order.wallet_no,
        },
        notices,
    )


def unfreeze(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:
    """alipay.fund.auth.order.unfreeze."""
    order = _find(ledger, call, now)
    request_no = required(call.biz, "out_request_no")
    row = ledger.auth_operation(order.order_id, request_no)
    if not again:
        if row is not None:
            raise RefusedError("ACQ.CONTEXT_INCONSISTENT", f"{request_no} is a {row.kind}")
        amount_minor = amount_of(call.biz, "amount", order.currency)
        if not order.held_minor:
            raise RefusedError(_ended(order), "nothing is held")
        if amount_minor > order.held_minor:
            raise RefusedError("REQUEST_AMOUNT_EXCEED", "more than is held")
        row = _release(ledger, order, request_no, amount_minor, now)
    assert row is not None
    told = () if again else (notice(order, row, call.notify_url),)
    return Done(_numbers(order) | _movement(order, row) | {"status": "SUCCESS"}, told)


def cancel(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:
    """alipay.fund.auth.operation.cancel: closes what was not frozen yet, gives back what was."""
    order = _find(ledger, call, now)
    number = optional(call.biz, "out_request_no")
    notices: tuple[Notice, ...] = ()
    if not again:
        if order.taken_minor:
            raise RefusedError("ILLEGAL_STATUS", "something of it has been taken")
        if order.held_minor:
            # The number usually is that of the freeze to undo, and then the release gets one of the wallet's.
            own = "" if ledger.auth_operation(order.order_id, number) else number
            notices = (notice(order, _release(ledger, order, own, order.held_minor, now), call.notify_url),)
        order.closed = 1
        ledger.put(order)
    freeze = ledger.auth_operation(order.order_id, order.request_no)
    answer = _numbers(order) | {"action": "unfreeze" if order.frozen_minor else "close"}
    answer["operation_id"] = freeze.operation_id if freeze else ""
    return Done(answer | {"out_request_no": number or order.request_no}, notices)


def detail(ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:  # noqa: ARG001 - one shape for all
    """alipay.fund.auth.operation.detail.query: one movement, and the totals."""
    order = _find(ledger, call, now)
    operation_id = optional(call.biz, "operation_id")
    if operation_id:
        row = ledger.auth_operation_by_id(order.order_id, operation_id)
    else:
        row = ledger.auth_operation(order.order_id, required(call.biz, "out_request_no"))
    wanted = optional(call.biz, "operation_type")
    if row is None or (wanted and wanted != row.kind):
        raise RefusedError("AUTH_OPERATION_NOT_EXIST", "there is no such movement")
    status = "CLOSED" if row.status == "INIT" and order.closed else row.status
    return Done(
        _numbers(order)
        | _movement(order, row)
        | _totals(order)
        | {
            "operation_type": row.kind,
            "status": status,
            "order_status": _status(order),
            "order_title": order.title,
            "payer_user_id": BUYER_ID,
            "payer_logon_id": BUYER_LOGON_ID,
        }
    )


def release_by_wallet(ledger: Ledger, order_id: str, now: datetime) -> Done:
    """The wallet gives back what is held, unasked, as it does when an authorization has grown old."""
    order = ledger.order(order_id)
    if order is None or not order.held_minor:
        raise RefusedError(NOT_EXIST, "nothing is held for such an order")
    row = _release(ledger, order, "", order.held_minor, now)
    return Done(_numbers(order) | _totals(order), (notice(order, row),))


def capture_arrival(ledger: Ledger, call: Call) -> Arrival:
    """A capture by its out_trade_no."""
    number = required(call.biz, "out_trade_no")
    auth_no = required(call.biz, "auth_no")
    order = ledger.order_by_wallet_no(auth_no)
    amount_minor = amount_of(call.biz, "total_amount", order.currency if order else "CNY")
    mode = optional(call.biz, "auth_confirm_mode") or "NOT_COMPLETE"
    order_id = order.order_id if order else _guess(number)
    return Arrival("capture", number, order_id, amount_minor, f"{auth_no} {amount_minor} {mode}")


def unfreeze_arrival(ledger: Ledger, call: Call) -> Arrival:
    """A release by its out_request_no."""
    number = required(call.biz, "out_request_no")
    auth_no = required(call.biz, "auth_no")
    order = ledger.order_by_wallet_no(auth_no)
    amount_minor = amount_of(call.biz, "amount", order.currency if order else "CNY")
    order_id = order.order_id if order else _guess(number)
    return Arrival("release", number, order_id, amount_minor, f"{auth_no} {amount_minor}")


def cancel_arrival(ledger: Ledger, call: Call) -> Arrival:
    """A cancel by its out_request_no, which may be the freeze's."""
    named = optional(call.biz, "auth_no") or required(call.biz, "out_order_no")
    order = ledger.order_by_wallet_no(named) or ledger.order(named)
    number = optional(call.biz, "out_request_no") or optional(call.biz, "operation_id") or named
    order_id = order.order_id if order else named
    return Arrival("close", number, order_id, 0, f"{order_id} {number}")


def notice(order: OrderRow, row: AuthOperationRow, url: str = "") -> Notice:
    """The callback fund_auth_freeze or fund_auth_unfreeze. It names no trade at all.

    Goes to `url`, that of the call that caused it; without one to the order string's.
    """
    kind = "fund_auth_freeze" if row.kind == "FREEZE" else "fund_auth_unfreeze"
    told = _numbers(order) | _movement(order, row) | _totals(order)
    told |= {
        "notify_type": kind,
        "operation_type": row.kind,
        "status": row.status,
        "order_title": order.title,
        "gmt_create": order.opened_at,
        "payer_user_id": BUYER_ID,
        "payer_logon_id": BUYER_LOGON_ID,
        "total_unfreeze_amount": to_decimal(order.released_minor, order.currency),
        "fund_amount": to_decimal(row.amount_minor, order.currency),
        "credit_amount": to_decimal(0, order.currency),
    }
    event = Event(
        "payment" if row.kind == "FREEZE" else "release",
        order.request_no,
        order.wallet_no,
        row.out_request_no,
        row.amount_minor,
        order.currency,
        row.at,
    )
    return Notice(order.order_id, url or order.notify_url, told, event, order.dialect)


def _take(ledger: Ledger, order: OrderRow, call: Call, amount_minor: int, now: datetime) -> TradeRow:
    number = required(call.biz, "out_trade_no")
    n = ledger.next_number()
    day = wallet_time(now)[:10].replace("-", "")
    trade = TradeRow(
        out_trade_no=number,
        trade_no=f"{day}22001473{n:012d}",
        order_id=order.order_id,
        amount_minor=amount_minor,
        status=trades.PAID,
        notify_url=call.notify_url or order.notify_url,
        paid_at=wallet_time(now),
    )
    order.taken_minor += amount_minor
    ledger.put(trade)
    ledger.put(order)
    ledger.put(
        AuthOperationRow(order.order_id, number, f"{day}{n:012d}", "PAY", amount_minor, "SUCCESS", wallet_time(now))
    )
    return trade


def _release(
    ledger: Ledger, order: OrderRow, request_no: str, amount_minor: int, now: datetime
) -> AuthOperationRow:
    """Gives back; without a number of the merchant's it goes under the wallet's own."""
    operation_id = f"{wallet_time(now)[:10].replace('-', '')}{ledger.next_number():012d}"
    row = AuthOperationRow(
        order.order_id,
        request_no or operation_id,
        operation_id,
        "UNFREEZE",
        amount_minor,
        "SUCCESS",
        wallet_time(now),
    )
    order.released_minor += amount_minor
    ledger.put(row)
    ledger.put(order)
    return row


def _find(ledger: Ledger, call: Call, now: datetime) -> OrderRow:
    auth_no = optional(call.biz, "auth_no")
    # Alipay's own number wins where both are given.
    order = ledger.order_by_wallet_no(auth_no) if auth_no else ledger.order(required(call.biz, "out_order_no"))
    if order is None or order.kind != "preauth":
        raise RefusedError(NOT_EXIST, "there is no such authorization")
    trades.expire_if_due(ledger, order, now)
    return order


def _guess(number: str) -> str:
    """The order that a request about an unknown authorization meant, for the ledger's list."""
    try:
        return order_id_of(number)
    except InvalidOrderIdError:
        return number


def _status(order: OrderRow) -> str:
    if not order.frozen_minor:
        return "CLOSED" if order.closed else "INIT"
    if order.held_minor:
        return "AUTHORIZED"
    # FINISH: the rest was taken; CLOSED: it was all given back.
    return "FINISH" if order.taken_minor else "CLOSED"


def _ended(order: OrderRow) -> str:
    return "ORDER_ALREADY_FINISH" if order.taken_minor else "ORDER_ALREADY_CLOSED"


def _numbers(order: OrderRow) -> Fields:
    return {"auth_no": order.wallet_no, "out_order_no": order.order_id}


def _movement(order: OrderRow, row: AuthOperationRow) -> Fields:
    return {
        "operation_id": row.operation_id,
        "out_request_no": row.out_request_no,
        "amount": to_decimal(row.amount_minor, order.currency),
        "gmt_trans": row.at,
    }


def _totals(order: OrderRow) -> Fields:
    return {
        "total_freeze_amount": to_decimal(order.frozen_minor, order.currency),
        "rest_amount": to_decimal(order.held_minor, order.currency),
        "total_pay_amount": to_decimal(order.taken_minor, order.currency),
    }
