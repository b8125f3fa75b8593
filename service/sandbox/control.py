"""The sandbox's control: the buyer at the cashier, what goes wrong, and the ledger. Loopback only."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from schemas.money import to_decimal
from service.addresses import is_loopback
from service.clock import Clock
from service.sandbox import authorizations, cashier
from service.sandbox.callbacks import Callbacks, Fate
from service.sandbox.calls import Done, Terms, read_terms
from service.sandbox.diagnosis import MAX_ORDER_STRING, diagnosis
from service.sandbox.dialect import MalformedError, RefusedError, base_string, decode_form
from service.sandbox.faults import MAX_DELAY_S, Dice, Faults
from service.sandbox.identity import Identity, profile_toml
from service.sandbox.ledger import Ledger, OrderRow
from service.sandbox.plus import cashier as plus_cashier
from service.state_events import rfc3339
from service.wallets.signatures import verify

PAID, FAILED, CANCELLED, NO_NETWORK, NOT_KNOWN = "9000", "4000", "6001", "6002", "6004"


class Look(BaseModel):
    """An order string that a buyer brings to the cashier."""

    model_config = ConfigDict(extra="forbid")

    # Of any length here: one that is empty or too long is refused by `Control.read`, like any other that does not
    # verify.
    order_str: str


class Pay(Look):
    """What the buyer does with an order string, and what becomes of the callback."""

    action: Literal["confirm", "cancel"]
    callback: Fate = Fate.SEND
    delay_s: Annotated[float, Field(ge=0, le=MAX_DELAY_S, allow_inf_nan=False)] | None = Field(
        default=None, description="How long the callback waits at first; `twice` with it is late and then twice."
    )
    connection: Literal["holds", "lost_before", "lost_after"] = Field(
        default="holds",
        description="The phone's: lost before the wallet hears of it (6002), or after it has done it (6004).",
    )
    # The buyer's bank had already debited: pays what is closed or timed out.
    force: bool = False


class Silence(BaseModel):
    """Of the order's next request of this kind nothing comes back: it is carried out, and told to nobody."""

    model_config = ConfigDict(extra="forbid")

    order_id: str
    kind: Literal["capture", "release", "refund", "close"]


class Release(BaseModel):
    """An authorization that the wallet gives back by itself."""

    model_config = ConfigDict(extra="forbid")

    order_id: str


class Control:
    """What the control calls do."""

    def __init__(self, identity: Identity, ledger: Ledger, callbacks: Callbacks, clock: Clock, dice: Dice) -> None:
        self.identity = identity
        self.ledger = ledger
        self.callbacks = callbacks
        self.clock = clock
        self.dice = dice
        self._app_key = identity.app_public_key

    def read(self, order_str: str) -> Terms:
        """The terms of an order string of this merchant, in either dialect. Slow enough for a thread.

        Raises MalformedError.
        """
        if not order_str:
            raise MalformedError("the order string is empty")
        if len(order_str) > MAX_ORDER_STRING:
            raise MalformedError(f"the order string has more than {MAX_ORDER_STRING} characters")
        params = decode_form(order_str.encode())
        if plus_cashier.is_plus(params):
            return plus_cashier.read_order_string(params, self._app_key, self.identity.client_id)
        if params.get("app_id") != self.identity.app_id:
            raise MalformedError("the order string is not of this app")
        if params.get("sign_type") != self.identity.sign_type.value:
            raise MalformedError("the order string has another sign_type than this app")
        try:
            message = base_string(params).encode(params.get("charset", "utf-8"))
        except UnicodeEncodeError:
            raise MalformedError("the order string does not fit its charset") from None
        if not verify(self._app_key, message, params.get("sign", ""), self.identity.sign_type):
            raise MalformedError("the order string's signature does not verify")
        return read_terms(params)

    async def look(self, order_str: str) -> dict[str, Any]:
        """What the cashier shows of an order, once its signature has been verified. Raises MalformedError."""
        terms = await asyncio.to_thread(self.read, order_str)
        order, refusal = None, ""
        try:
            with self.ledger.transaction():
                order = cashier.look_at(self.ledger, terms, self.clock.now())
        except RefusedError as refused:
            refusal = refused.why
        return {
            "order_id": terms.order_id,
            "kind": terms.kind,
            "dialect": terms.dialect,
            "payee": self.identity.payee,
            "title": terms.title,
            "amount": to_decimal(terms.amount_minor, terms.currency),
            "currency": terms.currency,
            "deadline": rfc3339(terms.deadline),
            "standing": "refused" if order is None else standing(order),
            "refusal": refusal,
        }

    async def pay(self, wish: Pay) -> dict[str, str]:
        """The result as `my.tradePay` would have it, with a reason where it failed. Raises MalformedError."""
        terms = await asyncio.to_thread(self.read, wish.order_str)
        if wish.connection == "lost_before":
            return {"result_code": NO_NETWORK, "order_id": terms.order_id}
        try:
            with self.ledger.transaction():
                if wish.action == "cancel":
                    cashier.look_at(self.ledger, terms, self.clock.now())
                    done = Done({})
                else:
                    done = cashier.confirm(self.ledger, terms, self.clock.now(), force=wish.force)
                numbers = [self.ledger.next_number() for _ in done.notices]
        except RefusedError as refusal:
            return {"result_code": FAILED, "order_id": terms.order_id, "reason": refusal.why}
        for notice, number in zip(done.notices, numbers, strict=True):
            self.callbacks.send(notice, number, wish.callback, wish.delay_s)
        if wish.connection == "lost_after":
            return {"result_code": NOT_KNOWN, "order_id": terms.order_id}
        return {"result_code": CANCELLED if wish.action == "cancel" else PAID, "order_id": terms.order_id}

    def release(self, order_id: str) -> dict[str, Any]:
        """The wallet gives back unasked. Raises RefusedError."""
        with self.ledger.transaction():
            done = authorizations.release_by_wallet(self.ledger, order_id, self.clock.now())
            numbers = [self.ledger.next_number() for _ in done.notices]
        for notice, number in zip(done.notices, numbers, strict=True):
            self.callbacks.send(notice, number)
        return done.fields


def standing(order: OrderRow) -> str:
    """Whether the buyer can still act: open, or why not."""
    if order.taken_minor:
        return "paid"
    if order.frozen_minor:
        return "frozen"
    return "closed" if order.closed else "open"


def only_from_here(request: Request) -> None:
    """Whoever reaches the control can pay and see keys, so it is for this machine alone."""
    if request.client is None or not is_loopback(request.client.host):
        raise HTTPException(403, "the sandbox's control answers to this machine only")


def routes(control: Control) -> APIRouter:
    """The control calls of CONTRACTS.md."""
    router = APIRouter(prefix="/sandbox", dependencies=[Depends(only_from_here)])

    _add_buyer(router, control)

    @router.put("/faults")
    async def set_faults(faults: Faults) -> Faults:
        # The whole of what goes wrong from now on: what the body does not name goes right.
        control.dice.faults = faults
        return faults

    @router.get("/faults")
    async def faults() -> Faults:
        return control.dice.faults

    @router.post("/silence", status_code=204)
    async def silence(wish: Silence) -> None:
        control.dice.silence(wish.order_id, wish.kind)

    @router.get("/ledger")
    async def ledger(order_id: str | None = None) -> list[dict[str, Any]]:
        return control.ledger.snapshot(order_id)

    @router.post("/release")
    async def release(wish: Release) -> Response:
        try:
            return JSONResponse(control.release(wish.order_id))
        except RefusedError as refusal:
            return JSONResponse({"reason": refusal.why}, 400)

    @router.get("/paystate.toml")
    async def profile(request: Request) -> Response:
        url = str(request.base_url).rstrip("/")
        return PlainTextResponse(profile_toml(control.identity, url))

    return router


def _add_buyer(router: APIRouter, control: Control) -> None:
    @router.post("/look")
    async def look(wish: Look) -> Response:
        try:
            return JSONResponse(await control.look(wish.order_str))
        except MalformedError as problem:
            return JSONResponse({"reason": str(problem), **diagnosis(wish.order_str)}, 400)

    @router.post("/pay")
    async def pay(wish: Pay) -> Response:
        try:
            return JSONResponse(await control.pay(wish))
        except MalformedError as problem:
            return JSONResponse({"reason": str(problem)}, 400)
