"""Reads a request's body within a limit of size and of time."""

import asyncio

from fastapi import Request
from starlette.types import Receive


class BodyRefusedError(Exception):
    """A body that is not taken; `status` is the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def read_body(request: Request, max_bytes: int, deadline_s: float) -> bytes:
    """The same of a request that an application was given."""
    return await receive_body(request.receive, max_bytes, deadline_s)


async def receive_body(receive: Receive, max_bytes: int, deadline_s: float) -> bytes:
    """The whole body, exactly as it came. Raises BodyRefusedError (413 too long, 408 too slow, 400 cut off).

    The deadline is for all of it together: a peer that sends a byte a second keeps no place.
    """
    body, more = b"", True
    try:
        async with asyncio.timeout(deadline_s):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BodyRefusedError(400, "the body was cut off")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > max_bytes:
                    raise BodyRefusedError(413, f"more than {max_bytes} bytes")
    except TimeoutError:
        raise BodyRefusedError(408, f"the body took longer than {deadline_s:g} s") from None
    return body
