"""The simulated Postgres and broker against the real ones: the same random traces, the same results.

What the simulation proves is worth as much as its servers are like those that it stands in for.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from schemas.vocabulary import Kind, LatePayment, OperationKind, OperationState, State
from service.store import journal, lanes, operations, orders, parked, timers
from service.store.commit import BatchRows, DataRefusedError, JournalEntry, Record, commit
from service.store.connection import Database
from service.store.lanes import Fingerprint, LaneFencedError, LaneMovedError, LaneRow, fingerprints_json
from service.store.migrate import migrate
from statemachine.check import BrokenInvariantError
from statemachine.order import Operation, Order
from tests.simulation.faults import Faults, rates_of
from tests.simulation.loop import SimulatedLoop
from tests.simulation.postgres import Postgres, SimulatedDatabase
from tests.simulation.server import Troubles
from tests.simulation.tables import of_lanes

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LANES = 2
WORKERS = ("ann", "ben")
TOPICS = ("orders.events", "wallet.callbacks", "service.completions")
STEPS = 150
# A lease that does not run out by itself during a trace, and one that has run out at once.
LONG_S, NO_TIME_S = 3_600.0, -1.0
# As if the clock had been set back by an hour and more: every heartbeat lies in the future.
SET_BACK_S = -LONG_S


@dataclass
class Trace:
    """Random calls of the store's own functions, of which each answer is noted in a comparable form."""

    database: Database
    dice: random.Random

    async def run(self) -> list[str]:
        self.connection = await self.database.connect()
        self.rows: dict[int, LaneRow] = {}
        self.orders: dict[str, Order] = {}
        noted = []
        for _ in range(STEPS):
            step = self.dice.choices(
                (self.claim, self.beat, self.leave, self.begin, self.batch, self.look, self.read_again),
                (2, 1, 1, 2, 20, 3, 1),
            )[0]
            noted.append(f"{step.__name__}: {await answered(step)}")
        await self.connection.close()
        return noted

    async def claim(self) -> object:
        life_s = self.dice.choice((LONG_S, NO_TIME_S))
        claimed = await lanes.claim(self.database, self.dice.choice(WORKERS), life_s, self.dice.randrange(3))
        self.rows |= {row.lane: row for row in claimed}
        return sorted(_shown(row) for row in claimed)

    async def beat(self) -> object:
        worker = self.dice.choice(WORKERS)
        held = self.dice.sample(range(LANES), self.dice.randrange(LANES + 1))
        return (
            sorted((await lanes.heartbeat(self.database, worker, self.beat_s(), held)).items()),
            await lanes.alive_workers(self.database, self.dice.choice((LONG_S, LONG_S, SET_BACK_S))),
        )

    def beat_s(self) -> float:
        return self.dice.choice((LONG_S, NO_TIME_S))

    async def leave(self) -> object:
        lane, epoch = self.some_lane()
        match self.dice.randrange(12):
            case 0:
                await lanes.halt(self.database, lane, epoch, "a reason")
            case 1 | 2:
                await lanes.retire(self.database, self.dice.choice(WORKERS))
            case _:
                await lanes.release(self.database, lane, epoch, self.dice.choice((0, 0, 1, 1_000)))
        return ""

    async def begin(self) -> object:
        lane, epoch = self.some_lane()
        await lanes.begin_at(self.database, lane, epoch, [self.dice.randrange(2), 0, 0])
        return ""

    async def read_again(self) -> object:
        lane, epoch = self.some_lane()
        self.rows[lane] = await lanes.take_again(self.database, lane, epoch)
        return _shown(self.rows[lane])

    async def look(self) -> object:
        lane, epoch = self.some_lane()
        known = [f"o{n}" for n in range(4)]
        waiting = await parked.load(self.connection, lane, known)
        due, _ = await timers.due_orders(self.connection, lane, self.dice.randrange(1, 4))
        entries = await journal.read_after(self.database, lane, self.dice.randrange(6), 4)
        return (
            sorted((await orders.load(self.connection, lane, known)).items()),
            sorted(order.order_id for order in await operations.live(self.connection, lane)),
            await timers.earliest(self.connection, lane),
            sorted(due),
            sorted((await parked.counts(self.connection, lane)).items()),
            [(record.topic, record.offset, record.key, record.value, record.headers) for record in waiting],
            [(row.lane_seq, row.order_id, row.version, row.event) for row in entries],
            await journal.tail(self.database, lane, self.dice.randrange(6)),
            await lanes.lane_count(self.database),
            _shown(await lanes.read(self.database, lane, epoch)),
        )

    async def batch(self) -> object:
        lane, epoch = self.some_lane()
        row = self.rows.get(lane)
        dice = self.dice
        offsets = list((row and row.next_offsets) or [0, 0, 0])
        seq = row.lane_seq if row else 0
        rows = BatchRows(lane, epoch, seq, seq, 0, offsets, list(offsets))
        if dice.random() < 0.1:
            rows.seq += 1
        rows.next_offsets[dice.randrange(3)] += dice.randrange(3)
        rows.counted = [dice.randrange(3) for _ in rows.counted]
        rows.published_seq = dice.choice((0, 0, 0, 0, 0, seq, seq, seq + 5))
        if dice.random() < 0.3:
            rows.fingerprints = fingerprints_json({TOPICS[0]: Fingerprint(dice.randrange(9), 1, 2)})
        for _ in range(dice.randrange(3)):
            self.change(rows)
        self.keep(rows)
        await commit(self.connection, rows)
        for order in rows.orders.values():
            self.orders[order.order_id] = order
        self.rows[lane] = await lanes.read(self.database, lane, epoch)
        return _shown(self.rows[lane])

    def change(self, rows: BatchRows) -> None:
        """An order with its entry, its operation and its timer; some of them are none that could be."""
        dice = self.dice
        order_id = f"o{dice.randrange(4)}"
        amount, version = 100, self.orders[order_id].version + 1 if order_id in self.orders else 1
        order = Order(
            order_id, dice.choice(tuple(Kind)), "mall", "CNY", amount, "x", 900, 900, 60, LatePayment.REFUND, NOW
        )
        order.version = version if dice.random() < 0.95 else 1
        order.state = dice.choice(
            (*[State.PAYING] * 6, State.PAID, State.AUTHORIZED, State.REFUNDING, State.CLOSED)
        )
        order.taken_minor, order.frozen_minor = dice.choice((*[(0, 0)] * 8, (100, 0), (0, 100), (50, 100), (99, 0)))
        order.refunded_minor = dice.choice((*[0] * 8, 100, 30))
        order.seen = (f"e:{version}",)
        kind = dice.choice(tuple(OperationKind))
        operation = Operation(
            f"{order_id}__X{dice.randrange(3)}",
            kind,
            dice.choice((0, 40, 100)),
            dice.choice(tuple(OperationState)),
            dice.randrange(3),
        )
        if dice.random() < 0.7:
            rows.operations[operation.id] = (order_id, operation)
        if dice.random() < 0.2:
            order.operation = operation
        rows.orders[order_id] = order
        # No two at one moment: which of them comes first nobody has promised.
        overdue = NOW - timedelta(seconds=dice.randrange(1_000_000))
        rows.timers[order_id] = dice.choice((None, overdue, NOW + timedelta(days=9_000)))
        if dice.random() < 0.9:
            rows.next_seq += 1
            event = b'{"event_id": "%d"}' % rows.next_seq
            rows.journal.append(JournalEntry(rows.next_seq, order_id, order.version, order, event))

    def keep(self, rows: BatchRows) -> None:
        """Records for the dead and for those that wait."""
        dice = self.dice
        record = Record(
            dice.choice(TOPICS), dice.randrange(4), dice.choice((None, b"k")), b"\x00\xff", '[["a", "b"]]', NOW
        )
        if dice.random() < 0.2:
            rows.parked.append((record, f"o{dice.randrange(4)}"))
        if dice.random() < 0.2:
            rows.unparked.append((dice.choice(TOPICS), dice.randrange(4)))
        if dice.random() < 0.2:
            rows.dead.append((record, "no good"))

    def some_lane(self) -> tuple[int, int]:
        lane = self.dice.randrange(LANES)
        epoch = self.rows[lane].epoch if lane in self.rows else 1
        return lane, epoch - (self.dice.random() < 0.1)


REFUSALS = (
    LaneFencedError,
    LaneMovedError,
    DataRefusedError,
    BrokenInvariantError,
    asyncpg.IntegrityConstraintViolationError,
)


async def answered(step: Callable[[], Awaitable[object]]) -> str:
    """What a step came to. Of an error its kind and which constraint, which is all that anybody decides by."""
    try:
        return repr(await step())
    except REFUSALS as error:
        named = re.search(r'check constraint "(\w+)"|operations_live', str(error))
        return f"{type(error).__name__} {named[0] if named else ''}"


def _shown(row: LaneRow) -> str:
    """Without the moment at which it was read."""
    return repr((row.lane, row.epoch, row.lane_seq, row.published_seq, row.next_offsets, row.fingerprints))


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    await migrate(database_dsn, LANES)
    opened = Database(database_dsn, "paystate_service")
    yield opened
    await opened.close()


def _simulated(seed: int) -> list[str]:
    loop = SimulatedLoop()
    faults = Faults(seed, rates_of(seed), are_over=True)
    postgres = Postgres(of_lanes(LANES), Troubles(loop, faults, lambda _: None), lambda _lane, _epoch: None)
    trace = Trace(SimulatedDatabase(postgres), random.Random(seed))
    try:
        return loop.run_until_complete(trace.run())
    finally:
        loop.close()


@pytest.mark.parametrize("seed", range(12))
async def test_the_simulated_postgres_does_what_postgres_does(database: Database, seed: int) -> None:
    real = await Trace(database, random.Random(seed)).run()
    with_threads: Any = await asyncio.to_thread(_simulated, seed)
    for number, (theirs, ours) in enumerate(zip(real, with_threads, strict=True)):
        assert ours == theirs, f"step {number} of seed {seed}"


def test_the_traces_come_by_everything_that_they_should() -> None:
    lines = [line for seed in range(12) for line in _simulated(seed)]
    noted = "\n".join(lines)
    for refusal in (
        "LaneFencedError",
        "LaneMovedError",
        "DataRefusedError",
        "operations_live",
        "a_payment_is_taken",
    ):
        assert refusal in noted, refusal
    # And most of what is done succeeds, or there would be nothing to compare.
    assert sum(line.startswith("batch: ") and "Error" not in line for line in lines) > STEPS
