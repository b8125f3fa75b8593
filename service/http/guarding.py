"""Connections within limits: of their number, and of the time that a peer takes for its part.

uvicorn by itself waits for ever for the end of a request's head, and for a body that nobody reads.
"""

import asyncio
import resource
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from service.http import problems

# For a request's head and body together, from the connection's beginning or the request's first byte on.
# Longer than what routes allow a body (10 s), so that those can answer; a good peer needs a second.
REQUEST_DEADLINE_S: Final = 13.0
# A peer that takes nothing of an answer for so long is gone.
WRITE_DEADLINE_S: Final = 30.0
# A connection costs some 20 KB and a file descriptor.
MAX_CONNECTIONS: Final = 4_096
# File descriptors that are left for Postgres, Kafka and the rest.
RESERVED_FILES: Final = 128

_ENDED = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)


def room() -> int:
    """How many connections this process may have, given its limit of open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, files - RESERVED_FILES))


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol with deadlines. When all places are taken the slowest sender goes."""

    request_deadline_s = REQUEST_DEADLINE_S
    write_deadline_s = WRITE_DEADLINE_S
    max_connections = room()

    _receiving: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    # When the peer was last heard of with a whole request, or came.
    since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn; the first request is awaited, and there is room for it."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._await_request()
        if len(self.connections) > self.max_connections:
            self._make_room()

    def _make_room(self) -> None:
        # A peer whose request is here whole waits for us, not we for it: those stay.
        slow = [each for each in self.connections if isinstance(each, GuardedProtocol) and each.is_awaited()]
        min(slow, key=lambda each: each.since, default=self).drop()

    def is_awaited(self) -> bool:
        """Whether the next move is the peer's."""
        cycle: RequestResponseCycle | None = self.cycle
        return self.conn.their_state not in _ENDED or cycle is None or cycle.response_complete

    def drop(self) -> None:
        """Ends the connection at once, without a word."""
        self.connections.discard(self)
        self.transport.abort()

    def _await_request(self) -> None:
        if self._receiving is None and not self.transport.is_closing():
            self._receiving = self.loop.call_later(self.request_deadline_s, self.drop)

    def _request_is_here(self) -> None:
        self.since = self.loop.time()
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def data_received(self, data: bytes) -> None:
        """As uvicorn; a request that has begun has to end."""
        before = self.conn.their_state
        self._await_request()
        super().data_received(data)
        if self.conn.their_state in _ENDED:
            self._request_is_here()
        elif before is h11.SEND_BODY and self.conn.their_state is h11.IDLE:
            # The end of a body that nobody waited for: what follows is another request.
            self._request_is_here()
            self._await_request()

    def on_response_complete(self) -> None:
        """As uvicorn; what is left of the request, or has come of the next, has to end too."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._await_request()

    def pause_writing(self) -> None:
        """As uvicorn; the peer has to take some of it."""
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(self.write_deadline_s, self.drop)

    def resume_writing(self) -> None:
        """As uvicorn."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn; nothing is awaited any more."""
        for timer in (self._receiving, self._writing, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """As uvicorn, as a problem; where an answer has begun already, the connection just ends."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE) or self.transport.is_closing():
            self.transport.close()
            return
        answer = problems.response(problems.problem(400, "bad-request", msg), {"connection": "close"})
        for event in (
            h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request"),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
