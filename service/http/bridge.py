"""The webhook bridge: a wallet's callback in, a record on `wallet.callbacks` out, and only then the answer.

It verifies before it publishes, so that strangers cannot fill the topic; the lane verifies once more. What is
genuine is published whatever it says: a callback that nobody understands is for the dead letters, where a person
sees it, and not for a wallet that would send it for a day and then no more.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

import orjson
import structlog
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.vocabulary import Topic
from schemas.wallet_callbacks import MAX_CALLBACK_BODY_BYTES, MAX_CALLBACK_HEADERS
from service.http import at_once
from service.http.bodies import BodyRefusedError, receive_body
from service.wallets.adapter import CallbackRefusedError, RawCallback, WalletAdapter

log = structlog.get_logger()

BODY_DEADLINE_S: Final = 10.0
# Wallets wait some ten seconds; past this they are told to come again, which they do.
PUBLISH_DEADLINE_S: Final = 8.0
MAX_PATH: Final = 2048
# A wallet's callback has a kilobyte or two and is verified in less time than a thread takes to be asked; only a
# stranger's are longer, and those may take a thread's time but not everybody's.
MAX_INLINE_BYTES: Final = 8_192
_ADDRESS: Final = re.compile(r"/wallets/([^/]+)/notify")
# Anything but the success answer makes a wallet come again; Alipay's examples say this.
FAILURE_ANSWER: Final = b"fail"
FAILURES: Final = (400, 404, 408, 413, 503)
# No wallet signs these, and they may hold a proxy's secrets, which have no place on a topic.
DROPPED_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Publish = Callable[[str, str, bytes, list[tuple[str, bytes]]], Awaitable[object]]


class Bridge:
    """Takes callbacks for the wallet profiles that have an adapter."""

    def __init__(
        self,
        adapters: Mapping[str, WalletAdapter],
        publish: Publish,
        clock: Callable[[], datetime],
        publish_deadline_s: float | None = PUBLISH_DEADLINE_S,
    ) -> None:
        """`publish_deadline_s` is None for a publisher that keeps one by itself."""
        self._adapters = adapters
        self._publish = publish
        self._clock = clock
        self._publish_deadline_s = publish_deadline_s

    async def answer(self, profile: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one callback: with success only when it is durable, or says nothing of an order."""
        status, body = await self._take(profile, scope, receive)
        media_type = b"application/json" if body.startswith(b"{") else b"text/plain; charset=utf-8"
        headers = [(b"content-type", media_type)]
        if not at_once.answer(scope, status, headers, body):
            headers.append((b"content-length", b"%d" % len(body)))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _take(self, profile: str, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        adapter = self._adapters.get(profile)
        if adapter is None:
            return 404, FAILURE_ANSWER
        try:
            callback = await self._read(scope, receive)
        except BodyRefusedError as refusal:
            log.warning("callback_refused", profile=profile, reason=refusal.reason)
            return refusal.status, FAILURE_ANSWER
        try:
            if len(callback.body) > MAX_INLINE_BYTES:
                order_id = await asyncio.to_thread(adapter.order_of_callback, callback)
            else:
                order_id = adapter.order_of_callback(callback)
        except CallbackRefusedError as refusal:
            log.warning("callback_refused", profile=profile, reason=str(refusal)[:200])
            return 400, FAILURE_ANSWER
        if order_id is None:
            log.info("callback_about_no_order", profile=profile)
        elif not await self._published(profile, order_id, callback):
            return 503, FAILURE_ANSWER
        return 200, adapter.success_answer

    async def _read(self, scope: Scope, receive: Receive) -> RawCallback:
        path = _path(scope)
        headers = _headers(scope)
        if len(path) > MAX_PATH or len(headers) > MAX_CALLBACK_HEADERS:
            raise BodyRefusedError(400, "the path is too long, or there are too many headers")
        body = at_once.whole_body(scope)
        if body is None:
            body = await receive_body(receive, MAX_CALLBACK_BODY_BYTES, BODY_DEADLINE_S)
        elif len(body) > MAX_CALLBACK_BODY_BYTES:
            raise BodyRefusedError(413, f"more than {MAX_CALLBACK_BODY_BYTES} bytes")
        return RawCallback(scope["method"], path, headers, body, self._clock())

    async def _published(self, profile: str, order_id: str, callback: RawCallback) -> bool:
        traceparent = callback.headers.get("traceparent", "")
        headers = [("traceparent", traceparent.encode())] if TRACEPARENT.fullmatch(traceparent) else []
        value = _record(profile, callback)
        try:
            sent = self._publish(Topic.CALLBACKS.value, order_id, value, headers)
            if self._publish_deadline_s is None:
                await sent
            else:
                async with asyncio.timeout(self._publish_deadline_s):
                    await sent
        # The top of a request: whatever the publisher could not do, the wallet is to come again.
        except Exception as error:  # noqa: BLE001
            log.warning("callback_not_published", profile=profile, order_id=order_id, error=repr(error))
            return False
        return True


class _Answered(Response):
    """The bridge's own answer, where FastAPI asks for a response."""

    def __init__(self, bridge: Bridge, profile: str) -> None:
        super().__init__()
        self._bridge = bridge
        self._profile = profile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._bridge.answer(self._profile, scope, receive, send)


class BridgeFirst:
    """An ASGI application with the bridge in front of it.

    What leads a request through FastAPI to its function costs more than all that a callback needs.
    """

    def __init__(self, app: ASGIApp, bridge: Bridge) -> None:
        self._app = app
        self._bridge = bridge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A callback is answered; all else is the application's."""
        if scope["type"] == "http" and scope["method"] == "POST" and (match := _ADDRESS.fullmatch(scope["path"])):
            await self._bridge.answer(match[1], scope, receive, send)
        else:
            await self._app(scope, receive, send)


def routes(bridge: Bridge) -> APIRouter:
    """The bridge's address, for an application that has others too, and for the document that describes it."""
    router = APIRouter()

    @router.post(
        "/wallets/{profile}/notify",
        summary="A wallet's callback",
        response_class=PlainTextResponse,
        responses={
            200: {"description": "It is durable, or says nothing of an order: in the wallet's own words."},
            **{status: {"description": "It is to come again, or is not believed."} for status in FAILURES},
        },
    )
    async def notify(profile: str) -> Response:
        return _Answered(bridge, profile)

    return router


def create_app(adapters: Mapping[str, WalletAdapter], publish: Publish, clock: Callable[[], datetime]) -> FastAPI:
    """An application that is the bridge alone. `publish` returns once the record is durable (acks=all)."""
    app = FastAPI(title="paystate webhook bridge")
    app.include_router(routes(Bridge(adapters, publish, clock)))

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _record(profile: str, callback: RawCallback) -> bytes:
    # A `WalletCallbackRecord`, whose limits have all been looked at by now: to look once more would cost more
    # than the rest of it. The tests hold the one against the other.
    return orjson.dumps(
        {
            "type": "wallet.callback",
            "profile": profile,
            "received_at": callback.received_at,
            "method": callback.method,
            "path": callback.path,
            "headers": callback.headers,
            "body_base64": b64encode(callback.body).decode("ascii"),
        },
        option=orjson.OPT_UTC_Z,
    )


def _path(scope: Scope) -> str:
    # As it was sent, escapes and all: some dialects sign it.
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")  # type: ignore[no-any-return]


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_text in scope["headers"]:
        name, text = raw_name.decode("latin-1").lower(), raw_text.decode("latin-1")
        if name not in DROPPED_HEADERS:
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers
