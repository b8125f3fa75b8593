"""The webhook bridge: a wallet's callback in, a record on `wallet.callbacks` out, and only then the answer.

It verifies before it publishes, so that strangers cannot fill the topic; the lane verifies once more.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

import orjson
import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from schemas.vocabulary import Topic
from schemas.wallet_callbacks import MAX_CALLBACK_BODY_BYTES, MAX_CALLBACK_HEADERS, WalletCallbackRecord
from service.http.bodies import BodyRefusedError, read_body
from service.wallets.adapter import CallbackRefusedError, RawCallback, WalletAdapter

log = structlog.get_logger()

BODY_DEADLINE_S: Final = 10.0
# Wallets wait some ten seconds; past this they are told to come again, which they do.
PUBLISH_DEADLINE_S: Final = 8.0
MAX_PATH: Final = 2048
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
        publish_deadline_s: float = PUBLISH_DEADLINE_S,
    ) -> None:
        self._adapters = adapters
        self._publish = publish
        self._clock = clock
        self._publish_deadline_s = publish_deadline_s

    async def receive(self, profile: str, request: Request) -> Response:
        """The answer to one callback: success only when it is durable, or says nothing of an order."""
        adapter = self._adapters.get(profile)
        if adapter is None:
            return _failure(404)
        try:
            callback = await self._read(request)
        except BodyRefusedError as refusal:
            log.warning("callback_refused", profile=profile, reason=refusal.reason)
            return _failure(refusal.status)
        try:
            evidence = await asyncio.to_thread(adapter.open_callback, callback)
        except CallbackRefusedError as refusal:
            log.warning("callback_refused", profile=profile, reason=str(refusal)[:200])
            return _failure(400)
        if evidence is None:
            log.info("callback_about_no_order", profile=profile)
        elif not await self._published(profile, evidence.order_id, callback):
            return _failure(503)
        return _answer(adapter.success_answer)

    async def _read(self, request: Request) -> RawCallback:
        path = _path(request)
        headers = _headers(request)
        if len(path) > MAX_PATH or len(headers) > MAX_CALLBACK_HEADERS:
            raise BodyRefusedError(400, "the path is too long, or there are too many headers")
        body = await read_body(request, MAX_CALLBACK_BODY_BYTES, BODY_DEADLINE_S)
        return RawCallback(request.method, path, headers, body, self._clock())

    async def _published(self, profile: str, order_id: str, callback: RawCallback) -> bool:
        traceparent = callback.headers.get("traceparent", "")
        headers = [("traceparent", traceparent.encode())] if TRACEPARENT.fullmatch(traceparent) else []
        value = _record(profile, callback)
        try:
            async with asyncio.timeout(self._publish_deadline_s):
                await self._publish(Topic.CALLBACKS.value, order_id, value, headers)
        # The top of a request: whatever the publisher could not do, the wallet is to come again.
        except Exception as error:  # noqa: BLE001
            log.warning("callback_not_published", profile=profile, order_id=order_id, error=repr(error))
            return False
        return True


def routes(bridge: Bridge) -> APIRouter:
    """The bridge's address, for an application that has others too."""
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
    async def notify(profile: str, request: Request) -> Response:
        return await bridge.receive(profile, request)

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
    record = WalletCallbackRecord(
        type="wallet.callback",
        profile=profile,
        received_at=callback.received_at,
        method=callback.method,
        path=callback.path,
        headers=dict(callback.headers),
        body_base64=b64encode(callback.body).decode("ascii"),
    )
    return orjson.dumps(record.model_dump(mode="json"))


def _path(request: Request) -> str:
    # As it was sent, escapes and all: some dialects sign it.
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    query = request.scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")  # type: ignore[no-any-return]


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_text in request.scope["headers"]:
        name, text = raw_name.decode("latin-1").lower(), raw_text.decode("latin-1")
        if name not in DROPPED_HEADERS:
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _failure(status: int) -> Response:
    return Response(FAILURE_ANSWER, status, media_type="text/plain")


def _answer(body: bytes) -> Response:
    return Response(body, media_type="application/json" if body.startswith(b"{") else "text/plain")
