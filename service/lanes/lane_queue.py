"""What has been read from Kafka for a lane and waits for its worker."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord

from schemas.vocabulary import INPUT_TOPICS


@dataclass(slots=True)
class LaneQueue:
    """What has been read for a lane and not been taken by it yet. `positions` follows INPUT_TOPICS."""

    lane: int
    positions: list[int]
    # Called when the lane cannot be read on: with LaneMovedError when its topics have to be looked at again, with
    # LaneHaltedError when a person has to.
    on_lost: Callable[[Exception], None]
    # A queue for each of INPUT_TOPICS.
    records: list[deque[ConsumerRecord]] = field(default_factory=lambda: [deque() for _ in INPUT_TOPICS])
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    # How far the lane has come, once it has committed anything.
    committed: list[int] | None = None
    opened_at: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.opened_at = tuple(self.positions)

    def take(self, limit: int) -> list[ConsumerRecord]:
        """Up to `limit` records: the oldest first, but each partition's in the order in which it has them."""
        taken: list[ConsumerRecord] = []
        while len(taken) < limit:
            filled = [records for records in self.records if records]
            if not filled:
                self.ready.clear()
                break
            if len(filled) == 1:
                only = filled[0]
                taken.extend(only.popleft() for _ in range(min(limit - len(taken), len(only))))
            else:
                taken.append(min(filled, key=_age).popleft())
        return taken

    def is_through(self, index: int) -> bool:
        """Whether the lane has committed all that has been read of this topic."""
        return (self.committed or self.opened_at)[index] == self.positions[index]

    def waiting(self) -> int:
        """How many records have been read and not been taken."""
        return sum(map(len, self.records))


def _age(records: deque[ConsumerRecord]) -> int:
    age_ms: int = records[0].timestamp
    return age_ms
