"""The shop over HTTP: its page, the mini program's files, and the mini program's server."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import httpx2
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from service.clock import SystemClock
from service.config import Config
from service.http.serving import listen, serve
from service.sandbox.demo.storefront.backstage import Backstage
from service.sandbox.demo.storefront.counter import Counter, UpstreamError
from service.sandbox.demo.storefront.following import follow

STATIC: Final = Path(__file__).parent / "static"
MINI_PROGRAM: Final = Path(__file__).parent.parent / "miniprogram"
UPSTREAM_S: Final = 15.0
READY_S: Final = 20.0


class NewOrder(BaseModel):
    """What the mini program asks for."""

    item: Literal["mug", "power_bank"]
    wallet: Literal["sandbox", "sandbox_plus"] = "sandbox"


class TradePayResult(BaseModel):
    """What `my.tradePay` said."""

    result_code: Annotated[str, Field(min_length=1, max_length=16)]


class Return(BaseModel):
    """The power bank is back, after so many hours."""

    hours: Annotated[int, Field(ge=0, le=48)]


def create_app(counter: Counter, backstage: Backstage, wallet_url: str) -> FastAPI:
    """The application. Must be made inside the loop that serves it."""
    app = FastAPI(title="paystate demo shop", docs_url=None, redoc_url=None, openapi_url=None)
    policy = f"default-src 'self'; img-src 'self' data:; frame-src {wallet_url}; base-uri 'none'"
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": f"{policy}; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
    }

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Callable[[Request], Any]) -> Response:
        answer: Response = await call_next(request)
        for name, value in headers.items():
            answer.headers.setdefault(name, value)
        return answer

    @app.exception_handler(UpstreamError)
    async def upstream(_request: Request, error: UpstreamError) -> JSONResponse:
        return JSONResponse({"reason": str(error)}, error.status)

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", media_type="text/html")

    @app.get("/settings.json")
    async def settings() -> dict[str, str]:
        return {"wallet": wallet_url}

    _add_orders(app, counter)
    _add_watching(app, counter, backstage)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.mount("/miniprogram", StaticFiles(directory=MINI_PROGRAM))
    return app


def _add_orders(app: FastAPI, counter: Counter) -> None:
    """What the mini program asks of its server."""
    order = Annotated[str, Depends(_visitors(counter.backstage))]

    @app.post("/api/orders", status_code=201)
    async def make(wish: NewOrder) -> dict[str, Any]:
        return await counter.order(wish.item, wish.wallet)

    @app.get("/api/orders/{order_id}")
    async def show(order_id: order) -> dict[str, Any]:
        return await counter.show(order_id)

    @app.post("/api/orders/{order_id}/result", status_code=202)
    async def result(order_id: order, said: TradePayResult) -> dict[str, Any]:
        return await counter.tell_result(order_id, said.result_code)

    @app.post("/api/orders/{order_id}/return", status_code=202)
    async def give_back(order_id: order, back: Return) -> dict[str, Any]:
        return await counter.give_back(order_id, back.hours)

    @app.post("/api/orders/{order_id}/cancel", status_code=202)
    async def cancel(order_id: order) -> dict[str, Any]:
        return await counter.cancel(order_id)


def _add_watching(app: FastAPI, counter: Counter, backstage: Backstage) -> None:
    """What the page beside the phone asks; no mini program would."""
    order = Annotated[str, Depends(_visitors(backstage))]

    @app.get("/backstage/{order_id}/events")
    async def watch(
        order_id: order, last_event_id: Annotated[int, Header(ge=0, le=1_000_000)] = 0
    ) -> StreamingResponse:
        return StreamingResponse(backstage.watch(order_id, last_event_id), media_type="text/event-stream")

    @app.get("/backstage/{order_id}/ledger")
    async def ledger(order_id: order) -> dict[str, Any] | None:
        return await counter.ledger(order_id)

    @app.post("/backstage/{order_id}/silence", status_code=204)
    async def silence(order_id: order) -> None:
        await counter.silence_capture(order_id)


def _visitors(backstage: Backstage) -> Callable[[str], str]:
    def order_id_of_a_visitor(order_id: str) -> str:
        if not backstage.knows(order_id):
            raise HTTPException(404, "the shop knows no such order")
        return order_id

    return order_id_of_a_visitor


async def run_shop(
    config: Config, port: int, wallet_url: str, api_url: str, on_ready: Callable[[str], None]
) -> None:
    """Runs until SIGTERM or SIGINT. `on_ready` is given the shop's URL. Raises OSError for a port in use."""
    bound = listen(port)
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    backstage = Backstage()
    async with (
        httpx2.AsyncClient(base_url=wallet_url, timeout=UPSTREAM_S, trust_env=False) as wallet,
        httpx2.AsyncClient(base_url=api_url, timeout=UPSTREAM_S, trust_env=False) as api,
        _following(config, backstage),
    ):
        counter = Counter(api, wallet, backstage, SystemClock(), lambda: secrets.token_hex(4))
        app = create_app(counter, backstage, wallet_url)
        await serve(app, bound, lambda: on_ready(url), on_stop=backstage.close)


@asynccontextmanager
async def _following(config: Config, backstage: Backstage) -> AsyncIterator[None]:
    is_ready = asyncio.Event()
    task = asyncio.create_task(follow(config.kafka, config.settings.lanes, backstage, is_ready.set))
    try:
        async with asyncio.timeout(READY_S):
            await is_ready.wait()
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
