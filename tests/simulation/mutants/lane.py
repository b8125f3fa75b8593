"""Bugs in how a lane reads, decides and commits."""

from tests.simulation.planting import Mutant

WORKER = "service.lanes.worker"
BATCH = "service.lanes.batch"
SESSION = "service.lanes.session"
INTAKE = "service.lanes.intake"
STATEMENTS = "tests.simulation.batches"

MUTANTS = (
    Mutant(
        "no fence",
        "a stale owner commits as if the lane were still its own",
        STATEMENTS,
        "if lane.epoch != epoch:\n            raise raised(commit.FENCED",
        "if lane.epoch < epoch:\n            raise raised(commit.FENCED",
    ),
    Mutant(
        "position not atomic",
        "the offsets are committed first, and what the records lead to afterwards",
        WORKER,
        "        told = await _uncancelled(commit(self.connection, rows))",
        "        ahead = BatchRows(rows.lane, rows.epoch, rows.seq, rows.seq, rows.published_seq, rows.offsets,"
        " rows.next_offsets, rows.fingerprints, rows.counted)\n"
        "        await _uncancelled(commit(self.connection, ahead))\n"
        "        rows.offsets, rows.counted = rows.next_offsets, [0] * len(COUNTERS)\n"
        "        told = await _uncancelled(commit(self.connection, rows))",
    ),
    Mutant(
        "cache kept after an unknown commit",
        "orders stay in memory when the worker ends, and are believed by the next",
        WORKER,
        "_cache: OrderedDict[str, Order] = field(default_factory=OrderedDict)",
        "_cache: OrderedDict[str, Order] = field(default_factory=lambda kept=OrderedDict(): kept)",
    ),
    Mutant(
        "lane row not read again",
        "after a doubt the session goes on from the row that it claimed",
        SESSION,
        "self.row = await lane_rows.take_again(self.ports.database, self.row.lane, self.row.epoch)",
        "self.row.epoch = (await lane_rows.take_again(self.ports.database, self.row.lane, self.row.epoch)).epoch",
    ),
    Mutant(
        "lane row only read again",
        "after a doubt the lane keeps its epoch, and a commit that is still on its way may fit",
        SESSION,
        "self.row = await lane_rows.take_again(self.ports.database, self.row.lane, self.row.epoch)",
        "self.row = await lane_rows.read(self.ports.database, self.row.lane, self.row.epoch)",
    ),
    Mutant(
        "published before committed",
        "the relay gets the entries before the commit has been answered",
        WORKER,
        "        told = await _uncancelled(commit(self.connection, rows))",
        "        self.on_committed(batch.published, batch.started)\n"
        "        told = await _uncancelled(commit(self.connection, rows))",
    ),
    Mutant(
        "stray swallowed",
        "a record of another lane is passed and not sent on",
        WORKER,
        "await self.forward(one.record, lane)",
        "_ = self.forward",
    ),
    Mutant(
        "stray decided here",
        "a record of another lane is decided where it landed",
        WORKER,
        "if lane != self.position.lane:",
        "if lane < 0:",
    ),
    Mutant(
        "stray not counted",
        "the offset moves on past a stray record, and no counter does",
        BATCH,
        "self.rows.counted[FORWARDED] += 1",
        "self.rows.counted[FORWARDED] += 0",
    ),
    Mutant(
        "poison dropped in silence",
        "what cannot be opened is counted and not kept",
        BATCH,
        "self.bury(opened.record, opened.dead)",
        "self.rows.counted[DEAD] += 1",
    ),
    Mutant(
        "parked for ever",
        "records that waited for their order are not looked for when it comes",
        WORKER,
        "for opened in await self._open(waited):",
        "for opened in await self._open(waited[:0]):",
    ),
    Mutant(
        "early records forgotten",
        "what comes before its order is counted as parked and not kept",
        BATCH,
        "self.rows.parked.extend((_kept(opened.record), order_id) for opened in early)",
        "self.rows.parked.extend(())",
    ),
    Mutant(
        "parked twice",
        "a parked record is replayed and stays parked",
        BATCH,
        "self.rows.unparked.append((record.topic, record.offset))",
        "_ = self.rows.unparked",
    ),
    Mutant(
        "parked in this run forgotten",
        "only what was parked before the lane was taken is replayed",
        WORKER,
        "batch.count_parked()",
        "_ = batch.count_parked",
    ),
    Mutant(
        "early in the same batch lost",
        "a record that comes just before its order, in one batch, is dropped",
        BATCH,
        "for early in self._early.pop(opened.order_id, ()):",
        "for early in (self._early.pop(opened.order_id, ()) and ()):",
    ),
    Mutant(
        "counted as something else",
        "what was refused is counted as absorbed",
        BATCH,
        "    Disposition.REFUSED: REFUSED,",
        "    Disposition.REFUSED: ABSORBED,",
    ),
    Mutant(
        "duplicates counted as absorbed",
        "the same event again is counted as if it had left an entry",
        BATCH,
        "index = DUPLICATE if decision.duplicate else",
        "index = ABSORBED if decision.duplicate else",
    ),
    Mutant(
        "decided on yesterday's order",
        "the second event of a batch does not see what the first has done",
        BATCH,
        "return self.rows.orders.get(order_id) or self._known.get(order_id)",
        "return self._known.get(order_id) or self.rows.orders.get(order_id)",
    ),
    Mutant(
        "timers not stored",
        "an order's wake time changes and its timer does not",
        BATCH,
        "rows.timers[after.order_id] = wake",
        "_ = wake",
    ),
    Mutant(
        "timers never looked at again",
        "the next due time stays what it was when the lane was taken",
        WORKER,
        "self._next_due = min(dues, default=None)",
        "_ = min(dues, default=None)",
    ),
    Mutant(
        "live operations left lying",
        "a new owner does not take up what its predecessor had begun",
        SESSION,
        "for order in await operation_rows.live(connection, row.lane):",
        "for order in (await operation_rows.live(connection, row.lane))[:0]:",
    ),
    Mutant(
        "reads from the beginning",
        "a lane's topics are read from 0, not from its row",
        INTAKE,
        "            reader.seek(partition, position)",
        "            _ = position",
    ),
    Mutant(
        "skips a record on reopening",
        "the position is one too far, which shows when the partitions are assigned anew",
        INTAKE,
        "queue.positions[index] = records[-1].offset + 1",
        "queue.positions[index] = records[-1].offset + 2",
    ),
    Mutant(
        "records of an old assignment",
        "what was fetched before a lane was opened anew is handed to its new queue",
        INTAKE,
        "if not self._changed.is_set():\n                self._distribute(fetched)",
        "if self._queues:\n                self._distribute(fetched)",
    ),
    Mutant(
        "nobody asks",
        "the questions that the lifecycle asks for are not put",
        BATCH,
        "            self.started.queries[after.order_id] = (after, cause.traceparent)",
        "            pass",
    ),
    Mutant(
        "woken with the last",
        "a lane's timers wait for the latest of them",
        WORKER,
        "min(dues, default=None)",
        "max(dues, default=None)",
    ),
    Mutant(
        "gaps not counted",
        "offsets without a record are in no counter",
        BATCH,
        "self.rows.counted[SKIPPED] += record.offset - self.rows.next_offsets[index]",
        "self.rows.counted[SKIPPED] += 0",
    ),
    Mutant(
        "a full queue drops",
        "what has been read for a lane that has no room is thrown away",
        INTAKE,
        "if queue is None or not records:",
        "if queue is None or not records or queue.waiting() >= QUEUE_HIGH:",
    ),
    Mutant(
        "only one round of timers",
        "of the timers that are due together only as many are taken as fit into a batch",
        WORKER,
        "        if self._next_due is not None:\n            dues.append(self._next_due)\n",
        "",
    ),
    Mutant(
        "memory trusted",
        "an order that fell out of memory is not looked up, and taken for unknown",
        WORKER,
        "        if missing:\n            self._cache.update(",
        "        if len(missing) == len(wanted):\n            self._cache.update(",
    ),
)
