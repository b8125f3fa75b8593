"""A wallet's callback is answered with success only once it is durable."""

import asyncio
import re
import socket
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from schemas.wallet_callbacks import WALLET_CALLBACK
from service.http import bodies, bridge
from service.http.guarding import GuardedProtocol
from service.wallets.adapter import CallbackRefusedError, RawCallback, WalletAdapter
from tests.sandbox.merchant import running

NOW = datetime(2026, 1, 15, 2, 20, 30, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Adapter:
    """As much of an adapter as the bridge uses: `order=o1` speaks of o1, `bad` is refused."""

    success_answer = b"success"

    def order_of_callback(self, callback: RawCallback) -> str | None:
        if callback.body == b"bad":
            raise CallbackRefusedError("the signature does not verify")
        if not callback.body.startswith(b"order="):
            return None
        return callback.body.removeprefix(b"order=").decode()


@dataclass
class Publisher:
    """Keeps what it is given, or fails as told."""

    records: list[tuple[str, str, bytes, list[tuple[str, bytes]]]] = field(default_factory=list)
    failure: Exception | None = None
    hold: asyncio.Event | None = None

    async def publish(self, topic: str, key: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        if self.hold:
            await self.hold.wait()
        if self.failure:
            raise self.failure
        self.records.append((topic, key, value, headers))


@asynccontextmanager
async def bridged(publisher: Publisher, **options: Any) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    adapters = {"mall": cast("WalletAdapter", Adapter())}
    app = FastAPI()
    app.include_router(bridge.routes(bridge.Bridge(adapters, publisher.publish, lambda: NOW, **options)))
    async with running(app) as url, httpx2.AsyncClient(trust_env=False) as client:
        yield client, f"{url}/wallets/mall/notify"


async def test_a_callback_is_published_as_it_came() -> None:
    publisher = Publisher()
    app = bridge.create_app({"mall": cast("WalletAdapter", Adapter())}, publisher.publish, clock=lambda: NOW)
    async with running(app) as url, httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{url}/health")).json() == {"status": "ok"}
        reply = await client.post(
            f"{url}/wallets/mall/notify?a=%2F1",
            content=b"order=o1",
            headers=[(b"traceparent", TRACE.encode()), (b"Cookie", b"secret"), (b"X-Wallet", b"\xe9")],
        )
    assert (reply.status_code, reply.content) == (200, b"success")
    ((topic, key, value, headers),) = publisher.records
    assert (topic, key, headers) == ("wallet.callbacks", "o1", [("traceparent", TRACE.encode())])
    record = orjson.loads(value)
    assert record["type"] == "wallet.callback"
    assert (record["profile"], record["method"]) == ("mall", "POST")
    assert record["received_at"] == "2026-01-15T02:20:30Z"
    assert record["path"] == "/wallets/mall/notify?a=%2F1"
    assert b64decode(record["body_base64"]) == b"order=o1"
    assert record["headers"]["traceparent"] == TRACE
    assert record["headers"]["x-wallet"] == "\xe9"
    assert "cookie" not in record["headers"]
    assert WALLET_CALLBACK.validate_json(value).body == b"order=o1"


async def test_the_answer_waits_until_the_record_is_durable() -> None:
    publisher = Publisher(hold=asyncio.Event())
    assert publisher.hold is not None
    async with bridged(publisher) as (client, url):
        answering = asyncio.create_task(client.post(url, content=b"order=o1"))
        await asyncio.sleep(0.2)
        assert not answering.done()
        publisher.hold.set()
        assert (await answering).content == b"success"


@pytest.mark.parametrize("failure", [OSError("no broker"), TimeoutError(), RuntimeError("closed")])
async def test_what_was_not_published_is_to_come_again(failure: Exception) -> None:
    async with bridged(Publisher(failure=failure)) as (client, url):
        reply = await client.post(url, content=b"order=o1")
    assert (reply.status_code, reply.content) == (503, b"fail")


async def test_a_publisher_that_hangs_is_not_waited_for() -> None:
    publisher = Publisher(hold=asyncio.Event())
    async with bridged(publisher, publish_deadline_s=0.1) as (client, url):
        reply = await client.post(url, content=b"order=o1")
    assert (reply.status_code, reply.content, publisher.records) == (503, b"fail", [])


async def test_what_does_not_verify_is_refused_and_not_published() -> None:
    publisher = Publisher()
    async with bridged(publisher) as (client, url):
        reply = await client.post(url, content=b"bad")
    assert (reply.status_code, reply.content, publisher.records) == (400, b"fail", [])


async def test_what_says_nothing_of_an_order_is_taken_and_not_published() -> None:
    publisher = Publisher()
    async with bridged(publisher) as (client, url):
        reply = await client.post(url, content=b"hello")
    assert (reply.status_code, reply.content, publisher.records) == (200, b"success", [])


async def test_an_unknown_profile_is_not_found() -> None:
    async with bridged(Publisher()) as (client, url):
        reply = await client.post(url.replace("mall", "shop"), content=b"order=o1")
        other = await client.get(url)
    assert (reply.status_code, reply.content) == (404, b"fail")
    assert other.status_code == 405


@pytest.mark.parametrize(("length", "status"), [(65_536, 200), (65_537, 413)])
async def test_a_body_has_a_limit(length: int, status: int) -> None:
    async with bridged(Publisher()) as (client, url):
        assert (await client.post(url, content=b"x" * length)).status_code == status


async def test_a_path_and_headers_have_limits() -> None:
    async with bridged(Publisher()) as (client, url):
        assert (await client.post(f"{url}?{'x' * 2100}", content=b"order=o1")).status_code == 400
        many = {f"x-{n}": "1" for n in range(70)}
        assert (await client.post(url, content=b"order=o1", headers=many)).status_code == 400


async def test_a_traceparent_that_is_none_is_not_passed_on() -> None:
    publisher = Publisher()
    async with bridged(publisher) as (client, url):
        await client.post(url, content=b"order=o1", headers={"traceparent": "00-nonsense"})
    assert publisher.records[0][3] == []


async def test_a_body_that_trickles_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "BODY_DEADLINE_S", 0.2)
    async with bridged(Publisher()) as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
        writer.write(b"POST /wallets/mall/notify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\norder")
        assert b"408" in await asyncio.wait_for(reader.readline(), 3)
        writer.close()
        await writer.wait_closed()


async def test_a_body_that_is_cut_off_is_not_published() -> None:
    publisher = Publisher()
    async with bridged(publisher) as (client, url):
        with socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0]))) as peer:
            peer.sendall(b"POST /wallets/mall/notify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\norder=o1")
        await asyncio.sleep(0.1)
        assert (await client.post(url, content=b"order=o2")).status_code == 200
    assert [record[1] for record in publisher.records] == ["o2"]
    assert bodies.BodyRefusedError(413, "x").status == 413


async def test_many_connections_and_pipelined_callbacks_are_answered_in_their_order() -> None:
    publisher = Publisher()
    async with bridged(publisher) as (_, url):
        port = int(url.split(":")[2].split("/")[0])

        async def connection(number: int) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            heads = [
                b"POST /wallets/%s/notify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                % (name, len(body), body)
                for name, body in (
                    (b"mall", b"order=o%d" % number),
                    (b"none", b""),
                    (b"mall", b"bad"),
                    (b"mall", b""),
                )
            ]
            writer.write(b"".join(heads) + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return answer

        for answer in await asyncio.gather(*(connection(number) for number in range(40))):
            assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"404", b"400", b"200", b"404"]
    assert sorted(record[1] for record in publisher.records) == sorted(f"o{number}" for number in range(40))


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_connection_that_is_to_be_closed_is_closed(version: bytes) -> None:
    async with bridged(Publisher()) as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
        close = b"Connection: close\r\n" if version == b"1.1" else b""
        writer.write(
            b"POST /wallets/mall/notify HTTP/%s\r\nHost: x\r\n%sContent-Length: 0\r\n\r\n" % (version, close)
        )
        answer = await asyncio.wait_for(reader.read(), 3)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert answer.endswith(b"content-length: 7\r\n\r\nsuccess")


async def test_the_bridge_answers_in_front_of_another_application() -> None:
    """With httptools and without, whole or in parts: the same answers."""
    publisher = Publisher()
    behind = FastAPI()
    known = bridge.Bridge({"mall": cast("WalletAdapter", Adapter())}, publisher.publish, lambda: NOW)
    app = bridge.BridgeFirst(behind, known)
    for protocol in (GuardedProtocol, H11Protocol):
        async with running(cast("FastAPI", app), protocol=protocol) as url, httpx2.AsyncClient() as client:
            reply = await client.post(f"{url}/wallets/mall/notify", content=b"order=o1")
            assert (reply.status_code, reply.content) == (200, b"success")
            assert reply.headers["content-type"] == "text/plain; charset=utf-8"
            assert (await client.post(f"{url}/wallets/mall/notify", content=b"x" * 65_537)).status_code == 413
            assert (await client.get(f"{url}/wallets/mall/notify")).status_code == 404
            assert (await client.post(f"{url}/wallets/a/b/notify", content=b"order=o1")).status_code == 404
    assert [record[1] for record in publisher.records] == ["o1", "o1"]


async def test_a_long_callback_is_verified_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a stranger's long bodies do not keep everybody waiting."""
    hopped: list[object] = []

    async def to_thread(function: Any, *given: Any) -> Any:
        hopped.append(function)
        return function(*given)

    monkeypatch.setattr(bridge.asyncio, "to_thread", to_thread)
    async with bridged(Publisher()) as (client, url):
        for length, hops in ((bridge.MAX_INLINE_BYTES, 0), (bridge.MAX_INLINE_BYTES + 1, 1)):
            assert (await client.post(url, content=b"x" * length)).status_code == 200
            assert len(hopped) == hops
