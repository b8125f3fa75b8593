"""Connections within limits: of their number, of a head's size, and of the time that a peer takes for its part.

uvicorn by itself waits for ever for the end of a request's head, and for a body that nobody reads.
"""

import asyncio
import resource
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.http import at_once, problems

# For a request's head and body together, from the connection's beginning or the request's first byte on.
# Longer than what routes allow a body (10 s), so that those can answer; a good peer needs a second.
REQUEST_DEADLINE_S: Final = 13.0
# A peer that takes nothing of an answer for so long is gone.
WRITE_DEADLINE_S: Final = 30.0
# A connection costs some 20 KB and a file descriptor.
MAX_CONNECTIONS: Final = 4_096
# File descriptors that are left for Postgres, Kafka and the rest.
RESERVED_FILES: Final = 128
# A head that has not ended within so much; the parser itself would keep all of it.
MAX_HEAD_BYTES: Final = 65_536
# Each costs a hundred bytes, however short it is; a browser behind two proxies sends thirty.
MAX_HEADERS: Final = 128


class _TooManyHeadersError(Exception):
    """Raised into the parser, which stops."""


def room() -> int:
    """How many connections this process may have, given its limit of open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, files - RESERVED_FILES))


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with deadlines. When all places are taken the slowest sender goes."""

    request_deadline_s = REQUEST_DEADLINE_S
    write_deadline_s = WRITE_DEADLINE_S
    max_connections = room()

    _receiving: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    # When the peer was last heard of with a whole request, or came.
    since = 0.0
    # Whether a request has begun and not ended, whether one has just ended, whether the one that has begun is in
    # its head, and how much of that has come.
    _is_open = False
    _has_ended = False
    _is_in_head = False
    _head_bytes = 0
    # The request that is being answered: not the last one that came, where a peer does not wait for its answers.
    _answering: RequestResponseCycle | None = None

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
        return self._is_open or cycle is None or cycle.response_complete

    def drop(self) -> None:
        """Ends the connection at once, without a word."""
        self.connections.discard(self)
        self.transport.abort()

    def _await_request(self) -> None:
        if self._receiving is None and not self.transport.is_closing():
            self._receiving = self.loop.call_later(self.request_deadline_s, self.drop)

    def data_received(self, data: bytes) -> None:
        """As uvicorn; a request that has begun has to end, and empty lines are the beginning of one."""
        self._has_ended = False
        super().data_received(data)
        # A whole request that came at once needs no timer.
        if self._is_open or not self._has_ended:
            self._await_request()
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response(f"the head has more than {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """As uvicorn; a request has begun."""
        super().on_message_begin()
        self._is_open = self._is_in_head = True
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """As uvicorn; but what comes behind a body is not of the head that has been acted upon."""
        if not self._is_in_head:
            return
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            # The parser makes an error of its own of it, and that is answered.
            self._is_in_head = False
            raise _TooManyHeadersError

    def on_headers_complete(self) -> None:
        """As uvicorn; the application may take the short way."""
        self._is_in_head = False
        super().on_headers_complete()
        at_once.offer(self.scope, self.cycle)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - uvicorn's own kind
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """As uvicorn; the request is here, and nothing is awaited any more."""
        super().on_message_complete()
        self._is_open, self._has_ended = False, True
        self.since = self.loop.time()
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

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
        """As uvicorn; nothing is awaited any more, and whoever is answering learns that nobody listens.

        uvicorn tells only the last request that came, and an event stream would go on for its lifetime.
        """
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        for timer in (self._receiving, self._writing, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """As uvicorn, as a problem; where an answer is due or has begun, the connection just ends."""
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            answer = problems.response(problems.problem(400, "bad-request", msg), {"connection": "close"})
            head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\n%s\r\n%s" % (head, bytes(answer.body)))
        self.transport.close()
