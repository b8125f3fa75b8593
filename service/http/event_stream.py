"""An order's state events as they happen: server-sent events (WHATWG HTML, 9.2), resumable by version."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi.responses import StreamingResponse
from starlette.types import Send

from service.http.polling import Poll
from service.http.problems import RETRY_AFTER_S, ProblemError
from service.store.connection import UNAVAILABLE
from service.store.following import OrderRows
from service.store.orders import born
from statemachine.order import Order

# Each costs a connection and a task; the database is asked once a round for all of them.
MAX_STREAMS: Final = 500
# So that nobody follows a paid order for ever; whoever does comes again with the last version.
STREAM_LIFETIME_S: Final = 300.0
# Shorter than what proxies and mobile networks wait before they cut a silent connection.
HEARTBEAT_S: Final = 10.0
FOLLOW_EVERY_S: Final = 0.2
MEDIA_TYPE: Final = "text/event-stream"
# In milliseconds: when to come again after the end of a stream.
_COME_AGAIN: Final = f"retry: {RETRY_AFTER_S * 1000}\n\n"
_HEARTBEAT: Final = ": still here\n\n"


class EventStreams:
    """All streams of a process. Made inside the loop that uses it."""

    def __init__(
        self,
        rows: OrderRows,
        lifetime_s: float = STREAM_LIFETIME_S,
        heartbeat_s: float = HEARTBEAT_S,
        most: int = MAX_STREAMS,
    ) -> None:
        self._rows = rows
        self._lifetime_s = lifetime_s
        self._heartbeat_s = heartbeat_s
        self._most = most
        self._running: set[asyncio.Task[None]] = set()
        self._versions: Poll[str] = Poll(rows.versions, FOLLOW_EVERY_S)

    def follow(self, order: Order, after: int) -> StreamingResponse:
        """The order's events from the version after `after` on. Raises ProblemError 503 when there are too many."""
        if len(self._running) >= self._most:
            raise ProblemError(
                503,
                "too-many-streams",
                f"{self._most} streams are open already",
                headers={"retry-after": str(RETRY_AFTER_S)},
            )
        return _Stream(self._events(order, after), self._running, self._lifetime_s)

    async def _events(self, order: Order, after: int) -> AsyncIterator[str]:
        yield _COME_AGAIN
        version = after
        while True:
            try:
                found = await self._rows.events_after(order.order_id, born(order), version)
            except UNAVAILABLE:
                # The reader comes again with the last version.
                return
            for version, event in found:
                yield f"id: {version}\ndata: {event}\n\n"
            while not await self._versions.reaches(order.order_id, version + 1, self._heartbeat_s):
                yield _HEARTBEAT

    def end(self) -> None:
        """Ends all streams, so that the server can stop; their readers come again."""
        for task in self._running:
            task.cancel()

    async def close(self) -> None:
        """Ends what is left."""
        self.end()
        await self._versions.close()


class _Stream(StreamingResponse):
    """A response that ends in good order when its time is over, and counts while it runs."""

    def __init__(self, events: AsyncIterator[str], running: set[asyncio.Task[None]], lifetime_s: float) -> None:
        super().__init__(
            events, media_type=MEDIA_TYPE, headers={"cache-control": "no-store", "x-accel-buffering": "no"}
        )
        self._running = running
        self._lifetime_s = lifetime_s

    async def stream_response(self, send: Send) -> None:
        """Sends the events, in a task of its own, until they or the time or the server end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send_events(send))
        self._running.add(sending)
        sending.add_done_callback(self._running.discard)
        try:
            await asyncio.wait({sending}, timeout=self._lifetime_s)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, send: Send) -> None:
        async for event in self.body_iterator:
            assert isinstance(event, str)
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
