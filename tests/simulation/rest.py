"""The end: when the world has come to rest, and what must be true of it then."""

from collections import Counter
from datetime import timedelta

import orjson

from schemas.vocabulary import Flag, LatePayment, State, Topic
from service.store.lanes import COUNTERS
from statemachine import seen
from statemachine.timers import wake_at
from tests.simulation.broker import Broker
from tests.simulation.checks import FACTS, Judge
from tests.simulation.http import Gateway
from tests.simulation.plan import TROUBLED_S
from tests.simulation.postgres import Postgres
from tests.simulation.promises import must
from tests.simulation.traffic import Traffic

RESTING = frozenset(
    {
        State.PAID,
        State.CAPTURED,
        State.REFUNDED,
        State.PARTIALLY_REFUNDED,
        State.EXPIRED,
        State.CLOSED,
        State.VOIDED,
    }
)

# By total (frozen, taken, released, refunded): the flags that say that it may be larger at the wallet. Callbacks
# that never come and answers that are lost leave nothing else.
_UNCONFIRMED = frozenset({Flag.CLOSE_UNCONFIRMED})
_ASKS_A_PERSON = (
    _UNCONFIRMED,
    _UNCONFIRMED | {Flag.NEEDS_REVIEW},
    _UNCONFIRMED | {Flag.NEEDS_REVIEW},
    frozenset(),
)


# How late a timer may be taken: lanes have found their owners by then, and nothing else keeps them.
LATEST_TIMER_S = 30.0


class Rest:
    """Looks at the whole world."""

    def __init__(
        self, judge: Judge, gateway: Gateway, traffic: Traffic, broker: Broker, postgres: Postgres
    ) -> None:
        self._postgres = postgres
        self._judge = judge
        self._wallet = gateway.wallet
        self._told = gateway.told
        self._traffic = traffic
        self._broker = broker

    def unrest(self) -> list[str]:
        """What is still to be done; empty at rest."""
        judge, tables = self._judge, self._judge.tables
        busy = []
        for number, lane in tables.lanes.items():
            ends = [len(self._broker.logs[str(topic), number].entries) for topic in _INPUTS]
            if lane.next_offsets != ends:
                busy.append(f"lane {number} has read {lane.next_offsets} of {ends}")
            if judge.published[number] < lane.lane_seq:
                busy.append(f"lane {number} is published up to {judge.published[number]} of {lane.lane_seq}")
        hidden = judge.strings_due - judge.strings
        if hidden:
            busy.append(f"order strings are not to be seen: {hidden}")
        for (_, order_id), order in judge.orders.items():
            if order.operation is not None:
                busy.append(f"{order.operation} of {order_id} is live")
            elif order.state not in RESTING:
                busy.append(f"{order_id} is {order.state}")
            elif wake_at(order) is not None:
                busy.append(f"{order_id} is {order.state} and will wake at {wake_at(order)}")
        return busy + [
            f"the wallet is not done with {account.order_id}"
            for account in self._wallet.accounts.values()
            if any(request.status == "pending" for request in account.requests.values()) or account.held
        ]

    def look(self) -> None:
        """What must be so at any moment once everything has healed."""
        now = self._postgres.now()
        latest_s = LATEST_TIMER_S + self._postgres.jumped_back_s
        if self._postgres.troubles.loop.time() > TROUBLED_S + latest_s:
            latest = now - timedelta(seconds=latest_s)
            late = {key: due for key, due in self._judge.tables.timers.items() if due < latest}
            must(not late, "an order is woken when its time has come", now, late)

    def check(self) -> None:
        """Everything is at rest, and as it should be."""
        must(not self.unrest(), "liveness: the world comes to rest", "; ".join(self.unrest()))
        self._ledgers()
        # One question may end with the engine that was to put it, when it hands its lane over.
        asked_for = {order_id for order_id, times in self._judge.to_be_asked.items() if times > 1}
        never_asked = asked_for - self._told
        must(not never_asked, "the wallet is asked when the lifecycle says so", never_asked)
        self._counters()
        self._records()
        judge = self._judge
        must(judge.strings == judge.strings_due, "every order string went out, once", judge.strings)

    def _ledgers(self) -> None:
        judge = self._judge
        for (_, order_id), order in judge.orders.items():
            account = self._wallet.accounts.get(order_id)
            truth = (0, 0, 0, 0) if account is None else account.facts
            facts = tuple(getattr(order, fact) for fact in FACTS)
            # Where only a person can find out, a person is told. But what the wallet has answered is known.
            differ = [n for n in range(4) if facts[n] != truth[n]]
            asks = frozenset().union(*(_ASKS_A_PERSON[n] for n in differ))
            must(
                facts == truth or (order_id not in self._told and not asks.isdisjoint(judge.flags_of(order))),
                "P3: the wallet's ledger is equal to ours",
                order_id,
                facts,
                truth,
                order,
            )
            must(
                order.state is not State.PAID
                or Flag.LATE_PAYMENT not in order.flags
                or order.late_payment is LatePayment.ACCEPT
                or Flag.REFUND_REJECTED in order.flags,
                "late money goes back, if that is wanted",
                order,
            )
            self._judge.seen["ledger", str(facts == truth)] += 1
            self._judge.seen["end", order.state] += 1
            self._judge.seen["review", str(Flag.NEEDS_REVIEW in order.flags)] += 1

    def _counters(self) -> None:
        """P1: where nothing was ever parked, each lane has counted every record as what became of it."""
        tables = self._judge.tables
        for number, lane in tables.lanes.items():
            counted = dict(zip(COUNTERS, lane.counters, strict=True))
            became: dict[tuple[str, int], str] = {}
            for event in (orjson.loads(row["event"]) for row in tables.journal[number]):
                if event["cause_topic"] is not None:
                    became.setdefault((event["cause_topic"], event["cause_offset"]), event["disposition"])
            found = Counter(became.values())
            found["dead_lettered"] = sum(key[0] == number for key in tables.dead_letters)
            for name in ("applied", "absorbed", "refused", "flagged", "dead_lettered"):
                must(
                    counted["parked"] > 0 or counted[name] == found[name],
                    "P1: every record is counted as what became of it",
                    name,
                    counted,
                    found,
                )

    def _records(self) -> None:
        """P1: every record that was written has left a trace."""
        tables = self._judge.tables
        known = {order_id: order.seen for (_, order_id), order in self._judge.orders.items()}
        causes = {
            (row["order_id"], orjson.loads(row["event"])["cause_event_id"])
            for rows in tables.journal.values()
            for row in rows
        }
        places: dict[tuple[str, str], set[tuple[str, int, int]]] = {}
        for rows in tables.journal.values():
            for event in (orjson.loads(row["event"]) for row in rows):
                if event["cause_event_id"] is not None:
                    kind = "callback" if event["cause_type"] == "wallet.callback" else "event"
                    place = event["cause_topic"], event["cause_partition"], event["cause_offset"]
                    places.setdefault((event["order_id"], kind + event["cause_event_id"]), set()).add(place)
        callbacks = Counter(order_id for order_id, identity in places if identity.startswith("callback"))
        for (order_id, identity), found in places.items():
            # A wallet's ids are not remembered for ever: its totals make a repetition harmless.
            is_forgotten = identity.startswith("callback") and callbacks[order_id] > seen.REMEMBERED_CALLBACKS
            must(len(found) == 1 or is_forgotten, "the same id again is a duplicate", order_id, identity, found)
        dead = Counter(row["value"] for row in tables.dead_letters.values())
        parked = Counter(row["value"] for row in tables.parked.values())
        for sent in self._traffic.sent:
            if sent.event_id is None:
                must(dead[sent.value] > 0, "P1: poison is kept with the dead letters", sent)
            elif sent.order_id not in known:
                must(parked[sent.value] > 0, "P1: what is early is parked", sent)
            elif sent.own_id not in known[sent.order_id]:
                must((sent.order_id, sent.event_id) in causes, "P1: every event has an answer", sent)


_INPUTS = (Topic.ORDERS, Topic.CALLBACKS, Topic.COMPLETIONS)
