"""Bugs in how the journal gets to Kafka."""

from tests.simulation.planting import Mutant

RELAY = "service.relay"
BACKLOG = "service.lanes.backlog"

MUTANTS = (
    Mutant(
        "unfenced relay",
        "every relay has transactional ids of its own, so that none fences its predecessor",
        RELAY,
        "lane_producers(self.broker, self.transactional_prefix, self.lane)",
        'lane_producers(self.broker, f"{self.transactional_prefix}-{self.epoch}", self.lane)',
    ),
    Mutant(
        "tail read before the fence",
        "the position is found while the predecessor may still publish",
        RELAY,
        "                await self._open(producers)\n                try:\n",
        "                await self._find_position()\n                await self._open(producers)\n"
        "                await self._publish(producers)\n                try:\n",
    ),
    Mutant(
        "futures not awaited",
        "a produce that failed does not fail its transaction",
        RELAY,
        "        for future in sent:\n            await future\n",
        "        _ = sent\n",
    ),
    Mutant(
        "tail not read again",
        "after a publication without an answer the position is believed",
        RELAY,
        "        self.position = self._seen = position\n",
        "        self.position = self._seen = max(self.position, 0) or position\n",
    ),
    Mutant(
        "first of the tail",
        "the position is that of the oldest record of the tail",
        "service.kafka.published",
        "last = orjson.loads(values[-1])",
        "last = orjson.loads(values[0])",
    ),
    Mutant(
        "backlog trusted",
        "entries in memory are published although they do not follow on the position",
        BACKLOG,
        "while commits and commits[0][0].lane_seq == position + len(taken) + 1:",
        "while commits:",
    ),
    Mutant(
        "no order string after a crash",
        "an entry that is read from the journal goes out without its order string",
        BACKLOG,
        'orders.get(row.order_id) if issues_order_string(event["trigger"], event["state"]) else None,',
        "None,",
    ),
    Mutant(
        "order string outside the transaction",
        "order strings are sent ahead, in a transaction of their own",
        RELAY,
        "        await producer.begin_transaction()\n        events =",
        "        if strings:\n"
        "            await producer.begin_transaction()\n"
        "            for future in await self._send(producer, Topic.ORDER_STRINGS, strings):\n"
        "                await future\n"
        "            await producer.commit_transaction()\n"
        "            strings = []\n"
        "        await producer.begin_transaction()\n        events =",
    ),
    Mutant(
        "low-water mark too high",
        "the lane row says that what is committed is published",
        RELAY,
        "return self._seen",
        "return self._committed",
    ),
    Mutant(
        "what hangs is left open",
        "a transaction that its coordinator has forgotten hides all that follows",
        RELAY,
        "                    await end_hanging(self.broker, producers, self.lane)\n",
        "                    _ = end_hanging\n",
    ),
    Mutant(
        "hanging order strings are left open",
        "a forgotten transaction is ended where the state events are, and nowhere else",
        "service.kafka.published",
        "for topic in PUBLISHED_TOPICS:",
        "for topic in PUBLISHED_TOPICS[:1]:",
    ),
    Mutant(
        "broker's absence not noticed",
        "a relay goes on publishing over what a broker that went away may have left open",
        RELAY,
        "if not all(connection.connected() for connection in used):",
        "if None in used:",
    ),
    Mutant(
        "an entry skipped",
        "after a full transaction one entry is left out",
        RELAY,
        "self.position = entries[-1].lane_seq\n",
        "self.position = entries[-1].lane_seq + (len(entries) > 6)\n",
    ),
    Mutant(
        "batch cut wrong",
        "the record that does not fit into a batch is dropped with it",
        RELAY,
        "                batch = None\n            elif batch is not None:",
        "                batch = None\n                continue\n            elif batch is not None:",
    ),
    Mutant(
        "forgotten when behind",
        "what a relay that is behind cannot keep in memory is not published",
        RELAY,
        "        self._backlog.add(published)\n",
        "        self._backlog.add(published)\n"
        "        if not self._backlog:\n            self._committed = self.position\n",
    ),
    Mutant(
        "clients left behind",
        "the producers of a relay that begins anew go on for ever",
        RELAY,
        "                    await abandon(producer)\n",
        "                    del producer\n",
    ),
)
