"""What must hold after every commit, every publication and every call: rules of the lifecycle, and promises.

The judge sees what no part of the service sees: the tables, the topics and the wallet's own ledger at once.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from schemas.vocabulary import Flag, State, Topic
from service.kafka.partition import lane_of
from service.store.lanes import COUNTERS
from service.store.orders import from_row
from statemachine.operations import SEEN_IN_TOTALS
from statemachine.order import Order
from statemachine.reports import CLOSE_NOT_CONFIRMED
from statemachine.timers import wake_at
from tests.simulation.accounts import DONE, REFUSED, TAKEN_BY
from tests.simulation.broker import Log
from tests.simulation.plan import TROUBLED_S
from tests.simulation.promises import must
from tests.simulation.tables import LIVE, Row, Tables
from tests.simulation.wallet import Wallet
from tests.simulation.wishes import Wishes

FACTS = ("frozen_minor", "taken_minor", "released_minor", "refunded_minor")


class Judge:
    """Looks at each lane after its commits; remembers how everything was before."""

    def __init__(self, tables: Tables, wallet: Wallet, wishes: Wishes, seen: Counter[tuple[str, ...]]) -> None:
        self.tables = tables
        self.wallet = wallet
        self.accounts = wallet.accounts
        self.wishes = wishes
        self.seen = seen
        self.orders: dict[tuple[int, str], Order] = {}
        # By order: the flags that a person has cleared, and so has seen.
        self.cleared: defaultdict[str, set[str]] = defaultdict(set)
        # By order: how often the lifecycle asked for a question when everything had healed.
        self.to_be_asked: Counter[str] = Counter()
        self._rows: dict[tuple[int, str], Row] = {}
        # Each order's last entry, and each lane's entries that have been looked at.
        self.last: dict[tuple[int, str], dict[str, Any]] = {}
        self.judged: dict[int, int] = dict.fromkeys(tables.lanes, 0)
        self.operations: dict[tuple[int, str], Row] = {}
        self.published: dict[int, int] = dict.fromkeys(tables.lanes, 0)
        self.read_to: dict[tuple[str, int], int] = {}
        self.strings: Counter[tuple[str, int]] = Counter()
        self.strings_due: Counter[tuple[str, int]] = Counter()
        # How many state events of a lane are committed, seen or not yet.
        self.committed: Callable[[int], int] = lambda _lane: 0
        self.on_state: Callable[[str, str], None] = lambda _order_id, _state: None

    # --------------------------------------------------------------------------------------------- after a commit

    def judge(self, number: int, epoch: int) -> None:
        """The lane, and everything that its last batch has changed."""
        lane = self.tables.lanes[number]
        must(lane.epoch == epoch, "a stale owner changes nothing", number, lane.epoch, epoch)
        assert lane.next_offsets is not None
        assert lane.first_offsets is not None
        read = sum(lane.next_offsets) - sum(lane.first_offsets)
        must(read == sum(lane.counters), "P1: counters add up to the offsets", number, read, lane.counters)
        must(min(lane.counters) >= 0, "P1: no counter is negative", lane.counters)
        entries = self.tables.journal[number]
        must(len(entries) == lane.lane_seq, "P2: lane_seq is that of the journal's end", number, lane.lane_seq)
        if lane.published_seq > self.published[number]:
            must(
                lane.published_seq <= self.committed(number),
                "the low-water mark is not beyond what is published",
                number,
                lane.published_seq,
            )
        for row in entries[self.judged[number] :]:
            self._entry(number, row)
        for key, row in self.tables.orders.items():
            if key[0] == number and row is not self._rows.get(key):
                self._order(key, row)
        for key, row in self.tables.operations.items():
            if key[0] == number and row is not self.operations.get(key):
                self._operation(key, row)
        self._dispositions(number)

    def _entry(self, number: int, row: Row) -> None:
        event = orjson.loads(row["event"])
        key = number, row["order_id"]
        before = self.last.get(key)
        self.judged[number] += 1
        must(row["lane_seq"] == self.judged[number] == event["lane_seq"], "P2: lane_seq is dense", event)
        version = 1 if before is None else before["version"] + 1
        must(event["version"] == row["version"] == version, "rule 10: versions are dense", event)
        previous = None if before is None else before["state"]
        must(event["previous_state"] == previous, "rule 10: states follow one another", event)
        for fact in FACTS:
            must(before is None or event[fact] >= before[fact], "rule 4: no total decreases", event)
        self.last[key] = event
        trigger, disposition = event["trigger"], event["disposition"]
        self.seen["entry", str(previous), trigger, disposition] += 1
        if disposition == "applied":
            self.seen["move", str(previous), trigger, event["state"]] += 1
        if trigger == "operator_resolved" and before is not None:
            self.cleared[row["order_id"]].update(set(before["flags"]).difference(event["flags"]))
        for flag in event["flags"]:
            self.seen["flag", flag] += 1
        if trigger == "issue" and event["state"] == "paying":
            self.strings_due[row["order_id"], row["version"]] += 1
        if event["reason"] == CLOSE_NOT_CONFIRMED:
            deadline = self.orders[key].pay_deadline
            must(
                deadline is not None and datetime.fromisoformat(event["recorded_at"]) >= deadline,
                "while the buyer can pay nobody gives up asking for the close",
                event,
                deadline,
            )
        if event["state"] in (State.EXPIRED, State.CLOSED) and previous in (State.PAYING, State.EXPIRING):
            self._came_to_nothing(event)
        if previous != event["state"]:
            self.on_state(row["order_id"], event["state"])

    def _came_to_nothing(self, event: dict[str, Any]) -> None:
        """An order string that is out can be paid until the wallet says that it cannot."""
        account = self.accounts.get(event["order_id"])
        is_paid = account is not None and account.taken + account.frozen > 0
        is_payable = account is not None and not account.closed and self.wallet.now() < account.deadline
        must(
            not (is_paid or is_payable) or not self.wallet.clocks_agree or Flag.CLOSE_UNCONFIRMED in event["flags"],
            "an order ends unpaid only when nobody has paid it, nor can any more",
            event,
        )

    def _order(self, key: tuple[int, str], row: Row) -> None:
        # `from_row` holds the invariants of the lifecycle.
        order = from_row(row)
        self._rows[key] = row
        event = self.last[key]
        must(lane_of(order.order_id, len(self.tables.lanes)) == key[0], "an order is in its own lane", order)
        must(order.version == event["version"], "rule 10: the row is its last entry's", order)
        must(order.state == event["state"], "rule 10: the row stands where its last entry says", order)
        must(sorted(order.flags) == event["flags"], "the row has its last entry's flags", order)
        facts = tuple(getattr(order, fact) for fact in FACTS)
        must(facts == tuple(event[fact] for fact in FACTS), "rule 10: the facts are the journal's", order)
        account = self.accounts.get(order.order_id)
        truth = (0, 0, 0, 0) if account is None else account.facts
        must(
            all(ours <= theirs for ours, theirs in zip(facts, truth, strict=True)),
            "rule 8: nothing is booked that has not happened",
            facts,
            truth,
            order,
        )
        self._timer(key, order)
        live = [
            each["operation_id"]
            for (_, _), each in self.tables.operations.items()
            if each["order_id"] == order.order_id and each["state"] in LIVE
        ]
        expected = [] if order.operation is None else [order.operation.id]
        must(live == expected, "rule 5: the live operation is the order's", live, order)
        before = self.orders.get(key)
        self.orders[key] = order
        if before is not None and _questions(order) > _questions(before) and self._has_healed():
            self.to_be_asked[order.order_id] += 1

    def flags_of(self, order: Order) -> set[str]:
        """Those that are up, and those that a person has taken down."""
        return self.cleared[order.order_id].union(order.flags)

    def _has_healed(self) -> bool:
        """Since so long that nobody dies any more of what befell them before."""
        return self.wallet.loop.time() > TROUBLED_S + 1

    def _timer(self, key: tuple[int, str], order: Order) -> None:
        wake, due = wake_at(order), self.tables.timers.get(key)
        must((wake is None) == (due is None), "an order that waits for time has a timer", wake, due, order)
        must(wake is None or due is None or due >= wake, "a timer does not come too early", wake, due, order)
        if order.state in (State.CREATED, State.PAYING):
            latest = order.pay_deadline
        elif order.state in (State.AUTHORIZED, State.PARTIALLY_CAPTURED):
            latest = order.authorization_deadline
        else:
            latest = due
        must(latest is None or (due is not None and due <= latest), "a deadline has its timer", due, order)
        waiting = [each for each in self.tables.parked.values() if each["order_id"] == order.order_id]
        must(not waiting, "nothing is parked whose order is known", order.order_id)

    def _operation(self, key: tuple[int, str], row: Row) -> None:
        before = self.operations.get(key)
        self.operations[key] = row
        state, kind = row["state"], row["kind"]
        self.seen["operation", kind, state] += 1
        must(before is None or before["state"] in LIVE, "rule 5: what has ended stays ended", row)
        must(before is None or before["attempts"] <= row["attempts"], "attempts are counted up", row)
        for name in ("kind", "amount_minor", "complete", "order_id"):
            must(before is None or before[name] == row[name], "rule 5: what is asked for is fixed", row)
        account = self.accounts.get(row["order_id"])
        request = None if account is None else account.requests.get(row["operation_id"])
        if kind == "close":
            return
        if state == "succeeded" and kind == "capture" and row["complete"]:
            stands = self.orders[key[0], row["order_id"]].state
            must(
                stands not in (State.AUTHORIZED, State.PARTIALLY_CAPTURED),
                "the last capture is the last",
                row,
                stands,
            )
        if state == "succeeded":
            # Or something like it was done, by the wallet itself: totals do not say by whom.
            is_like = row["reason"] == SEEN_IN_TOTALS and account is not None
            must(
                (request is not None and request.status == DONE)
                or (is_like and account.by_itself[TAKEN_BY[kind]] >= row["amount_minor"]),
                "rule 5: it succeeded only if the wallet has done it",
                row,
                request,
            )
        elif state == "rejected":
            must(
                request is not None and request.status == REFUSED,
                "P5: it was rejected only if the wallet has refused it",
                row,
                request,
            )
        elif state == "superseded":
            must(request is None or request.status != DONE, "what was done is not superseded", row, request)

    def _dispositions(self, number: int) -> None:
        counters = dict(zip(COUNTERS, self.tables.lanes[number].counters, strict=True))
        dead = sum(key[0] == number for key in self.tables.dead_letters)
        must(dead >= counters["dead_lettered"], "P1: what is counted as dead is kept", number, dead, counters)
        for row in self.tables.dead_letters.values():
            must("break a rule of the lifecycle" not in row["reason"], "the lifecycle can decide anything", row)
        for name, count in counters.items():
            if count:
                self.seen["counter", name] += 1

    # --------------------------------------------------------------------------------------------- a publication

    def settled(self, log: Log) -> None:
        """What readers of committed records now see: the journal, each entry once and in order."""
        key = log.topic, log.partition
        if log.topic not in (Topic.STATE_EVENTS, Topic.ORDER_STRINGS):
            return
        records, self.read_to[key] = log.read(self.read_to.get(key, 0), log.stable, 10_000, committed=True)
        for record in records:
            if log.topic == Topic.STATE_EVENTS:
                self._state_event(log.partition, record)
            else:
                said = orjson.loads(record.value)
                self.strings[said["order_id"], said["version"]] += 1
                must(
                    self.strings[said["order_id"], said["version"]]
                    <= self.strings_due[said["order_id"], said["version"]],
                    "an order string goes out once, with its entry",
                    said,
                )

    def _state_event(self, number: int, record: Any) -> None:
        self.published[number] += 1
        seq = self.published[number]
        journal = self.tables.journal[number]
        must(seq <= len(journal), "P2: nothing is published that is not committed", number, seq, record.value)
        row = journal[seq - 1]
        must(record.value.decode() == row["event"], "P2: each entry once and in order", number, seq, record.value)
        must(record.key == row["order_id"].encode(), "the key is the order", record.key)
        names = dict(record.headers)
        must(
            names["ce_id"].decode() == orjson.loads(record.value)["event_id"], "the headers are the event's", names
        )


def _questions(order: Order) -> int:
    return order.queries + (0 if order.doubt is None else order.doubt.questions)
