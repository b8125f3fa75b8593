"""What was seen of each visitor's order, in the order in which it was seen, and those who watch."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

# The orders that are remembered; the oldest goes.
MAX_ORDERS: Final = 500
# An order's whole story has some forty; a wallet that repeats itself makes more.
MAX_SIGHTINGS: Final = 400
HEARTBEAT_S: Final = 10.0

Sighting = dict[str, Any]


@dataclass(slots=True)
class _Story:
    """`news` is set, and replaced, with each sighting."""

    sightings: list[Sighting] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Backstage:
    """The visitors' orders. Whoever knows an order's id may watch it: the ids cannot be guessed."""

    def __init__(self) -> None:
        self._stories: dict[str, _Story] = {}
        self._closed = False

    def open(self, order_id: str) -> None:
        """From now on what is seen of this order is kept."""
        self._stories[order_id] = _Story()
        if len(self._stories) > MAX_ORDERS:
            del self._stories[next(iter(self._stories))]

    def knows(self, order_id: str) -> bool:
        """Whether it is a visitor's order, and not forgotten yet."""
        return order_id in self._stories

    def add(self, order_id: str, sighting: Sighting) -> None:
        """Shows it to whoever watches; of orders that are not the visitors' nothing is kept."""
        story = self._stories.get(order_id)
        if story is None or len(story.sightings) >= MAX_SIGHTINGS:
            return
        story.sightings.append(sighting)
        self._wake(story)

    async def watch(self, order_id: str, after: int) -> AsyncIterator[str]:
        """Server-sent events, from the one after `after` on, until `close`. `id` counts the sightings, from 1."""
        story = self._stories[order_id]
        shown = after
        while not self._closed:
            news = story.news
            while shown < len(story.sightings):
                shown += 1
                yield f"id: {shown}\ndata: {orjson.dumps(story.sightings[shown - 1]).decode()}\n\n"
            try:
                await asyncio.wait_for(news.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield ": still here\n\n"

    def close(self) -> None:
        """Ends what is watched, so that the server can stop."""
        self._closed = True
        for story in self._stories.values():
            self._wake(story)

    @staticmethod
    def _wake(story: _Story) -> None:
        story.news.set()
        story.news = asyncio.Event()
