"""Runs an ASGI application on uvicorn: says when it is ready, and ends in good order."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from service.http.guarding import GuardedProtocol

# Longer than clients keep idle connections, so that they are the ones to close them: the other way round
# a request can meet a connection that is just going away.
KEEP_ALIVE_S = 75
# Requests that are here may take 16 s (their event, and then its order), and have an answer by then.
GRACE_S = 18


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_stop: Callable[[], None] | None
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn; and says so."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def stop(self) -> None:
        """Ends in good order, soon."""
        self.should_exit = True
        if self._on_stop is not None:
            self._on_stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone: `serve` has them, and uvicorn would raise them once more at its end."""
        yield


def listen(port: int | None, preferred: int | None = None, host: str = "127.0.0.1") -> socket.socket:
    """A bound socket: on `port`, or else on `preferred` if that is free, or else on any free port.

    Raises OSError when `port` is in use.
    """
    if port is None and preferred is not None:
        with contextlib.suppress(OSError):
            return _bound(host, preferred)
    return _bound(host, port or 0)


async def serve(
    app: ASGIApp,
    on: socket.socket,
    on_ready: Callable[[], None],
    *,
    handle_signals: bool = True,
    protocol: type[asyncio.Protocol] = GuardedProtocol,
    on_stop: Callable[[], None] | None = None,
) -> None:
    """Until cancellation, or SIGTERM or SIGINT with `handle_signals`.

    `on_ready` is called once requests are taken; what it raises ends the server. `on_stop` is called when the
    server is to stop, before it waits for the requests under way.
    """
    config = uvicorn.Config(
        app,
        http=protocol,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="on",
        # Nothing here speaks it, whatever library is installed.
        ws="none",
        # Whoever can reach this port is its peer; a forwarded address proves nothing here.
        proxy_headers=False,
        server_header=False,
    )
    server = _Server(config, on_ready, on_stop)
    signals = (signal.SIGTERM, signal.SIGINT) if handle_signals else ()
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, server.stop)
    serving = asyncio.create_task(server.serve(sockets=[on]))
    try:
        await asyncio.shield(serving)
    finally:
        server.stop()
        await asyncio.gather(serving, return_exceptions=True)
        for number in signals:
            loop.remove_signal_handler(number)
        on.close()


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
