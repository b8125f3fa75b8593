"""Leases: which lanes this process owns. Shares are fair, and surplus is handed back drained.

Every worker reckons the shares by itself from the same table: workers in the order of their names, N lanes
dealt out evenly, the first ones taking what is left over. The sum of all shares is N.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from service.lanes.ports import Ports
from service.lanes.session import LaneSession
from service.observability import HALTED, OWNED
from service.store import connection as store_connection
from service.store import lanes as lane_rows
from service.store.connection import Database

log = structlog.get_logger()

# However long a lease is: this often a worker looks for lanes that have become free, and for newcomers.
LONGEST_BEAT_S = 1.0
# How many heartbeats there are in a lease, and how many looks of one who has fewer lanes than its share: those of a
# dead worker become free between two of them.
BEATS = 4
HUNGRY_BEATS = 16


def share_of(worker: str, workers: list[str], lanes: int) -> int:
    """How many lanes a worker may own among these workers."""
    if worker not in workers:
        return 0
    rank = sorted(workers).index(worker)
    return lanes // len(workers) + (1 if rank < lanes % len(workers) else 0)


@dataclass(slots=True)
class Leases:
    """Keeps this worker's leases alive, claims up to its share, gives back what is above it."""

    worker: str
    ports: Ports
    # Its connections are nobody else's, and it waits no longer than a lease: a heartbeat that is stuck behind
    # others, or on a line that has fallen silent, would be noticed when the lanes are long somebody else's.
    database: Database
    lease_ttl_s: float
    on_first_lanes: Callable[[], None]
    _sessions: dict[int, LaneSession] = field(default_factory=dict)
    _handing_over: set[int] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _is_hungry: bool = True
    _began: bool = False
    _claims_from: float = 0.0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def stop(self, running: asyncio.Task[None]) -> None:
        """Ends `run`, but never in the middle of a beat: a claim under way must find its session."""
        self._stopping.set()
        await asyncio.wait({running})

    async def run(self) -> None:
        """Until stopped: at least four heartbeats in a lease's life."""
        while not self._stopping.is_set():
            try:
                await self._beat()
            except store_connection.UNAVAILABLE as error:
                log.warning("postgres_unavailable", doing="keeping leases", error=repr(error))
                # Nobody could keep a lease meanwhile: the others get time to say that they are alive.
                self._claims_from = asyncio.get_running_loop().time() + self.lease_ttl_s / 2
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_next_s()):
                    await self._stopping.wait()

    def _until_next_s(self) -> float:
        beats = HUNGRY_BEATS if self._is_hungry else BEATS
        return min(self.lease_ttl_s / beats, LONGEST_BEAT_S)

    async def hand_over_all(self) -> None:
        """Leaves: takes itself off the list, drains and frees every lane."""
        try:
            await lane_rows.retire(self.database, self.worker)
        except store_connection.UNAVAILABLE as error:
            log.warning("postgres_unavailable", doing="leaving", error=repr(error))
        await asyncio.gather(*(session.hand_over() for session in list(self._sessions.values())))

    async def _beat(self) -> None:
        database = self.database
        owned = await lane_rows.heartbeat(database, self.worker, self.lease_ttl_s, list(self._sessions))
        for lane, session in list(self._sessions.items()):
            # By the owner, not by the epoch: a session in doubt moves that on by itself.
            if lane not in owned:
                session.lose()
        if asyncio.get_running_loop().time() < self._claims_from:
            return
        # Shown by every engine, for the one that halted it may be gone, and a person frees it elsewhere.
        halted = await lane_rows.halted_lanes(database)
        for lane in range(self.ports.lanes):
            HALTED.labels(lane).set(lane in halted)
        workers = await lane_rows.alive_workers(database, self.lease_ttl_s)
        share = share_of(self.worker, workers, self.ports.lanes)
        if len(self._sessions) < share:
            claimed = await lane_rows.claim(database, self.worker, self.lease_ttl_s, share - len(self._sessions))
            for row in claimed:
                self._begin(row)
        # Nobody gets a lane that waits for a person.
        self._is_hungry = len(self._sessions) < share - len(halted)
        surplus = len(self._sessions) - len(self._handing_over) - share
        for lane in sorted(set(self._sessions) - self._handing_over, reverse=True)[: max(surplus, 0)]:
            self._hand_over(lane)

    def _begin(self, row: lane_rows.LaneRow) -> None:
        old = self._sessions.get(row.lane)
        if old is not None:
            old.lose()
        log.info("lane_claimed", lane=row.lane, epoch=row.epoch, lane_seq=row.lane_seq)
        session = LaneSession(row, self.ports, lambda lane: self._ended(lane, session))
        self._sessions[row.lane] = session
        session.start()
        OWNED.set(len(self._sessions))
        if not self._began:
            self._began = True
            self.on_first_lanes()

    def _hand_over(self, lane: int) -> None:
        self._handing_over.add(lane)
        task = asyncio.create_task(self._sessions[lane].hand_over())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _ended(self, lane: int, session: LaneSession) -> None:
        self._handing_over.discard(lane)
        if self._sessions.get(lane) is session:
            del self._sessions[lane]
        OWNED.set(len(self._sessions))
