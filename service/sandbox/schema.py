"""The tables of the ledger's file."""

import sqlite3
from typing import Final

_SCHEMA: Final = """
create table if not exists orders (
    order_id text primary key, kind text not null, currency text not null, amount_minor integer not null,
    title text not null, notify_url text not null, request_no text not null, wallet_no text not null unique,
    deadline text not null, opened_at text not null, closed integer not null,
    frozen_minor integer not null, taken_minor integer not null,
    released_minor integer not null, refunded_minor integer not null,
    dialect text not null default 'alipay',
    check (taken_minor + released_minor <= max(frozen_minor, amount_minor)),
    check (refunded_minor <= taken_minor)
) without rowid;
create table if not exists trades (
    out_trade_no text primary key, trade_no text not null unique, order_id text not null,
    amount_minor integer not null, status text not null, refunded_minor integer not null,
    paid_at text not null, notify_url text not null,
    check (refunded_minor <= amount_minor)
) without rowid;
create table if not exists auth_operations (
    order_id text not null, out_request_no text not null, operation_id text not null, kind text not null,
    amount_minor integer not null, status text not null, at text not null,
    primary key (order_id, out_request_no)
) without rowid;
create table if not exists refunds (
    out_trade_no text not null, out_request_no text not null, amount_minor integer not null, at text not null,
    primary key (out_trade_no, out_request_no)
) without rowid;
create table if not exists requests (
    order_id text not null, kind text not null, request_no text not null, amount_minor integer not null,
    parameters text not null, times_seen integer not null, done integer not null,
    primary key (kind, request_no)
) without rowid;
create index if not exists requests_of_order on requests (order_id);
create table if not exists numbers (only integer primary key check (only = 1), last integer not null);
insert or ignore into numbers values (1, 0);
"""


def prepare(db: sqlite3.Connection) -> None:
    """Makes the tables, or brings those of an older file up to date."""
    db.executescript(_SCHEMA)
    if "dialect" not in {row["name"] for row in db.execute("pragma table_info (orders)")}:
        # From before there were two.
        db.execute("alter table orders add column dialect text not null default 'alipay'")
