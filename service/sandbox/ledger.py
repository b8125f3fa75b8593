"""What this wallet knows to have happened to the money; durable in one SQLite file.

Every call of the wallet is one transaction. A call takes well under a millisecond, so it is made on the
event loop itself: one loop, one connection, no two transactions at once.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from service.sandbox.dialect import RefusedError
from service.sandbox.schema import prepare


@dataclass(slots=True)
class OrderRow:
    """One order: a payment with its one trade, or an authorization with its captures. Amounts are totals."""

    order_id: str
    kind: str
    currency: str
    amount_minor: int
    title: str
    notify_url: str
    # The freeze's out_request_no; empty for a payment.
    request_no: str
    # trade_no of a payment, auth_no of an authorization.
    wallet_no: str
    deadline: str
    opened_at: str
    closed: int = 0
    frozen_minor: int = 0
    taken_minor: int = 0
    released_minor: int = 0
    refunded_minor: int = 0
    # That of the order string which the buyer brought; its callbacks are in it, too.
    dialect: str = "alipay"

    @property
    def held_minor(self) -> int:
        """What is still frozen."""
        return self.frozen_minor - self.taken_minor - self.released_minor if self.kind == "preauth" else 0


@dataclass(slots=True)
class TradeRow:
    """One trade: of a payment, or of one capture. `status` is Alipay's trade_status."""

    out_trade_no: str
    trade_no: str
    order_id: str
    amount_minor: int
    status: str
    notify_url: str
    refunded_minor: int = 0
    paid_at: str = ""


@dataclass(slots=True)
class AuthOperationRow:
    """One movement of an authorization: FREEZE, UNFREEZE or PAY."""

    order_id: str
    out_request_no: str
    operation_id: str
    kind: str
    amount_minor: int
    status: str
    at: str


@dataclass(slots=True)
class RefundRow:
    """One refund of one trade."""

    out_trade_no: str
    out_request_no: str
    amount_minor: int
    at: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it came in: what identifies it, and all that it asks for."""

    kind: str
    request_no: str
    order_id: str
    amount_minor: int
    parameters: str


Row = TypeVar("Row", OrderRow, TradeRow, AuthOperationRow, RefundRow)


class Ledger:
    """The rows. All methods but `transaction` and `snapshot` are called inside a transaction."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the file; None keeps everything in memory."""
        # Used by the loop's one thread, which need not be the one that makes it.
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode = wal")
        # A killed process loses nothing; only a power cut could take the last calls of this play wallet.
        self._db.execute("pragma synchronous = normal")
        prepare(self._db)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. A refusal commits: it moved no money, and that the request came is to be kept."""
        self._db.execute("begin immediate")
        try:
            yield
        except RefusedError:
            self._db.execute("commit")
            raise
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def next_number(self) -> int:
        """A number never given before, over restarts too."""
        row = self._db.execute("update numbers set last = last + 1 returning last").fetchone()
        return int(row[0])

    def arrive(self, arrival: Arrival) -> bool:
        """Counts the request; whether it has been carried out before.

        Raises RefusedError when the number was carried out for something else.
        """
        row = self._db.execute(
            "insert into requests values (?, ?, ?, ?, ?, 1, 0) on conflict (kind, request_no)"
            " do update set times_seen = times_seen + 1 returning parameters, done",
            (
                arrival.order_id,
                arrival.kind,
                arrival.request_no,
                arrival.amount_minor,
                arrival.parameters,
            ),
        ).fetchone()
        if row["done"] and row["parameters"] != arrival.parameters:
            raise RefusedError("ACQ.CONTEXT_INCONSISTENT", f"{arrival.request_no} was used with other parameters")
        return bool(row["done"])

    def carried_out(self, arrival: Arrival) -> None:
        """Binds the number to what it has now done."""
        self._db.execute(
            "update requests set done = 1, order_id = ?, amount_minor = ?, parameters = ?"
            " where kind = ? and request_no = ?",
            (arrival.order_id, arrival.amount_minor, arrival.parameters, arrival.kind, arrival.request_no),
        )

    def order(self, order_id: str) -> OrderRow | None:
        """The order with the merchant's number."""
        return self._one(OrderRow, "orders", "order_id = ?", order_id)

    def order_by_wallet_no(self, wallet_no: str) -> OrderRow | None:
        """The order with this wallet's number (auth_no or trade_no)."""
        return self._one(OrderRow, "orders", "wallet_no = ?", wallet_no)

    def trade(self, out_trade_no: str) -> TradeRow | None:
        """The trade with the merchant's number."""
        return self._one(TradeRow, "trades", "out_trade_no = ?", out_trade_no)

    def trade_by_no(self, trade_no: str) -> TradeRow | None:
        """The trade with this wallet's number."""
        return self._one(TradeRow, "trades", "trade_no = ?", trade_no)

    def auth_operation(self, order_id: str, out_request_no: str) -> AuthOperationRow | None:
        """A movement by the merchant's number."""
        return self._one(
            AuthOperationRow,
            "auth_operations",
            "order_id = ? and out_request_no = ?",
            order_id,
            out_request_no,
        )

    def auth_operation_by_id(self, order_id: str, operation_id: str) -> AuthOperationRow | None:
        """A movement by this wallet's number."""
        return self._one(
            AuthOperationRow, "auth_operations", "order_id = ? and operation_id = ?", order_id, operation_id
        )

    def refund(self, out_trade_no: str, out_request_no: str) -> RefundRow | None:
        """A refund by the merchant's numbers."""
        return self._one(
            RefundRow, "refunds", "out_trade_no = ? and out_request_no = ?", out_trade_no, out_request_no
        )

    def trades_of(self, order_id: str) -> list[TradeRow]:
        """The trades of an order, the oldest first: one of a payment, one a capture of an authorization."""
        return self._all(TradeRow, "trades", "order_id = ? order by trade_no", order_id)

    def movements_of(self, order_id: str) -> list[AuthOperationRow]:
        """The movements of an authorization, the oldest first."""
        return self._all(AuthOperationRow, "auth_operations", "order_id = ? order by operation_id", order_id)

    def refunds_under(self, out_request_no: str) -> list[RefundRow]:
        """What went back under a number, of whatever trades."""
        return self._all(RefundRow, "refunds", "out_request_no = ?", out_request_no)

    def refunds_of(self, out_trade_no: str) -> list[RefundRow]:
        """What went back of a trade."""
        return self._all(RefundRow, "refunds", "out_trade_no = ? order by at, out_request_no", out_trade_no)

    def put(self, row: OrderRow | TradeRow | AuthOperationRow | RefundRow) -> None:
        """Writes the row, new or changed."""
        table = {
            OrderRow: "orders",
            TradeRow: "trades",
            AuthOperationRow: "auth_operations",
            RefundRow: "refunds",
        }[type(row)]
        members = asdict(row)
        names = ", ".join(members)
        places = ", ".join(f":{name}" for name in members)
        self._db.execute(f"insert or replace into {table} ({names}) values ({places})", members)  # noqa: S608

    def snapshot(self, order_id: str | None = None) -> list[dict[str, Any]]:
        """Every order (or the one) with its totals and the requests that came for it."""
        where, given = ("where order_id = ?", (order_id,)) if order_id is not None else ("", ())
        requests: dict[str, list[dict[str, Any]]] = {}
        for row in self._db.execute(f"select * from requests {where} order by request_no", given):  # noqa: S608
            requests.setdefault(row["order_id"], []).append(
                {name: row[name] for name in ("request_no", "kind", "amount_minor", "times_seen")}
                | {"done": bool(row["done"])}
            )
        found = [
            _totals(row) | {"requests": requests.pop(row["order_id"], [])}
            for row in self._db.execute(f"select * from orders {where} order by order_id", given)  # noqa: S608
        ]
        # Requests about orders that no buyer has touched: the wallet has no money to tell of.
        return found + [_untouched(order) | {"requests": seen} for order, seen in sorted(requests.items())]

    def _one(self, cls: type[Row], table: str, where: str, *given: str) -> Row | None:
        found = self._all(cls, table, where, *given)
        return found[0] if found else None

    def _all(self, cls: type[Row], table: str, where: str, *given: str) -> list[Row]:
        names = [field.name for field in fields(cls)]
        rows = self._db.execute(f"select * from {table} where {where}", given).fetchall()  # noqa: S608
        return [cls(**{name: row[name] for name in names}) for row in rows]


TOTALS = ("frozen_minor", "taken_minor", "released_minor", "refunded_minor")


def _totals(row: sqlite3.Row) -> dict[str, Any]:
    named = ("order_id", "kind", "currency", "amount_minor", *TOTALS)
    return {name: row[name] for name in named} | {"closed": bool(row["closed"])}


def _untouched(order_id: str) -> dict[str, Any]:
    return {"order_id": order_id, "kind": None, "closed": False} | dict.fromkeys(TOTALS, 0)
