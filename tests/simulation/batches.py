"""`commit_lane_batch` of the simulated Postgres: everything that a batch changes, or nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from service.store import commit
from tests.simulation.tables import LIVE, Row, Tables, check_order, order_row, raised, unique

Rows = list[Row]


class Batches:
    """Commits batches to the tables."""

    def __init__(self, tables: Tables, now: Callable[[], datetime]) -> None:
        self.tables = tables
        self.now = now

    def commit(self, *given: Any) -> Rows:
        number, epoch, seq, next_seq, published_seq, offsets, next_offsets, fingerprints, counted = given[:9]
        lane = self.tables.lanes[number]
        if lane.epoch != epoch:
            raise raised(commit.FENCED, f"lane {number} is at epoch {lane.epoch}, not {epoch}")
        if lane.lane_seq != seq or lane.next_offsets != list(offsets) or lane.halt_reason is not None:
            raise raised(commit.MOVED, f"lane {number} has moved")
        published_seq = max(lane.published_seq, published_seq)
        if not 0 <= published_seq <= next_seq:
            raise asyncpg.CheckViolationError('violates check constraint "lanes_check"')
        # First everything that may be refused; nothing has changed until then.
        ordered = [order_row(values, number) for values in zip(*given[9:25], strict=True)]
        merged = [self._merged(row) for row in ordered]
        for pair in zip(ordered, merged, strict=True):
            # What is proposed, and then what becomes of the row that is there.
            for row in pair:
                check_order(row)
        entries = self._entries(number, given[25:30])
        begun = self._operations(number, given[30:38])
        kept, dead = self._kept(number, given[40:47]), self._dead(number, given[49:56])

        lane.lane_seq, lane.published_seq, lane.next_offsets = next_seq, published_seq, list(next_offsets)
        lane.fingerprints = fingerprints or lane.fingerprints
        lane.counters = [a + b for a, b in zip(lane.counters, counted, strict=True)]
        if lane.owner is not None and lane.lease_until is not None and lane.lease_s is not None:
            lane.lease_until = max(lane.lease_until, self.now() + timedelta(seconds=lane.lease_s))
        self.tables.orders |= {(number, row["order_id"]): row for row in merged}
        self.tables.journal[number] += entries
        self.tables.operations |= begun
        for order_id, due in zip(*given[38:40], strict=True):
            if due is None:
                self.tables.timers.pop((number, order_id), None)
            else:
                self.tables.timers[number, order_id] = due
        self.tables.parked |= kept
        for topic, offset in zip(*given[47:49], strict=True):
            self.tables.parked.pop((number, topic, offset), None)
        self.tables.dead_letters |= dead
        return [{"commit_lane_batch": self.now()}]

    def _merged(self, row: Row) -> Row:
        # What an order never changes, its row keeps, too.
        fixed = ("kind", "profile", "currency", "amount_minor", "born")
        before = self.tables.orders.get((row["lane"], row["order_id"]))
        return row if before is None else row | {name: before[name] for name in fixed}

    def _entries(self, lane: int, columns: tuple[list[Any], ...]) -> Rows:
        names = ("lane_seq", "order_id", "version", "born", "event")
        entries = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        there = self.tables.journal[lane]
        if entries:
            seqs = {row["lane_seq"] for row in there}
            versions = {(row["order_id"], row["version"]) for row in there}
            for row in entries:
                if row["lane_seq"] in seqs or (row["order_id"], row["version"]) in versions:
                    raise unique("journal_pkey")
                seqs.add(row["lane_seq"])
                versions.add((row["order_id"], row["version"]))
        return entries

    def _operations(self, lane: int, columns: tuple[list[Any], ...]) -> dict[tuple[int, str], Row]:
        names = ("operation_id", "order_id", "kind", "amount_minor", "state", "attempts", "complete", "reason")
        changed: dict[tuple[int, str], Row] = {}
        given = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        for row in sorted(given, key=lambda row: row["state"] in LIVE):
            key = lane, row["operation_id"]
            before = changed.get(key) or self.tables.operations.get(key)
            fixed = () if before is None else ("order_id", "kind", "amount_minor", "complete")
            changed[key] = {**row, "kind": str(row["kind"]), "state": str(row["state"])} | {
                name: before[name] for name in fixed if before is not None
            }
            everything = {**self.tables.operations, **changed}
            live = [
                each
                for (of, _), each in everything.items()
                if of == lane and each["order_id"] == row["order_id"] and each["state"] in LIVE
            ]
            if len(live) > 1:
                raise unique("operations_live")
        return changed

    def _kept(self, lane: int, columns: tuple[list[Any], ...]) -> dict[tuple[int, str, int], Row]:
        names = ("topic", "record_offset", "order_id", "record_key", "value", "headers", "record_time")
        return self._records(lane, names, columns, self.tables.parked, "parked_pkey")

    def _dead(self, lane: int, columns: tuple[list[Any], ...]) -> dict[tuple[int, str, int], Row]:
        names = ("topic", "record_offset", "record_key", "value", "headers", "record_time", "reason")
        return self._records(lane, names, columns, self.tables.dead_letters, "dead_letters_pkey")

    def _records(
        self, lane: int, names: tuple[str, ...], columns: tuple[list[Any], ...], there: Any, key_name: str
    ) -> dict[tuple[int, str, int], Row]:
        rows: dict[tuple[int, str, int], Row] = {}
        for values in zip(*columns, strict=True):
            row = dict(zip(names, values, strict=True))
            key = lane, str(row["topic"]), row["record_offset"]
            if key in there or key in rows:
                raise unique(key_name)
            rows[key] = row
        return rows
