"""Waits for numbers in the database to grow: one query a round for all who wait, and none when nobody does."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, TypeVar

import structlog

from service.store.connection import UNAVAILABLE

log = structlog.get_logger()

# After a round that failed; those who wait have limits of their own.
PAUSE_S: Final = 0.5

K = TypeVar("K")


class Poll(Generic[K]):
    """Asks `look` about all keys that are waited for, every `every_s`. Made inside the loop that uses it."""

    def __init__(self, look: Callable[[list[K]], Awaitable[Mapping[K, int]]], every_s: float) -> None:
        self._look = look
        self._every_s = every_s
        self._waiting: Counter[K] = Counter()
        self._numbers: dict[K, int] = {}
        self._round = asyncio.Event()
        self._rounds: asyncio.Task[None] | None = None

    async def reaches(self, key: K, number: int, limit_s: float) -> bool:
        """True once the key's number is at least this; False when that takes longer than the limit."""
        self._waiting[key] += 1
        try:
            async with asyncio.timeout(limit_s):
                while self._numbers.get(key, number - 1) < number:
                    if self._rounds is None or self._rounds.done():
                        self._rounds = asyncio.create_task(self._ask())
                    await self._round.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
                self._numbers.pop(key, None)
        return True

    async def _ask(self) -> None:
        while self._waiting:
            pause_s = self._every_s
            try:
                self._numbers.update(await self._look(list(self._waiting)))
            except UNAVAILABLE as error:
                log.warning("poll_waits", error=repr(error))
                pause_s = PAUSE_S
            # Whoever waits now looks; whoever comes next waits for the next round.
            self._round.set()
            self._round = asyncio.Event()
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Ends the rounds; whoever still waits runs into its limit."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.gather(self._rounds, return_exceptions=True)
