"""Errors as `application/problem+json` (RFC 9457), every one of them."""

from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from schemas.base import own_words
from service.http.bodies import BodyRefusedError
from service.store.connection import UNAVAILABLE

log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:paystate:problem:"
# What a caller is told to wait where that is of use.
RETRY_AFTER_S: Final = 1
MOST_ERRORS_SHOWN: Final = 8


class FieldError(BaseModel):
    """One field of a request, and what is wrong with it."""

    field: str
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457). `type` names the kind of problem for programs, `detail` is for people."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = Field(default=None, description="With type invalid-request only.")


class ProblemError(HTTPException):
    """An answer that says no. `unpublished`: nothing was done, and repeating the request does nothing twice."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        unpublished: bool = True,
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind
        self.unpublished = unpublished

    def document(self) -> dict[str, Any]:
        """The body."""
        return problem(self.status_code, self.kind, str(self.detail))


def problem(status: int, kind: str, detail: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """A problem's body."""
    title = HTTPStatus(status).phrase
    return {"type": f"{TYPE_PREFIX}{kind}", "title": title, "status": status, "detail": detail, **more}


def response(body: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem's response."""
    return JSONResponse(body, body["status"], {"cache-control": "no-store", **(headers or {})}, MEDIA_TYPE)


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer, for its description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def unavailable(detail: str) -> ProblemError:
    """Something that we need is away: come again, with the same Idempotency-Key."""
    return ProblemError(503, "unavailable", detail, headers={"retry-after": str(RETRY_AFTER_S)}, unpublished=False)


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem."""
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(BodyRefusedError, _body)
    for kind in UNAVAILABLE:
        app.add_exception_handler(kind, _away)
    app.add_exception_handler(Exception, _bug)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    headers = dict(error.headers or {})
    if isinstance(error, ProblemError):
        return response(error.document(), headers)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return response(problem(error.status_code, kind, str(error.detail)), headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {
            "field": ".".join(str(part) for part in each["loc"][1:] or each["loc"]),
            "detail": own_words(each["msg"]),
        }
        for each in error.errors()[:MOST_ERRORS_SHOWN]
    ]
    detail = "; ".join(f"{each['field']}: {each['detail']}" for each in errors)
    return response(problem(422, "invalid-request", detail, errors=errors))


async def _body(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BodyRefusedError)
    # Whatever else the peer sends belongs to the body that was refused.
    return response(problem(error.status, "body-refused", error.reason), {"connection": "close"})


async def _away(_: Request, error: Exception) -> JSONResponse:
    log.warning("request_without_database", error=repr(error))
    refusal = unavailable("the database cannot be reached at the moment")
    return response(refusal.document(), dict(refusal.headers or {}))


async def _bug(request: Request, error: Exception) -> JSONResponse:
    log.error("request_failed", method=request.method, path=request.url.path, error=repr(error))
    return response(problem(500, "internal-error", "an error of ours, which has been logged"))
