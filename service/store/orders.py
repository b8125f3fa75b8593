"""Orders between Python and their rows."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import asyncpg
import orjson

from schemas.vocabulary import Flag, Kind, LatePayment, OperationKind, OperationState, State
from statemachine.check import check
from statemachine.order import Completion, Doubt, Operation, Order

_LOAD = """
    select order_id, kind, profile, currency, amount_minor, state, version, frozen_minor, taken_minor,
        released_minor, refunded_minor, flags, detail
    from orders where lane = $1 and order_id = any($2)
"""


def born(order: Order) -> date:
    """The day that chooses the journal's partition: the same for all entries of an order."""
    return order.created_at.date()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def detail(order: Order) -> str:
    """What no query or CHECK needs in a column of its own, as JSON."""
    operation, doubt = order.operation, order.doubt
    return orjson.dumps(
        {
            "subject": order.subject,
            "pay_timeout_s": order.pay_timeout_s,
            "pay_window_s": order.pay_window_s,
            "authorization_timeout_s": order.authorization_timeout_s,
            "late_payment": order.late_payment,
            "created_at": order.created_at,
            "metadata": order.metadata,
            "operation": None
            if operation is None
            else [
                operation.id,
                operation.kind,
                operation.amount_minor,
                operation.state,
                operation.attempts,
                operation.complete,
                operation.reason,
            ],
            "by_us": [order.captured_by_us_minor, order.released_by_us_minor, order.refunded_by_us_minor],
            "request_counts": order.request_counts,
            "waiting": [[w.completion_id, w.amount_minor, w.final] for w in order.waiting],
            "ending": order.ending,
            "final": order.final,
            "wallet_trade_no": order.wallet_trade_no,
            "wallet_auth_no": order.wallet_auth_no,
            "issued_at": order.issued_at,
            "pay_deadline": order.pay_deadline,
            "authorization_deadline": order.authorization_deadline,
            "next_query_at": order.next_query_at,
            "queries": order.queries,
            "doubt": None if doubt is None else [doubt.since, doubt.ask_at, doubt.questions, doubt.is_flagged],
            "seen": order.seen,
        }
    ).decode()


def _operation(values: list[Any] | None) -> Operation | None:
    if values is None:
        return None
    identity, kind, amount_minor, state, attempts, complete, reason = values
    return Operation(identity, OperationKind(kind), amount_minor, OperationState(state), attempts, complete, reason)


def _doubt(values: list[Any] | None) -> Doubt | None:
    if values is None:
        return None
    since, ask_at, questions, is_flagged = values
    return Doubt(datetime.fromisoformat(since), datetime.fromisoformat(ask_at), questions, is_flagged)


def from_row(row: asyncpg.Record) -> Order:
    """The order of a row; the lifecycle's own check has passed it."""
    rest = orjson.loads(row["detail"])
    captured, released, refunded = rest["by_us"]
    created_at = datetime.fromisoformat(rest["created_at"])
    order = Order(
        order_id=row["order_id"],
        kind=Kind(row["kind"]),
        profile=row["profile"],
        currency=row["currency"],
        amount_minor=row["amount_minor"],
        subject=rest["subject"],
        pay_timeout_s=rest["pay_timeout_s"],
        pay_window_s=rest["pay_window_s"],
        authorization_timeout_s=rest["authorization_timeout_s"],
        late_payment=LatePayment(rest["late_payment"]),
        created_at=created_at,
        metadata=rest["metadata"],
        state=State(row["state"]),
        version=row["version"],
        frozen_minor=row["frozen_minor"],
        taken_minor=row["taken_minor"],
        released_minor=row["released_minor"],
        refunded_minor=row["refunded_minor"],
        flags=frozenset(map(Flag, row["flags"])),
        operation=_operation(rest["operation"]),
        captured_by_us_minor=captured,
        released_by_us_minor=released,
        refunded_by_us_minor=refunded,
        request_counts=rest["request_counts"],
        waiting=tuple(Completion(*values) for values in rest["waiting"]),
        ending=rest["ending"],
        final=rest["final"],
        wallet_trade_no=rest["wallet_trade_no"],
        wallet_auth_no=rest["wallet_auth_no"],
        issued_at=_time(rest["issued_at"]),
        pay_deadline=_time(rest["pay_deadline"]),
        authorization_deadline=_time(rest["authorization_deadline"]),
        next_query_at=_time(rest["next_query_at"]),
        queries=rest["queries"],
        doubt=_doubt(rest.get("doubt")),
        seen=tuple(rest["seen"]),
    )
    check(order)
    return order


async def load(connection: asyncpg.Connection, lane: int, order_ids: Iterable[str]) -> dict[str, Order]:
    """The orders of a lane that exist among `order_ids`, by id."""
    rows = await connection.fetch(_LOAD, lane, list(order_ids))
    return {row["order_id"]: from_row(row) for row in rows}
