"""Peers that take their time are cut off, and do not keep others from being served."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from fastapi import FastAPI, Request

from service.http import guarding, problems
from service.http.bodies import read_body
from service.http.guarding import GuardedProtocol
from tests.sandbox.merchant import running

DEADLINE_S = 1.0
HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"


class Impatient(GuardedProtocol):
    """With room for few, and little time."""

    request_deadline_s = DEADLINE_S
    write_deadline_s = DEADLINE_S
    max_connections = 300


@asynccontextmanager
async def impatient() -> AsyncIterator[tuple[str, int]]:
    app = FastAPI()
    problems.install(app)

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await read_body(request, 10_000_000, 60))

    @app.post("/early")
    async def early() -> str:
        return "x" * 10

    @app.get("/large")
    async def large() -> str:
        return "x" * 30_000_000

    async with running(app, protocol=Impatient) as url:
        yield url, int(url.rpartition(":")[2])


class Slow:
    """A peer that sends a beginning at once, and then a byte now and then."""

    def __init__(self, port: int, beginning: bytes, drip: bytes) -> None:
        self.port, self.beginning, self.drip = port, beginning, drip
        self.ended_after_s = float("inf")

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(self.beginning)
            while True:
                try:
                    async with asyncio.timeout(0.2):
                        if not await reader.read(65_536):
                            break
                except TimeoutError:
                    if writer.is_closing():
                        break
                    writer.write(self.drip)
        except OSError:
            pass
        finally:
            self.ended_after_s = loop.time() - began
            writer.transport.abort()


BEGINNINGS = {
    "silent": (b"", b""),
    "a part of a head": (b"POST /echo HTTP/1.1\r\nHost: x\r\nX-", b""),
    "a head that drips": (b"POST /echo HTTP/1.1\r\nHost: x\r\nX-", b"a"),
    "a body that drips": (HEAD, b"x"),
    "a body that stops": (HEAD + b"some", b""),
    "a body that nobody reads": (HEAD.replace(b"/echo", b"/early"), b"x"),
    "a second request that stops": (
        b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nPOST /early HTTP/1.1\r\nX-",
        b"",
    ),
}


@pytest.mark.parametrize("kind", BEGINNINGS)
async def test_a_slow_sender_is_cut_off(kind: str) -> None:
    async with impatient() as (_, port):
        slow = Slow(port, *BEGINNINGS[kind])
        await asyncio.wait_for(slow.run(), DEADLINE_S + 2)
    assert DEADLINE_S * 0.9 < slow.ended_after_s < DEADLINE_S + 1.5


async def test_five_hundred_slow_senders_do_not_stop_a_good_request() -> None:
    async with impatient() as (url, port):
        crowd = [Slow(port, *BEGINNINGS[kind]) for _ in range(100) for kind in list(BEGINNINGS)[:5]]
        running_crowd = [asyncio.create_task(slow.run()) for slow in crowd]
        await asyncio.sleep(0.3)
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
            for _ in range(3):
                assert (await client.post(f"{url}/echo", content=b"12345")).json() == 5
        await asyncio.wait_for(asyncio.gather(*running_crowd), 20)
    assert len(crowd) == 500


async def test_a_good_connection_is_kept_between_requests() -> None:
    async with impatient() as (url, _), httpx2.AsyncClient(trust_env=False) as client:
        for _ in range(2):
            assert (await client.post(f"{url}/echo", content=b"123")).json() == 3
            await asyncio.sleep(DEADLINE_S * 1.3)
        pool = client._transport._pool  # type: ignore[attr-defined]
        assert len(pool.connections) == 1


async def test_a_reader_that_takes_nothing_is_cut_off() -> None:
    async with impatient() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(DEADLINE_S + 1)
        taken = 0
        with contextlib.suppress(ConnectionError):
            while chunk := await asyncio.wait_for(reader.read(65_536), 5):
                taken += len(chunk)
        writer.transport.abort()
    assert taken < 30_000_000


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9\r\n\r\n", b"GET /\r\nHost\r\n\r\n"]
)
async def test_what_is_no_request_is_a_problem(nonsense: bytes) -> None:
    async with impatient() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(nonsense + b"\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 3)
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer
    assert b"urn:paystate:problem:bad-request" in answer


def test_the_real_deadlines_are_short_enough_and_leave_room() -> None:
    assert GuardedProtocol.request_deadline_s <= 15
    assert 0 < guarding.room() <= guarding.MAX_CONNECTIONS


async def test_a_head_has_a_limit() -> None:
    async with impatient() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                writer.write(b"X-A: " + b"a" * 1_000 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.001)
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), DEADLINE_S)
        writer.transport.abort()
    assert answer.startswith(b"HTTP/1.1 400") or not answer
    assert b"200" not in answer[:20]


async def test_an_idle_connection_that_sends_empty_lines_is_cut_off() -> None:
    async with impatient() as (_, port):
        head = b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        slow = Slow(port, head, b"\r\n")
        await asyncio.wait_for(slow.run(), DEADLINE_S + 2)
    assert slow.ended_after_s < DEADLINE_S + 1.5


async def test_what_comes_behind_a_body_is_no_header() -> None:
    async with impatient() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
        )
        answer = await asyncio.wait_for(reader.read(), 3)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n3")


async def test_a_head_has_so_many_headers_and_no_more() -> None:
    async with impatient() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
        writer.write(head + b"a:\r\n" * (guarding.MAX_HEADERS - 2) + b"\r\nabc")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n3"), 3)).startswith(b"HTTP/1.1 200")
        writer.write(head + b"a:\r\n" * (guarding.MAX_HEADERS - 1) + b"\r\nabc")
        answer = await asyncio.wait_for(reader.read(), 3)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Invalid HTTP request" in answer


async def test_whoever_answers_learns_that_the_peer_is_gone_though_another_request_has_come() -> None:
    gone = asyncio.Event()
    app = FastAPI()

    @app.get("/stream")
    async def stream(request: Request) -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.02)
        gone.set()

    async with running(app, protocol=Impatient) as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        one = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
        writer.write(one)
        await asyncio.sleep(0.1)
        writer.write(one)
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await asyncio.wait_for(gone.wait(), 3)
