"""A stranger's bytes on the bridge's connection: the protocol with its limits, and the application behind it.

No socket: the protocol is handed the bytes, as the event loop would, in two parts.
"""

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import uvicorn
from aiokafka import ConsumerRecord
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from schemas.vocabulary import Topic
from schemas.wallet_callbacks import WALLET_CALLBACK
from service.http.bridge import FAILURES, Bridge, BridgeFirst
from service.http.guarding import GuardedProtocol
from tests.fuzz.records import INBOX
from tests.fuzz.target import Target
from tests.wallets import orders, plus, vectors
from tests.wallets.vectors import NOW

STATUSES: Final = (200, *FAILURES)
# More turns of the loop than an answer takes; whoever has not got one by then waits for more bytes.
TURNS: Final = 6
_published: list[tuple[str, str, bytes, list[tuple[str, bytes]]]] = []


class Wire(asyncio.Transport):
    """A connection's other end, which keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", 8_000)})
        self.sent = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing comes but what the target hands over."""

    def resume_reading(self) -> None:
        """As above."""


async def _publish(topic: str, key: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
    _published.append((topic, key, value, headers))


async def _elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@cache
def _config() -> uvicorn.Config:
    bridge = Bridge({"mall": vectors.adapter(), "plus": plus.adapter()}, _publish, lambda: NOW)
    config = uvicorn.Config(
        BridgeFirst(_elsewhere, bridge), http=GuardedProtocol, log_config=None, access_log=False, lifespan="off",
        ws="none", proxy_headers=False, server_header=False,
    )  # fmt: skip
    config.load()
    return config


async def _conversation(raw: bytes) -> bytes:
    wire, state = Wire(), ServerState()
    protocol = GuardedProtocol(_config(), state, {})
    protocol.connection_made(wire)
    for part in (raw[: len(raw) // 2], raw[len(raw) // 2 :]):
        if part and not wire.is_closing():
            protocol.data_received(part)
        for _ in range(TURNS):
            await asyncio.sleep(0)
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)
    return wire.sent


def connection(raw: bytes) -> None:
    """What is published is genuine, and a lane reads the same in it; what is answered is one of the answers."""
    _published.clear()
    sent = asyncio.run(_conversation(raw))
    sent = sent.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if sent:
        version, status = sent.split(b" ", 2)[:2]
        assert version == b"HTTP/1.1"
        assert int(status) in STATUSES, sent[:200]
    for topic, key, value, headers in _published:
        assert topic == Topic.CALLBACKS
        WALLET_CALLBACK.validate_json(value)
        opened = INBOX.open(ConsumerRecord(topic, 0, 0, 0, 0, key.encode(), value, None, 0, 0, headers))
        assert opened.dead is None
        assert opened.order_id == key
        assert (opened.traceparent is None) == (not headers)


def _posted(path: str, body: bytes, headers: dict[str, str], length: bytes | None = None) -> bytes:
    given = {"host": "h", "content-length": str(len(body)), **headers}
    if length is not None:
        given["transfer-encoding"] = "chunked"
        del given["content-length"]
        body = b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, length)
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def _requests() -> Iterator[bytes]:
    trade = orders.called_back(orders.trade_callback()).body
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Authorization": "x"}
    yield _posted("/wallets/mall/notify", trade, trace)
    yield _posted("/wallets/mall/notify?a=b", trade, {"expect": "100-continue"}, b"trailer: x\r\n")
    yield _posted("/wallets/mall/notify", trade, {}) * 2
    told = plus.called_back(plus.notification())
    yield _posted("/wallets/plus/notify", told.body, dict(told.headers))
    yield _posted("/wallets/none/notify", b"a=1", {"x": "\xe9"})
    yield b"GET /health HTTP/1.0\r\n\r\n"
    yield b"POST /wallets/mall/notify HTTP/1.1\r\nhost: h\r\ncontent-length: 99999\r\n\r\nabc"
    yield b"POST /%77allets/m%00/notify HTTP/1.1\r\nhost: h\r\n\r\n\r\n\r\n"


BRIDGE: Final[dict[str, Target]] = {"http_bridge": Target(connection, list(_requests()))}
