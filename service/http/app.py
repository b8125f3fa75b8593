"""Everything that others reach over HTTP, in one application with one OpenAPI document."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from fastapi import Depends, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.http import bridge, order_routes, problems
from service.http.callers import Callers
from service.http.order_api import OrderApi
from service.http.problems import Problem
from service.store.connection import UNAVAILABLE

log = structlog.get_logger()

PRUNE_EVERY_S: Final = 3_600.0

DESCRIPTION: Final = """
Orders for mini programs: make one, hand its `order_str` to `my.tradePay`, and follow what becomes of it.
Money is an integer in minor units. Errors are problems (RFC 9457).
"""


class App(FastAPI):
    """An application whose document describes problems, too."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schemas["Problem"].pop("$defs"))
        assert self.openapi_schema is not None
        return self.openapi_schema


def create_app(wallets: bridge.Bridge, api: OrderApi, callers: Callers) -> FastAPI:
    """The bridge, the order API, health and metrics. Must be made inside the loop that serves it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pruning = asyncio.create_task(_prune(api))
        yield
        pruning.cancel()
        await asyncio.gather(pruning, return_exceptions=True)
        await api.streams.close()
        await api.ordering.close()

    app = App(title="paystate", version="1", description=DESCRIPTION, lifespan=lifespan)
    problems.install(app)
    app.include_router(bridge.routes(wallets), tags=["wallets"])
    app.include_router(order_routes.routes(api, callers))

    @app.get("/health", tags=["operations"], summary="Whether this process serves")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/metrics",
        tags=["operations"],
        summary="Prometheus metrics",
        dependencies=[Depends(callers)],
        response_class=Response,
        responses={
            200: {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}},
            **problems.refusals(401, 503),
        },
    )
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


async def _prune(api: OrderApi) -> None:
    while True:
        try:
            while await api.keys.prune():
                pass
        except UNAVAILABLE as error:
            log.warning("idempotency_keys_not_pruned", error=repr(error))
        await asyncio.sleep(PRUNE_EVERY_S)
