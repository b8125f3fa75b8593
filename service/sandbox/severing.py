"""A connection that breaks instead of answering, which no ASGI application can do by itself."""

import asyncio
from typing import ClassVar

from fastapi import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

# A connection by its two ends: a process may run several sandboxes.
Ends = tuple[tuple[str, int] | None, tuple[str, int | None] | None]


class SeverableProtocol(H11Protocol):
    """uvicorn's protocol, which remembers the transport of each connection."""

    transports: ClassVar[dict[Ends, asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn; and the connection becomes severable."""
        super().connection_made(transport)
        self.transports[self.client, self.server] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn; and the connection is forgotten."""
        self.transports.pop((self.client, self.server), None)
        super().connection_lost(exc)


class SeveredResponse(Response):
    """Answers nothing and breaks the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Needs a server with SeverableProtocol; under another one it is an empty 502."""
        transport = SeverableProtocol.transports.get((scope.get("client"), scope.get("server")))
        if transport is None:
            await Response(status_code=502)(scope, receive, send)
            return
        transport.abort()
        # The server must see the connection gone before it may see that nothing was answered.
        while (await receive())["type"] != "http.disconnect":
            pass
