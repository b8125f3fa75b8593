"""`/gateway.do`: verified calls in, signed answers out, and the faults that befall them."""

import asyncio

from fastapi import APIRouter, Request, Response

from schemas.strict_json import MalformedRecordError, loads_object
from service.http.bodies import BodyRefusedError, read_body
from service.sandbox import authorizations, trades
from service.sandbox.calls import Call
from service.sandbox.desk import Desk, LostAnswerError, Method
from service.sandbox.dialect import (
    Fields,
    MalformedError,
    answer_text,
    base_string,
    decode_form,
    node_text,
)
from service.sandbox.faults import Dice
from service.sandbox.identity import Identity
from service.sandbox.severing import SeveredResponse
from service.wallets.signatures import sign, verify

MAX_CALL_BYTES = 65_536
CALL_DEADLINE_S = 10.0


METHODS = {
    "alipay.trade.query": Method(trades.query),
    "alipay.trade.close": Method(trades.close, trades.close_arrival),
    "alipay.trade.refund": Method(trades.refund, trades.refund_arrival),
    "alipay.trade.fastpay.refund.query": Method(trades.refund_query),
    "alipay.trade.pay": Method(authorizations.capture, authorizations.capture_arrival),
    "alipay.fund.auth.operation.detail.query": Method(authorizations.detail),
    "alipay.fund.auth.order.unfreeze": Method(authorizations.unfreeze, authorizations.unfreeze_arrival),
    "alipay.fund.auth.operation.cancel": Method(authorizations.cancel, authorizations.cancel_arrival),
}
UNKNOWN: Fields = {
    "code": "20000",
    "msg": "Service Currently Unavailable",
    "sub_code": "isp.unknow-error",
    "sub_msg": "the sandbox was told to fail",
}
SYSTEM_ERROR: Fields = {
    "code": "40004",
    "msg": "Business Failed",
    "sub_code": "ACQ.SYSTEM_ERROR",
    "sub_msg": "the sandbox was told to fail",
}


def error(sub_code: str, why: str) -> Fields:
    """The node of a call that was never looked at: configuration, not business."""
    return {"code": "40002", "msg": "Invalid Arguments", "sub_code": sub_code, "sub_msg": why}


class Gateway:
    """The gateway of one merchant's app."""

    def __init__(self, identity: Identity, desk: Desk, dice: Dice) -> None:
        self._identity = identity
        self._app_key = identity.app_public_key
        self._wallet_key = identity.wallet_private_key
        self._desk = desk
        self._dice = dice

    async def receive(self, query: bytes, body: bytes) -> str:
        """The signed answer to a call; raises LostAnswerError when the faults will not have it arrive."""
        try:
            params = decode_form(query, body)
            biz = loads_object(params.get("biz_content", "").encode())
        except (MalformedError, MalformedRecordError) as problem:
            return await self._signed("error_response", error("isv.invalid-parameter", str(problem)))
        refused = await asyncio.to_thread(self._refuse, params)
        if refused is not None:
            return await self._signed("error_response", refused)
        name = params["method"]
        fields = self._carry_out(METHODS[name], Call(biz, params.get("notify_url", "")))
        self._desk.may_lose_the_answer(name)
        return await self._signed(name.replace(".", "_") + "_response", fields)

    def _refuse(self, params: Fields) -> Fields | None:
        """Why the call is not to be believed, if so. Which hash counts is for our settings to say."""
        if params.get("app_id") != self._identity.app_id:
            return error("isv.invalid-app-id", "no such app")
        if params.get("sign_type") != self._identity.sign_type.value:
            return error("isv.invalid-signature-type", "not the sign_type of this app")
        message = base_string(params).encode(params.get("charset", "utf-8"))
        if not verify(self._app_key, message, params.get("sign", ""), self._identity.sign_type):
            return error("isv.invalid-signature", "the signature does not verify")
        if params.get("method") not in METHODS:
            return error("isv.invalid-method", "the sandbox has no such method")
        return None

    def _carry_out(self, method: Method, call: Call) -> Fields:
        came = self._desk.carry_out(method, call)
        if came.fails:
            return UNKNOWN if self._dice.even() else SYSTEM_ERROR
        if came.refusal is not None:
            return {
                "code": "40004",
                "msg": "Business Failed",
                "sub_code": came.refusal.sub_code,
                "sub_msg": came.refusal.why,
            }
        return {"code": "10000", "msg": "Success"} | came.fields

    async def _signed(self, node: str, fields: Fields) -> str:
        text = node_text(fields)
        signature = await asyncio.to_thread(sign, self._wallet_key, text.encode(), self._identity.sign_type)
        return answer_text(node, text, signature)


def routes(gateway: Gateway, charset: str) -> APIRouter:
    """The one address of the gateway."""
    router = APIRouter()

    # As at Alipay, where parameters may stand in the query or in the body; some SDKs put all into a GET.
    @router.get("/gateway.do")
    @router.post("/gateway.do")
    async def call(request: Request) -> Response:
        try:
            body = await read_body(request, MAX_CALL_BYTES, CALL_DEADLINE_S)
        except BodyRefusedError as refusal:
            return Response(refusal.reason, refusal.status)
        try:
            text = await gateway.receive(request.scope["query_string"], body)
        except LostAnswerError as lost:
            await asyncio.sleep(lost.late_s)
            return SeveredResponse()
        return Response(text.encode("ascii"), media_type=f"text/html;charset={charset}")

    return router
