"""Everything that comes from outside: upstream's events, the wallet's callbacks, and what strangers write.

What it puts into the topics is kept, so that at the end each record can be asked after.
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.vocabulary import Topic
from service.kafka.partition import lane_of
from tests.simulation.authors import Act
from tests.simulation.broker import Broker
from tests.simulation.faults import Faults
from tests.simulation.server import WORLD
from tests.simulation.tables import BEGINNING
from tests.simulation.wire import PROFILE, TOTALS, from_wallet, sealed

RETRY_S = 1.0


@dataclass(frozen=True)
class Sent:
    """A record that was written. `event_id` is None for what is no genuine event.

    `own_id` is that of a completion or a refund, as an order remembers it.
    """

    topic: str
    order_id: str
    value: bytes | None
    event_id: str | None
    own_id: str = ""


class Traffic:
    """Writes the records, some of them twice, late, elsewhere or damaged."""

    def __init__(self, broker: Broker, faults: Faults, tell: Callable[[str], None]) -> None:
        self.broker = broker
        self.faults = faults
        self.tell = tell
        self.sent: list[Sent] = []
        # Callbacks that were lost and will be told again: a wallet repeats itself until it is heard.
        self.withheld: list[dict[str, Any]] = []
        # Written or to be written.
        self.under_way = 0

    # ------------------------------------------------------------------------------------------------ upstream

    def publish(self, act: Act) -> None:
        """One of upstream's events; it may fare ill."""
        value = orjson.dumps(act.value)
        own_id = f"c:{act.value.get('completion_id')}" if act.topic == Topic.COMPLETIONS else ""
        if act.value["type"] == "refund.requested":
            own_id = f"r:{act.value['refund_id']}"
        sent = Sent(act.topic, act.value["order_id"], value, act.value["event_id"], own_id)
        faults = self.faults
        after_s = faults.between("input_delayed", 0, 40) if faults.happens("input_delayed") else 0.0
        self._write_later(after_s, sent)
        if faults.happens("input_duplicated"):
            self._write_later(faults.between("input_duplicated", 0, 20), sent)
        if faults.happens("input_malformed"):
            self._write_later(after_s, self._damaged(sent))

    def _damaged(self, sent: Sent) -> Sent:
        value = sent.value or b""
        damages: tuple[Callable[[], bytes | None], ...] = (
            lambda: value[:-1],
            lambda: value.replace(b'"type":', b'"type":"order.created","type":', 1),
            lambda: value.replace(sent.order_id.encode(), b"not__an_id_", 1),
            lambda: value.replace(b'"event_id":"', b'"event_id":1,"was":"', 1),
            lambda: value.replace(b'"2026-', b'"6202', 1),
            lambda: value.replace(b'"type":"', b'"type":"no.such.', 1),
            lambda: b"\x00\xff" + value,
            lambda: b"[1, 2]",
            lambda: b"",
            lambda: None,
            lambda: value.replace(b'"e', b'"\\u0000e', 1),
        )
        dice = self.faults.dice("input_malformed")
        return Sent(sent.topic, sent.order_id, dice.choice(damages)(), None)

    # ---------------------------------------------------------------------------------------------- the wallet

    def call_back(self, said: dict[str, Any], may_be_lost: bool, after_s: float) -> None:
        """The wallet's bridge publishes a callback, if it reaches it, and at the soonest after so long."""
        faults = self.faults
        if faults.happens("callback_wrong"):
            # Genuine, of the right order, and with somebody else's amount.
            totals = {name: 77 for name in TOTALS if said.get(name)}
            wrong = said | {"notify_id": said["notify_id"] + "w", "order_amount_minor": 77} | totals
            self._write_later(0, self._callback(wrong))
        if faults.happens("callback_forged"):
            self._write_later(faults.between("callback_forged", 0, 10), self._forged(said))
        if faults.happens("callback_lost"):
            if not may_be_lost or faults.dice("callback_lost").random() < 0.2:
                self.withheld.append(said)
            return
        after_s += faults.between("callback_delayed", 0, 40) if faults.happens("callback_delayed") else 0.002
        self._write_later(after_s, self._callback(said))
        if faults.happens("callback_repeated"):
            self._write_later(faults.between("callback_repeated", 0, 30), self._callback(said))

    def tell_again(self) -> None:
        """All that was withheld: the wallet's repetitions of a day."""
        withheld, self.withheld = self.withheld, []
        for said in withheld:
            self._write_later(0.01, self._callback(said))

    def _callback(self, said: dict[str, Any]) -> Sent:
        return self._bridged(said["order_id"], from_wallet(said), said["notify_id"])

    def _forged(self, said: dict[str, Any]) -> Sent:
        """What somebody would like us to believe, sealed with a key of theirs."""
        wished = said | {"notify_id": said["notify_id"] + "f", "trade": "paid", "total_taken_minor": 100}
        dice = self.faults.dice("callback_forged")
        bodies = (sealed(wished, b"a stranger's"), from_wallet(said)[:-1] + b" ", b"short", b"")
        return self._bridged(said["order_id"], dice.choice(bodies), None)

    def _bridged(self, order_id: str, body: bytes, event_id: str | None) -> Sent:
        record = {
            "type": "wallet.callback",
            "profile": PROFILE,
            "received_at": BEGINNING.isoformat(),
            "method": "POST",
            "path": "/wallets/mall/notify",
            "headers": {},
            "body_base64": b64encode(body).decode(),
        }
        return Sent(Topic.CALLBACKS, order_id, orjson.dumps(record), event_id)

    # ------------------------------------------------------------------------------------------------- the topic

    def _write_later(self, after_s: float, sent: Sent) -> None:
        self.under_way += 1
        self.broker.troubles.loop.call_later(after_s, self._write, sent, context=WORLD)

    def _write(self, sent: Sent) -> None:
        if self.broker.is_down:
            self.broker.troubles.loop.call_later(RETRY_S, self._write, sent, context=WORLD)
            return
        self.under_way -= 1
        lane = lane_of(sent.order_id, self.broker.lanes)
        if self.faults.happens("input_misrouted"):
            lane = (lane + 1) % self.broker.lanes
        self.sent.append(sent)
        if self.faults.happens("input_gap"):
            self.broker.leave_gap(sent.topic, lane)
        offset = self.broker.append(sent.topic, lane, [(sent.order_id.encode(), sent.value, ())])
        self.tell(f"{sent.topic}[{lane}]@{offset}: {(sent.value or b'')[:400]!r}")
