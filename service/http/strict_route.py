"""Routes that read bodies within limits of size and time, and JSON as strictly as the lanes do."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from schemas.strict_json import MalformedRecordError, loads_object
from service.http.bodies import BodyRefusedError, read_body
from service.http.problems import ProblemError
from service.observability import HTTP_REQUESTS
from service.store.connection import UNAVAILABLE

MAX_BODY_BYTES: Final = 65_536
BODY_DEADLINE_S: Final = 10.0


class StrictRequest(Request):
    """A request whose body is bounded, and whose JSON has one meaning only."""

    async def body(self) -> bytes:
        """The body. Raises ProblemError: 413 too long, 408 too slow, 400 cut off, 415 no JSON."""
        if not hasattr(self, "_body"):
            try:
                self._body = await read_body(self, MAX_BODY_BYTES, BODY_DEADLINE_S)
            except BodyRefusedError as refused:
                # Whatever else the peer sends belongs to the body that was refused.
                raise ProblemError(
                    refused.status, "body-refused", refused.reason, headers={"connection": "close"}
                ) from None
            media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            # A web page of a stranger can send anything else to this machine without being asked.
            if self._body and media_type != "application/json":
                raise ProblemError(415, "not-json", "the body should be application/json")
        return self._body

    async def json(self) -> dict[str, Any]:
        """The body's object. Raises ProblemError 400 for what is not the JSON of `schemas.strict_json`."""
        try:
            return loads_object(await self.body())
        except MalformedRecordError as error:
            raise ProblemError(400, "malformed-json", str(error)) from None


class StrictRoute(APIRoute):
    """A route that is handed StrictRequests, and is counted and timed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's own, around StrictRequest."""
        handle = super().get_route_handler()
        method = "/".join(sorted(self.methods or ()))

        @functools.wraps(handle)
        async def strict(request: Request) -> Response:
            began = asyncio.get_running_loop().time()
            status = 500
            try:
                answer = await handle(StrictRequest(request.scope, request.receive))
                status = answer.status_code
            except HTTPException as error:
                status = error.status_code
                raise
            except RequestValidationError:
                status = 422
                raise
            except UNAVAILABLE:
                status = 503
                raise
            finally:
                taken_s = asyncio.get_running_loop().time() - began
                HTTP_REQUESTS.labels(method, self.path_format, status).observe(taken_s)
            return answer

        return strict
