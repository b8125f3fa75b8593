"""The order API: a request becomes an event, or a look at an order; and what comes of it an answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn

import orjson
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from schemas.identifiers import InvalidOrderIdError, check_order_id
from schemas.vocabulary import Topic
from service.http import problems
from service.http.bridge import TRACEPARENT
from service.http.event_stream import EventStreams
from service.http.once import Asked, Done, asked, once
from service.http.order_bodies import NewOrder
from service.http.ordering import Headers, Ordering, expires_at, no_such_order
from service.http.problems import ProblemError
from service.state_events import rfc3339
from service.store.connection import Database
from service.store.idempotency import Answer, Event, IdempotencyKeys
from service.store.views import dead_letters_of_key, order_document, story_of
from statemachine.seen import COMPLETION, REFUND

NO_STORE: Final = {"cache-control": "no-store"}
# The largest that Postgres takes for one.
MAX_VERSION: Final = 2**31 - 1
# The ids by which an order knows what has moved money, as they stand in a body, and where it keeps them.
_IDS: Final = {"completion_id": COMPLETION, "refund_id": REFUND}


@dataclass(frozen=True, slots=True)
class OrderApi:
    """What the routes work with. `new_id` makes UUIDv7s."""

    database: Database
    ordering: Ordering
    keys: IdempotencyKeys
    streams: EventStreams
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    async def create(self, request: Request, caller: str, key: str | None, body: NewOrder) -> Response:
        """See the route."""
        wish = asked(caller, key, request.url.path, body)
        # From the key, as all ids are: a row that is forgotten must not lead to a second order.
        order_id = body.order_id or wish.made_id("order_id") or self.new_id().replace("-", "")
        terms = body.model_dump(mode="json", exclude_unset=True, exclude={"order_id"})
        event = self._event("order.created", order_id, wish, terms)
        done = await once(
            self.keys,
            wish,
            event,
            lambda event: self.ordering.create(event, _trace(request)),
            decided=lambda answer: answer.status != 202,  # noqa: PLR2004
        )
        answer = done.answer
        if answer.status == 201:  # noqa: PLR2004
            order = await self.ordering.known(done.event.order_id)
            answer = Answer(201, {**answer.body, "order_str": await self.ordering.order_str(order)})
        elif answer.status == 202:  # noqa: PLR2004
            answer = Answer(202, {**answer.body, "order_str": None})
        return _response(done, answer, {"location": f"{request.url.path}/{done.event.order_id}"})

    async def tell(  # noqa: PLR0917 - a request has its parts
        self, request: Request, caller: str, key: str | None, order_id: str, type_: str, body: BaseModel
    ) -> Response:
        """Publishes an event about an order; an id that the body leaves out is made from the key.

        Raises ProblemError 422 where money would move twice if the request were repeated: it has neither.
        """
        _check(order_id)
        wish = asked(caller, key, request.url.path, body)
        fields = body.model_dump(mode="json", exclude_unset=True)
        made = {}
        identity = None
        for name, source in _IDS.items():
            if name in type(body).model_fields:
                made[name] = fields[name] = fields.get(name) or wish.made_id(name) or _missing(name)
                identity = source, made[name]
        event = self._event(type_, order_id, wish, fields)
        topic = Topic.COMPLETIONS if type_ == "service.completed" else Topic.ORDERS

        async def publish(event: Event) -> Answer:
            answer = await self.ordering.tell(topic, event, identity, _trace(request))
            return Answer(answer.status, answer.body | made)

        done = await once(self.keys, wish, event, publish, decided=lambda _: True)
        return _response(done, done.answer, {"location": request.url.path.rpartition("/")[0]})

    def _event(self, type_: str, order_id: str, wish: Asked, fields: dict[str, Any]) -> Event:
        event_id = wish.made_id("event_id") or self.new_id()
        record = {
            "type": type_,
            "event_id": event_id,
            "order_id": order_id,
            "occurred_at": rfc3339(self.now()),
            **fields,
        }
        return Event(order_id, event_id, orjson.dumps(record))

    async def show(self, order_id: str, *, order_str: bool) -> Response:
        """The order with its story. Raises ProblemError 404, with the reason if its creation was refused."""
        _check(order_id)
        story = await story_of(self.database, order_id)
        if story is None:
            dead = await dead_letters_of_key(self.database, order_id)
            raise no_such_order(f"there is no such order: {dead[-1]['reason']}" if dead else "")
        document = {
            **order_document(story.order),
            "expires_at": expires_at(story.order),
            "order_str": await self.ordering.order_str(story.order) if order_str else None,
            "operations": story.operations,
            "timeline": story.timeline,
        }
        return Response(orjson.dumps(document, option=orjson.OPT_UTC_Z), 200, NO_STORE, "application/json")

    async def follow(self, order_id: str, last_event_id: str | None) -> Response:
        """The order's state events, from the one after `last_event_id` on."""
        after = last_event_id or "0"
        is_number = after.isascii() and after.isdigit() and len(after) <= len(str(MAX_VERSION))
        if not is_number or int(after) > MAX_VERSION:
            raise ProblemError(400, "bad-last-event-id", "Last-Event-ID should be a version of the order")
        return self.streams.follow(await self.ordering.known(order_id), int(after))


def _check(order_id: str) -> None:
    try:
        check_order_id(order_id)
    except InvalidOrderIdError:
        raise no_such_order() from None


def _missing(name: str) -> NoReturn:
    raise ProblemError(
        422,
        "id-needed",
        f"a {name} or an Idempotency-Key is needed: with neither, whoever repeats this request moves money twice",
    )


def _trace(request: Request) -> Headers:
    traceparent = request.headers.get("traceparent", "")
    return [("traceparent", traceparent.encode())] if TRACEPARENT.fullmatch(traceparent) else []


def _response(done: Done, answer: Answer, headers: dict[str, str]) -> Response:
    repeated = {"idempotency-replayed": "true"} if done.repeated else {}
    if answer.status >= 400:  # noqa: PLR2004
        return problems.response(answer.body, repeated)
    return JSONResponse(answer.body, answer.status, {**NO_STORE, **headers, **repeated})
