"""What a lane has committed and not published yet: whole commits, from memory or from the journal.

A transaction never ends in the middle of a commit. So what consumers have been told of a lane is always what one of
its commits has left behind, and should the database go back in time, the state of it can be had again.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from schemas.vocabulary import Topic
from service.lanes.batch import Published, issues_order_string
from service.lanes.errors import LaneHaltedError
from service.state_events import headers
from service.store import journal
from service.store.connection import Database

# Entries of one transaction: enough to make it cheap per entry, few enough to keep latency low. A commit that has
# more is a transaction all the same.
MAX_TRANSACTION = 400
# Entries kept in memory for a relay that is behind; beyond it the journal is read.
MAX_BACKLOG = 4_000


@dataclass(slots=True)
class Backlog:
    """Of one lane."""

    lane: int
    database: Database
    _commits: deque[Sequence[Published]] = field(default_factory=deque)
    _entries: int = 0

    def __bool__(self) -> bool:
        return bool(self._commits)

    def add(self, committed: Sequence[Published]) -> None:
        """Keeps what one commit has left behind, as long as there is room for it."""
        self._commits.append(committed)
        self._entries += len(committed)
        if self._entries > MAX_BACKLOG:
            self._commits.clear()
            self._entries = 0

    def after(self, position: int) -> list[Published]:
        """The commits in memory that follow on a position; none when the next one is not there."""
        commits = self._commits
        while commits and commits[0][-1].lane_seq <= position:
            self._pop()
        taken: list[Published] = []
        while commits and commits[0][0].lane_seq == position + len(taken) + 1:
            if taken and len(taken) + len(commits[0]) > MAX_TRANSACTION:
                break
            taken += self._pop()
        return taken

    def _pop(self) -> Sequence[Published]:
        commit = self._commits.popleft()
        self._entries -= len(commit)
        return commit

    async def from_journal(self, position: int) -> list[Published]:
        """The commits that follow on a position, read again. Raises LaneHaltedError where the journal has a gap."""
        limit = MAX_TRANSACTION
        while True:
            # One more than is taken tells whether the last commit ends there.
            rows = await journal.read_after(self.database, self.lane, position, limit + 1)
            for expected, row in enumerate(rows, position + 1):
                if row.lane_seq != expected:
                    raise LaneHaltedError(f"the journal of lane {self.lane} has no entry {expected}")
            if not rows:
                raise LaneHaltedError(f"the journal of lane {self.lane} has no entry {position + 1}")
            events = [orjson.loads(row.event) for row in rows]
            whole = _whole_commits(events, is_all=len(rows) <= limit)
            if whole:
                return await self._published(rows[:whole], events[:whole])
            limit *= 2

    async def _published(
        self, rows: Sequence[journal.JournalRow], events: Sequence[dict[str, str]]
    ) -> list[Published]:
        issued = [e["order_id"] for e in events if issues_order_string(e["trigger"], e["state"])]
        orders = await journal.orders_of(self.database, self.lane, issued) if issued else {}
        return [
            Published(
                row.lane_seq,
                row.order_id,
                row.version,
                row.event,
                headers(event),
                orders.get(row.order_id) if issues_order_string(event["trigger"], event["state"]) else None,
            )
            for row, event in zip(rows, events, strict=True)
        ]


def _whole_commits(events: Sequence[dict[str, str]], *, is_all: bool) -> int:
    """How many of these entries make a transaction: as many commits as fit, or the first one; 0 if it goes on.

    `is_all`: nothing follows on them. All that one commit records has its moment.
    """
    moments = [event["recorded_at"] for event in events]
    ends = [n for n in range(1, len(moments)) if moments[n - 1] != moments[n]]
    if is_all:
        ends.append(len(moments))
    return max((end for end in ends if end <= MAX_TRANSACTION), default=min(ends, default=0))


def check_tail(lane: int, tail: journal.Tail, known: journal.Tail) -> None:
    """Raises LaneHaltedError when something was published that the journal does not have.

    `known`: the journal's last number, and the event that it has where the tail is.
    """
    place = f"{Topic.STATE_EVENTS}[{lane}] has lane_seq {tail.lane_seq}"
    if tail.lane_seq > known.lane_seq:
        raise LaneHaltedError(
            f"{place}, and the journal ends at {known.lane_seq}: Postgres went back in time", "rebase"
        )
    if known.event_id is not None and tail.event_id != known.event_id:
        raise LaneHaltedError(
            f"{place} as {tail.event_id}, and the journal has {known.event_id} there:"
            " another database has published to this topic"
        )
