"""The tests' own event loop: what was left open fails a test, and does not keep the run from ending."""

import asyncio

import pytest

from tests.conftest import StrictLoop


def test_a_transport_that_was_left_open_is_told_of_and_closed() -> None:
    loop = StrictLoop()

    async def leak() -> tuple[asyncio.Server, asyncio.Transport]:
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        return server, transport

    left_open = loop.run_until_complete(leak())
    # A plain uvloop.Loop never returns from this.
    with pytest.raises(ResourceWarning, match="unclosed"):
        loop.close()
    assert loop.is_closed()
    assert left_open
