"""Watches the lanes from outside: when a new owner's first commit came, and whether lanes still move."""

import asyncio
import time
from dataclasses import dataclass, field

import asyncpg

from service.store.connection import UNAVAILABLE

EVERY_S = 0.02
RECONNECT_S = 0.2
_QUERY = "select lane, epoch, owner, lane_seq, next_offsets from paystate.lanes"


@dataclass(frozen=True, slots=True)
class LaneNow:
    """One lane as it was last seen."""

    epoch: int
    owner: str | None
    lane_seq: int
    read: int

    def is_before(self, other: "LaneNow") -> bool:
        """Whether something was committed between the two."""
        return (self.lane_seq, self.read) != (other.lane_seq, other.read)


@dataclass(slots=True)
class Watch:
    """Written by the load's thread alone, read by others."""

    dsn: str
    lanes: dict[int, LaneNow] = field(default_factory=dict)
    # When (time.monotonic) the first commit under an epoch of a lane was seen.
    first_commits: dict[tuple[int, int], float] = field(default_factory=dict)
    _claimed_at: dict[tuple[int, int], LaneNow] = field(default_factory=dict)

    async def run(self) -> None:
        """Looks until cancelled; a database that is away is waited for."""
        while True:
            try:
                connection = await asyncpg.connect(self.dsn, timeout=2, command_timeout=2)
                try:
                    while True:
                        self._see(await connection.fetch(_QUERY))
                        await asyncio.sleep(EVERY_S)
                finally:
                    connection.terminate()
            except (*UNAVAILABLE, asyncpg.PostgresError):
                await asyncio.sleep(RECONNECT_S)

    def _see(self, rows: list[asyncpg.Record]) -> None:
        now = time.monotonic()
        for row in rows:
            seen = LaneNow(row["epoch"], row["owner"], row["lane_seq"], sum(row["next_offsets"] or ()))
            lane, key = row["lane"], (row["lane"], seen.epoch)
            before = self.lanes.get(lane, seen)
            # What was committed since the last look, in which the epoch was another, may be the new owner's.
            claimed = self._claimed_at.setdefault(key, before)
            if key not in self.first_commits and claimed.is_before(seen):
                self.first_commits[key] = now
            self.lanes[lane] = seen

    def recovered_at(self, before: dict[int, LaneNow]) -> float | None:
        """When each of these lanes had been committed to under a newer epoch; None while one has not."""
        firsts = []
        for lane, was in before.items():
            newer = [at for (of, epoch), at in list(self.first_commits.items()) if of == lane and epoch > was.epoch]
            if not newer:
                return None
            firsts.append(min(newer))
        return max(firsts, default=time.monotonic())

    def all_read_on_since(self, before: dict[int, LaneNow]) -> bool:
        """Whether every one of these lanes has read new records since."""
        return all(self.lanes[lane].read > was.read for lane, was in before.items())
