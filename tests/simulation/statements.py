"""The statements that the service makes, each with what it does to the tables. Postgres, as far as we use it.

Keyed by their text: a statement that is changed in `service/store` is not known here until its meaning has been
changed, too, and `test_conformance` has found both to do the same.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson

from service.store import commit, journal, lanes, operations, orders, parked
from tests.simulation.batches import Batches
from tests.simulation.tables import LIVE, Lane, Row, Tables

Rows = list[Row]


class Statements:
    """Runs a statement, whole or not at all. `now` is the clock of this Postgres."""

    def __init__(self, tables: Tables, now: Callable[[], datetime]) -> None:
        self.tables = tables
        self.now = now
        self._known: dict[str, Callable[..., Rows]] = {
            _plain(text): meaning
            for text, meaning in (
                ("select clock_timestamp()", self._clock),
                (lanes._HEARTBEAT, self._heartbeat),
                (lanes._ALIVE, self._alive),
                (lanes._CLAIM, self._claim),
                (lanes._TAKE_AGAIN, self._take_again),
                (lanes._RELEASE, self._release),
                (lanes._MARK, self._mark),
                (f"select {lanes._ROW} from lanes where lane = $1 and epoch = $2", self._read_lane),
                (
                    (
                        "update lanes set first_offsets = $3, next_offsets = $3 "
                        "where lane = $1 and epoch = $2 and next_offsets is null"
                    ),
                    self._begin_at,
                ),
                ("delete from workers where worker = $1", self._retire),
                (
                    (
                        "update lanes set halt_reason = $3, owner = null, lease_until = null"
                        " where lane = $1 and epoch = $2"
                    ),
                    self._halt,
                ),
                ("select lane from lanes where halt_reason is not null", self._halted_lanes),
                ("select to_regclass('paystate.installation')", lambda: [{"to_regclass": "installation"}]),
                ("select lane_count from installation", lambda: [{"lane_count": len(tables.lanes)}]),
                (journal._TAIL, self._tail),
                (journal._AFTER, self._journal_after),
                (journal._MAKE_MONTH, self._make_month),
                (orders._LOAD, self._load_orders),
                (operations._LIVE, self._live_operations),
                ("select min(due_at) from timers where lane = $1", self._earliest),
                (
                    "select order_id from timers where lane = $1 and due_at <= $2 order by due_at limit $3",
                    self._due,
                ),
                (
                    "select order_id, count(*) as waiting from parked where lane = $1 group by order_id",
                    self._parked_counts,
                ),
                (parked._LOAD, self._load_parked),
                (commit._COMMIT, Batches(tables, now).commit),
            )
        }
        # By the very text, too, which spares making it plain every time.
        self._by_text: dict[str, Callable[..., Rows]] = {}

    def run(self, text: str, arguments: tuple[Any, ...]) -> Rows:
        """The rows of the answer. Raises what Postgres would."""
        meaning = self._by_text.get(text)
        if meaning is None:
            meaning = self._by_text[text] = self._known[_plain(text)]
        return meaning(*arguments)

    # ------------------------------------------------------------------------------------------------- lanes

    def _clock(self) -> Rows:
        return [{"clock_timestamp": self.now()}]

    def _heartbeat(self, worker: str, lease_ttl_s: float, held: list[int]) -> Rows:
        self.tables.workers[worker] = self.now()
        kept = [self.tables.lanes[lane] for lane in held if self.tables.lanes[lane].owner == worker]
        for lane in kept:
            lane.lease_until, lane.lease_s = self.now() + timedelta(seconds=lease_ttl_s), lease_ttl_s
        return [{"lane": lane.lane, "epoch": lane.epoch} for lane in kept]

    def _alive(self, lease_ttl_s: float) -> Rows:
        now, lease = self.now(), timedelta(seconds=lease_ttl_s)
        beats = sorted(self.tables.workers.items())
        for worker, beat in beats:
            if beat < now - timedelta(hours=1) or beat > now + lease:
                del self.tables.workers[worker]
        return [{"worker": worker} for worker, beat in beats if now - lease < beat < now + lease]

    def _claim(self, worker: str, lease_ttl_s: float, limit: int) -> Rows:
        now = self.now()
        free = [
            lane
            for lane in self.tables.lanes.values()
            if lane.halt_reason is None and (lane.owner is None or _has_lapsed(lane, now))
        ][:limit]
        for lane in free:
            lane.epoch += 1
            lane.owner, lane.lease_s = worker, lease_ttl_s
            lane.lease_until = now + timedelta(seconds=lease_ttl_s)
        return [row for lane in free for row in self._read_lane(lane.lane, lane.epoch)]

    def _release(self, number: int, epoch: int, published_seq: int) -> Rows:
        lane = self.tables.lanes[number]
        if lane.epoch == epoch:
            published_seq = max(lane.published_seq, published_seq)
            if published_seq > lane.lane_seq:
                raise asyncpg.CheckViolationError('violates check constraint "lanes_check"')
            lane.owner, lane.lease_until, lane.published_seq = None, None, published_seq
        return []

    def _mark(self, number: int, epoch: int, published_seq: int) -> Rows:
        lane = self.tables.lanes[number]
        if lane.epoch == epoch:
            lane.published_seq = max(lane.published_seq, published_seq)
        return []

    def _read_lane(self, number: int, epoch: int) -> Rows:
        lane = self.tables.lanes[number]
        if lane.epoch != epoch:
            return []
        names = ("lane", "epoch", "lane_seq", "published_seq", "fingerprints")
        row = {name: getattr(lane, name) for name in names}
        row["next_offsets"] = None if lane.next_offsets is None else list(lane.next_offsets)
        return [row | {"now": self.now()}]

    def _take_again(self, number: int, epoch: int) -> Rows:
        lane = self.tables.lanes[number]
        if lane.epoch != epoch:
            return []
        lane.epoch += 1
        return self._read_lane(number, lane.epoch)

    def _begin_at(self, number: int, epoch: int, offsets: list[int]) -> Rows:
        lane = self.tables.lanes[number]
        if lane.epoch == epoch and lane.next_offsets is None:
            lane.first_offsets, lane.next_offsets = list(offsets), list(offsets)
        return []

    def _retire(self, worker: str) -> Rows:
        self.tables.workers.pop(worker, None)
        return []

    def _halt(self, number: int, epoch: int, reason: str) -> Rows:
        lane = self.tables.lanes[number]
        if lane.epoch == epoch:
            lane.halt_reason, lane.owner, lane.lease_until = reason, None, None
        return []

    def _halted_lanes(self) -> Rows:
        return [{"lane": number} for number, lane in self.tables.lanes.items() if lane.halt_reason is not None]

    def _tail(self, number: int, lane_seq: int) -> Rows:
        entries = self._journal_after(number, lane_seq - 1, 1) if lane_seq > 0 else []
        event_id = orjson.loads(entries[0]["event"])["event_id"] if entries else None
        return [{"lane_seq": self.tables.lanes[number].lane_seq, "event_id": event_id}]

    # --------------------------------------------------------------------------------- journal, orders, timers

    def _journal_after(self, lane: int, lane_seq: int, limit: int) -> Rows:
        # Dense from 1: the checks hold that after every commit.
        return self.tables.journal[lane][max(lane_seq, 0) : max(lane_seq, 0) + limit]

    def _make_month(self, ahead: int) -> Rows:
        # Here the journal is in one piece.
        return [{"is_there": True, "days_until": 30 * ahead}]

    def _load_orders(self, lane: int, order_ids: list[str]) -> Rows:
        rows = (self.tables.orders.get((lane, order_id)) for order_id in sorted(order_ids))
        return [row for row in rows if row is not None]

    def _live_operations(self, lane: int) -> Rows:
        return [
            {"order_id": row["order_id"]}
            for (of, _), row in sorted(self.tables.operations.items())
            if of == lane and row["state"] in LIVE
        ]

    def _earliest(self, lane: int) -> Rows:
        return [{"min": min((due for (of, _), due in self.tables.timers.items() if of == lane), default=None)}]

    def _due(self, lane: int, now: datetime, limit: int) -> Rows:
        due = sorted(
            (at, order_id) for (of, order_id), at in self.tables.timers.items() if of == lane and at <= now
        )
        return [{"order_id": order_id} for _, order_id in due[:limit]]

    def _parked_counts(self, lane: int) -> Rows:
        counts: dict[str, int] = {}
        for (of, _, _), row in self.tables.parked.items():
            if of == lane:
                counts[row["order_id"]] = counts.get(row["order_id"], 0) + 1
        return [{"order_id": order_id, "waiting": n} for order_id, n in sorted(counts.items())]

    def _load_parked(self, lane: int, order_ids: list[str]) -> Rows:
        rows = [
            row for (of, _, _), row in self.tables.parked.items() if of == lane and row["order_id"] in order_ids
        ]
        return sorted(rows, key=lambda row: (row["record_time"], row["topic"], row["record_offset"]))


def _has_lapsed(lane: Lane, now: datetime) -> bool:
    if lane.lease_until is None:
        return False
    longest_s = 2 * (300 if lane.lease_s is None else lane.lease_s)
    return not now <= lane.lease_until <= now + timedelta(seconds=longest_s)


def _plain(text: str) -> str:
    """The statement without comments and line breaks."""
    lines = (line.partition("--")[0] for line in text.splitlines())
    return " ".join(" ".join(lines).split())
