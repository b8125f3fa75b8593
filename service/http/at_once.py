"""A request that is here whole, answered at once: the short way through uvicorn for those who know the protocol.

ASGI hands a body over in parts, and takes an answer in parts, each with its price: an event, a deadline, a check
of every header and a system call. `GuardedProtocol` puts its cycle into the scope; where another server runs the
application there is none, and the long way is gone.
"""

from collections.abc import Sequence
from typing import Any, Final

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_EXTENSION: Final = "paystate.cycle"


def offer(scope: Any, cycle: RequestResponseCycle) -> None:  # noqa: ANN401 - uvicorn's own kind of scope
    """Lets the application of this scope take the short way."""
    scope["extensions"] = {_EXTENSION: cycle}


def whole_body(scope: Scope) -> bytes | None:
    """The body exactly as it came, if its end is here; else it has to be received, within a deadline."""
    cycle = _cycle(scope)
    if cycle is None or cycle.more_body or cycle.disconnected or cycle.response_complete:
        return None
    return bytes(cycle.body)


def answer(scope: Scope, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Sends the whole answer. False, and nothing was done, where it has to be sent in parts.

    The headers must be ours: nobody looks at them any more. Content-Length is added here.
    """
    cycle = _cycle(scope)
    if cycle is None or cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
        return False
    lines = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        lines += (name, b": ", value, b"\r\n")
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    lines += (b"content-length: %d\r\n\r\n" % len(body), body)
    cycle.waiting_for_100_continue = False
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"".join(lines))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


def _cycle(scope: Scope) -> RequestResponseCycle | None:
    extensions = scope.get("extensions")
    return extensions.get(_EXTENSION) if extensions else None
