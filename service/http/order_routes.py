"""The order API's routes. Only GET and POST, because some hosts of `my.request` know no others."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response

from service.http.callers import Callers
from service.http.event_stream import MEDIA_TYPE as EVENT_STREAM
from service.http.order_api import OrderApi
from service.http.order_bodies import (
    Accepted,
    Cancellation,
    ClientResult,
    Completion,
    NewOrder,
    OrderMade,
    OrderShown,
    Refund,
)
from service.http.problems import refusals
from service.http.strict_route import StrictRoute

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="The same key with the same request gets the same answer, and does nothing twice.",
    ),
]
OrderIdInPath = Annotated[str, Path(description="The order's id; what is none is not found.", examples=["o1"])]

_LOCATION: Final = {"Location": {"description": "The order.", "schema": {"type": "string"}}}
_CREATED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"description": "The order was made.", "model": OrderMade, "headers": _LOCATION},
    202: {"description": "It takes longer: look at Location.", "model": OrderMade, "headers": _LOCATION},
}
_ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"description": "The event was published.", "model": Accepted, "headers": _LOCATION}
}
_OF_A_POST: Final = (400, 401, 408, 409, 413, 415, 422, 503)


def routes(api: OrderApi, callers: Callers) -> APIRouter:
    """All of them, for callers that are let in."""
    caller_name = Annotated[str, Depends(callers)]
    router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=StrictRoute)

    @router.post("", status_code=201, responses=_CREATED | refusals(*_OF_A_POST), summary="Make an order")
    async def create(
        request: Request, caller: caller_name, order: NewOrder, idempotency_key: IdempotencyKey = None
    ) -> Response:
        """Publishes `order.created`, waits until the order is `paying`, and signs its order string."""
        return await api.create(request, caller, idempotency_key, order)

    @router.get(
        "/{order_id}",
        dependencies=[Depends(callers)],
        responses={200: {"model": OrderShown, "description": "The order."}, **refusals(401, 404, 422, 503)},
        summary="Look at an order",
    )
    async def show(
        order_id: OrderIdInPath,
        order_str: Annotated[bool, Query(description="With its order string again, while it is `paying`.")] = False,  # noqa: FBT002 - a query parameter
    ) -> Response:
        """The order as it is now, with its timeline."""
        return await api.show(order_id, order_str=order_str)

    @router.get(
        "/{order_id}/events",
        dependencies=[Depends(callers)],
        response_class=Response,
        responses={
            200: {
                "description": "State events, as they happen. `id` is the version.",
                "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
            },
            **refusals(400, 401, 404, 422, 503),
        },
        summary="Follow an order",
    )
    async def follow(
        order_id: OrderIdInPath,
        last_event_id: Annotated[str | None, Header(description="The last version that was seen.")] = None,
    ) -> Response:
        """Server-sent events; ends after some minutes, to be taken up again with Last-Event-ID."""
        return await api.follow(order_id, last_event_id)

    _add_actions(router, api, callers)
    return router


def _add_actions(router: APIRouter, api: OrderApi, callers: Callers) -> None:
    caller_name = Annotated[str, Depends(callers)]
    responses = _ACCEPTED | refusals(404, *_OF_A_POST)

    @router.post("/{order_id}/cancel", status_code=202, responses=responses, summary="Cancel an order")
    async def cancel(
        request: Request,
        caller: caller_name,
        order_id: OrderIdInPath,
        cancellation: Annotated[Cancellation | None, Body()] = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Publishes `order.cancel_requested`."""
        body = cancellation or Cancellation()
        return await api.tell(request, caller, idempotency_key, order_id, "order.cancel_requested", body)

    @router.post("/{order_id}/completions", status_code=202, responses=responses, summary="The service was used")
    async def complete(
        request: Request,
        caller: caller_name,
        order_id: OrderIdInPath,
        completion: Completion,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Publishes `service.completed`: captures the amount, and with `final` releases the rest."""
        return await api.tell(request, caller, idempotency_key, order_id, "service.completed", completion)

    @router.post("/{order_id}/refunds", status_code=202, responses=responses, summary="Give money back")
    async def refund(
        request: Request,
        caller: caller_name,
        order_id: OrderIdInPath,
        refund: Refund,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Publishes `refund.requested`."""
        return await api.tell(request, caller, idempotency_key, order_id, "refund.requested", refund)

    @router.post(
        "/{order_id}/client-result", status_code=202, responses=responses, summary="What `my.tradePay` said"
    )
    async def tell_client_result(
        request: Request,
        caller: caller_name,
        order_id: OrderIdInPath,
        result: ClientResult,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Publishes `order.client_result`. It proves nothing; it makes paystate ask the wallet."""
        return await api.tell(request, caller, idempotency_key, order_id, "order.client_result", result)
