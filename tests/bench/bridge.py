"""The webhook bridge: how many callbacks a second a core takes, beside a loop that only verifies and produces.

`paystate serve` as it is, callbacks that were signed before, and a wallet that sends over many connections
which it keeps. Per core means per second of the program's own CPU time: sender, broker and Postgres have theirs.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from service.dev.child import free_port
from tests.bench.bare import AT_A_TIME
from tests.bench.workload import Signer
from tests.bench.world import World

# Signed once; a run goes through them as often as it takes.
BODIES = 6_000
WARM_CALLBACKS = 2_000
LIMIT_S = 180.0
WANTED_RATIO = 0.6
SERVE = [sys.executable, "-c", "from service.cli import main; main()", "serve", "--port"]
BARE = [sys.executable, "-m", "tests.bench.bare"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A program, and what so many callbacks cost it."""

    name: str
    callbacks: int
    wall_s: float
    cpu_s: float

    @property
    def per_core(self) -> float:
        """Callbacks a second of its CPU time."""
        return self.callbacks / self.cpu_s


class Sender(asyncio.Protocol):
    """One connection of a wallet: the next callback when the last one is answered with success."""

    def __init__(self, requests: Iterator[bytes], ended: asyncio.Future[None]) -> None:
        self._requests = requests
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._came = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._came += data
        if not self._came.endswith(b"\r\n\r\nsuccess"):
            # A head may come alone; what is no success ends this.
            if not self._came.startswith(b"HTTP/1.1 200"[: len(self._came)]):
                self._fail(f"answered {self._came[:80]!r}")
            return
        self._came = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._fail("the connection was closed")

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is not None:
            self._transport.write(request)
        elif not self._ended.done():
            self._ended.set_result(None)

    def _fail(self, why: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(ConnectionError(why))


async def run(world: World, signer: Signer, callbacks: int) -> list[Taken]:
    """The loop, and then the bridge, with the same callbacks. Raises ConnectionError for anything but success."""
    signer.prepare(BODIES)
    await world.fresh()
    return [await _bare(world, signer.bodies, callbacks), await _served(world, signer.bodies, callbacks)]


async def _bare(world: World, bodies: Sequence[bytes], callbacks: int) -> Taken:
    file = world.folder / "bodies"
    file.write_bytes(b"\n".join(bodies))
    ended = await asyncio.to_thread(
        subprocess.run,
        [*BARE, str(file), str(callbacks)],
        env=world.environment,
        check=True,
        stdout=subprocess.PIPE,
        timeout=LIMIT_S,
    )
    return Taken("bare loop", callbacks, **json.loads(ended.stdout))


async def _served(world: World, bodies: Sequence[bytes], callbacks: int) -> Taken:
    port = free_port()
    requests = cycle([_request(body, port) for body in bodies])
    with world.running([[*SERVE, str(port)]]) as children:
        await _send(port, islice(requests, WARM_CALLBACKS))
        began, cpu = time.perf_counter(), world.cpu(children)
        await _send(port, islice(requests, callbacks))
        return Taken("bridge", callbacks, time.perf_counter() - began, world.cpu(children).since(cpu).program_s)


async def _send(port: int, requests: Iterator[bytes]) -> None:
    loop = asyncio.get_running_loop()
    ended = [loop.create_future() for _ in range(AT_A_TIME)]
    senders = [
        (await loop.create_connection(lambda end=end: Sender(requests, end), "127.0.0.1", port))[0] for end in ended
    ]
    try:
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*ended)
    finally:
        for sender in senders:
            sender.close()


def _request(body: bytes, port: int) -> bytes:
    """As a wallet's program writes it, with the headers that those bring."""
    head = (
        "POST /wallets/sandbox/notify HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "User-Agent: Mozilla/4.0",
        "Accept: */*",
        "Content-Type: application/x-www-form-urlencoded; charset=utf-8",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
