"""A peer's driver, running, and asked one thing after the other."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

PATIENCE_S = 60.0


class PeerError(Exception):
    """What the peer raised."""


class Peer:
    """Asks, and waits for the answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin, process.stdout

    async def tell(self, given: dict[str, Any]) -> None:
        self._to.write(json.dumps(given).encode() + b"\n")
        await self._to.drain()

    async def ask(self, what: str, **wish: Any) -> Any:
        await self.tell({"ask": what} | wish)
        async with asyncio.timeout(PATIENCE_S):
            line = await self._from.readline()
        assert line, "the driver has ended; what it said of that is on standard error"
        told = json.loads(line)
        if "raised" in told:
            raise PeerError(told["raised"])
        return told["answer"]

    async def call(self, method: str, biz: dict[str, Any]) -> dict[str, Any]:
        """A call of Alipay's gateway; the answer's members."""
        return dict(await self.ask("call", method=method, biz=biz))


@asynccontextmanager
async def talking_to(command: list[str], **beginning: str) -> AsyncIterator[Peer]:
    """The driver, begun with these."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    peer = Peer(process)
    try:
        await peer.tell(beginning)
        yield peer
    finally:
        assert process.stdin is not None
        # At the end of its input it ends.
        process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
