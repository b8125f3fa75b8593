"""`POST /ams/api/v1/payments/<call>`: verified calls in, signed answers out, and the faults that befall them."""

import asyncio
import json
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from schemas.strict_json import MalformedRecordError, loads_object
from service.clock import Clock
from service.http.bodies import BodyRefusedError, read_body
from service.sandbox.calls import Call
from service.sandbox.desk import Came, Desk, LostAnswerError, Method
from service.sandbox.dialect import MalformedError, RefusedError
from service.sandbox.gateway import CALL_DEADLINE_S, MAX_CALL_BYTES
from service.sandbox.identity import PLUS_PREFIX, PLUS_SANDBOX_PREFIX, Identity
from service.sandbox.plus import methods
from service.sandbox.plus.dialect import sign_message, verify_message
from service.sandbox.severing import SeveredResponse

METHODS: Final = {
    "capture": Method(methods.capture, methods.arrival("capture", "captureRequestId", "captureAmount")),
    "void": Method(methods.void, methods.arrival("release", "voidRequestId", "voidAmount")),
    "cancel": Method(methods.cancel, methods.cancel_arrival),
    "refund": Method(methods.refund, methods.arrival("refund", "refundRequestId", "refundAmount")),
    "inquiryPayment": Method(methods.inquiry_payment),
    "inquiryRefund": Method(methods.inquiry_refund),
}
# What the ledger's own refusals are called here; the others lose only their `ACQ.`.
_CODES: Final = {
    "ACQ.TRADE_NOT_EXIST": methods.NOT_EXIST,
    "AUTH_ORDER_NOT_EXIST": methods.NOT_EXIST,
    "ACQ.AUTH_NO_ERROR": methods.NOT_EXIST,
    "ACQ.CONTEXT_INCONSISTENT": "REPEAT_REQ_INCONSISTENT",
    "ACQ.INVALID_PARAMETER": "PARAM_ILLEGAL",
    "ACQ.TRADE_STATUS_ERROR": "ORDER_STATUS_INVALID",
    "ILLEGAL_STATUS": "ORDER_STATUS_INVALID",
}


def result(code: str, status: str, message: str) -> dict[str, Any]:
    """The member that every answer has."""
    return {"result": {"resultCode": code, "resultStatus": status, "resultMessage": message}}


def refused(refusal: RefusedError) -> dict[str, Any]:
    """The answer of a call that was refused."""
    code = _CODES.get(refusal.sub_code, refusal.sub_code.removeprefix("ACQ."))
    return result(code, "F", refusal.why)


class PlusGateway:
    """The gateway of one merchant's client."""

    def __init__(self, identity: Identity, desk: Desk, clock: Clock) -> None:
        self._identity = identity
        self._app_key = identity.app_public_key
        self._wallet_key = identity.wallet_private_key
        self._desk = desk
        self._clock = clock

    async def receive(self, name: str, path: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        """The answer to a call; raises LostAnswerError when the faults will not have it arrive."""
        try:
            await asyncio.to_thread(verify_message, self._app_key, self._identity.client_id, path, headers, body)
            fields = loads_object(body)
        except RefusedError as refusal:
            return refused(refusal)
        except MalformedRecordError as problem:
            return result("PARAM_ILLEGAL", "F", str(problem))
        method = METHODS.get(name)
        if method is None:
            return result("NO_INTERFACE_DEF", "F", "the sandbox has no such call")
        answer = self._answer(self._desk.carry_out(method, Call(fields)))
        self._desk.may_lose_the_answer(name)
        return answer

    async def signed(self, path: str, answer: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        """Body and headers of an answer."""
        body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
        client_id, now = self._identity.client_id, self._clock.now()
        headers = await asyncio.to_thread(
            sign_message, self._wallet_key, client_id, path, body, time_name="response-time", now=now
        )
        return body, headers

    @staticmethod
    def _answer(came: Came) -> dict[str, Any]:
        if came.fails:
            return result("UNKNOWN_EXCEPTION", "U", "the sandbox was told to fail")
        if came.refusal is not None:
            return refused(came.refusal)
        return result("SUCCESS", "S", "success") | came.fields


def routes(gateway: PlusGateway) -> APIRouter:
    """The addresses of the gateway."""
    router = APIRouter()

    # Antom's SDKs go to the second for a client whose id begins with SANDBOX_, as ours does.
    @router.post(f"{PLUS_PREFIX}/payments/{{name}}")
    @router.post(f"{PLUS_SANDBOX_PREFIX}/payments/{{name}}")
    async def call(name: str, request: Request) -> Response:
        try:
            body = await read_body(request, MAX_CALL_BYTES, CALL_DEADLINE_S)
        except BodyRefusedError as refusal:
            return Response(refusal.reason, refusal.status)
        query = request.url.query
        path = request.url.path + (f"?{query}" if query else "")
        try:
            answer = await gateway.receive(name, path, dict(request.headers), body)
        except MalformedError as problem:
            answer = result("PARAM_ILLEGAL", "F", str(problem))
        except LostAnswerError as lost:
            await asyncio.sleep(lost.late_s)
            return SeveredResponse()
        signed_body, headers = await gateway.signed(path, answer)
        return Response(signed_body, headers=headers)

    return router
