"""A line between an engine and a server that can be cut: a TCP proxy on loopback, in a thread of its own.

A silent line keeps its connections, and no byte passes either way; when it heals, what was sent meanwhile arrives
late, as what TCP sends again does. That is so also for what a client sent and then gave up on. A line that is
reset ends its connections with RST, and refuses new ones until it heals.
"""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Self

from service.dev.child import ServerFailedError, free_port

CHUNK_BYTES = 65_536
READY_S = 10.0
# Linger for no time at all: the kernel then says RST and not FIN.
_RST = struct.pack("ii", 1, 0)


def _address(port: int) -> bytes:
    """How Kafka's answers name a broker of this machine: a host's text, then its port as an int32."""
    return b"127.0.0.1" + port.to_bytes(4, "big")


@dataclass(slots=True)
class _Asked:
    """When a client last asked on a connection; its first words may have waited since it connected."""

    at: float
    _is_first: bool = True

    def again(self) -> None:
        if not self._is_first:
            self.at = time.monotonic()
        self._is_first = False


class Line(threading.Thread):
    """From `port` to `server_port`.

    Kafka's clients follow the address that a broker names in its answers. It has the same length for every port,
    so with `names_itself` the line puts its own in the place of the server's: any broker will do.
    """

    def __init__(self, server_port: int, *, names_itself: bool = False) -> None:
        super().__init__(name=f"line to {server_port}", daemon=True)
        self.port = free_port()
        # When (time.monotonic) the server last answered what was asked since the line is whole: what was asked
        # before may have been given up on.
        self.answered_at = 0.0
        self._whole_since = 0.0
        self._server_port = server_port
        self._names_itself = names_itself
        self._writers: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()

    def over(self, address: str) -> str:
        """The server's address (a URL, a DSN or host:port) with this line's port in the place of its own."""
        return address.replace(f":{self._server_port}", f":{self.port}")

    def lay(self) -> Self:
        """Starts it; returns when it takes connections."""
        self.start()
        if not self._ready.wait(READY_S):
            raise ServerFailedError(f"the {self.name} is not there")
        return self

    def run(self) -> None:
        """The thread."""
        asyncio.run(self._main())

    def fall_silent(self) -> None:
        """From now on no byte passes."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def hold_answers(self) -> None:
        """What clients send arrives, and what the server answers waits until the line heals."""
        self._loop.call_soon_threadsafe(self._answers_pass.clear)

    def reset(self) -> None:
        """Ends all connections, and takes none."""
        asyncio.run_coroutine_threadsafe(self._reset(), self._loop).result(READY_S)

    def heal(self) -> None:
        """The line is as new; bytes that waited go on."""
        asyncio.run_coroutine_threadsafe(self._heal(), self._loop).result(READY_S)

    def end(self) -> None:
        """Nothing is left of it."""
        self._loop.call_soon_threadsafe(self._over.set)
        self.join(READY_S)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over, self._whole, self._answers_pass = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._server: asyncio.Server | None = None
        await self._heal()
        self._ready.set()
        await self._over.wait()
        await self._reset()

    async def _heal(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self._whole_since = time.monotonic()
        self._whole.set()
        self._answers_pass.set()

    async def _reset(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            _rst(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = _Asked(time.monotonic())
        ends = [writer]
        self._writers.add(writer)
        try:
            await self._whole.wait()
            theirs, to_them = await asyncio.open_connection("127.0.0.1", self._server_port)
            ends.append(to_them)
            self._writers.add(to_them)
            ways = [
                asyncio.create_task(self._pass(reader, to_them, asked)),
                asyncio.create_task(self._pass(theirs, writer, asked, answers=True)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            # The server is not there, or an end was reset: so is the other one.
            for end in ends:
                _rst(end)
        finally:
            self._writers -= set(ends)
            for end in ends:
                end.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: _Asked, *, answers: bool = False
    ) -> None:
        """One way, until its end. What was read when the line fell silent waits here."""
        theirs, ours = _address(self._server_port), _address(self.port)
        held = b""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if not answers:
                    asked.again()
                else:
                    if asked.at >= self._whole_since:
                        self.answered_at = time.monotonic()
                    await self._answers_pass.wait()
                await self._whole.wait()
                sent = chunk
                if answers and self._names_itself:
                    sent = (held + chunk).replace(theirs, ours)
                    # The beginning of an address may be all that has come of it.
                    kept = next((n for n in range(len(theirs) - 1, 0, -1) if sent.endswith(theirs[:n])), 0)
                    sent, held = sent[: len(sent) - kept], sent[len(sent) - kept :]
                writer.write(sent)
                await writer.drain()
            # The end of a connection does not pass a silent line either.
            await self._whole.wait()


def _rst(writer: asyncio.StreamWriter) -> None:
    ended = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        ended.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    writer.transport.abort()
