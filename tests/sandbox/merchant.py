"""The other side of the sandbox wallet: a merchant that signs by hand, and a place that takes callbacks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from fastapi import FastAPI, Request, Response

from service.clock import SystemClock
from service.http.serving import listen, serve
from service.sandbox.dialect import base_string, encode_form, wallet_time
from service.sandbox.identity import Identity
from service.wallets.signatures import load_private_key, load_public_key, sign, verify

WAIT_S = 5.0


class MovableClock:
    """The machine's clock, moved on by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


@asynccontextmanager
async def running(app: FastAPI, **options: Any) -> AsyncIterator[str]:
    """The application on a free loopback port; gives its URL."""
    bound = listen(None)
    ready = asyncio.Event()
    task = asyncio.create_task(serve(app, bound, ready.set, handle_signals=False, **options))
    try:
        async with asyncio.timeout(WAIT_S):
            await ready.wait()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Receiver:
    """Takes callbacks; answers what `answers` says, then `success`."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.answers: list[bytes] = []
        self._more = asyncio.Event()
        self.app = FastAPI()

        @self.app.post("/notify")
        async def notify(request: Request) -> Response:
            self.bodies.append(await request.body())
            self._more.set()
            return Response(self.answers.pop(0) if self.answers else b"success")

    @property
    def forms(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(body.decode("ascii"), strict_parsing=True)) for body in self.bodies]

    async def received(self, count: int) -> list[dict[str, str]]:
        async with asyncio.timeout(WAIT_S):
            while len(self.bodies) < count:
                self._more.clear()
                await self._more.wait()
        return self.forms


class Merchant:
    """Calls the gateway and the control as a merchant's program and a buyer would."""

    def __init__(self, identity: Identity, url: str, notify_url: str, client: httpx2.AsyncClient) -> None:
        self.identity = identity
        self.url = url
        self.notify_url = notify_url
        self.client = client
        self.key = load_private_key(identity.app_private_pem)
        self.wallet_key = load_public_key(identity.wallet_public_pem)

    def signed(self, method: str, biz: dict[str, Any], /, **others: str) -> dict[str, str]:
        params = {
            "app_id": self.identity.app_id,
            "method": method,
            "format": "json",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": wallet_time(SystemClock().now()),
            "version": "1.0",
            "notify_url": self.notify_url,
            "biz_content": json.dumps(biz),
        } | others
        charset = params["charset"]
        message = base_string(params).encode(charset)
        return params | {"sign": sign(self.key, message, self.identity.sign_type)}

    def payment(self, order_id: str, amount: str = "12.50", **biz: str) -> str:
        terms = {"out_trade_no": order_id, "total_amount": amount, "subject": "充电 50% off"}
        return self._order_string("alipay.trade.app.pay", terms | {"timeout_express": "15m"} | biz)

    def freeze(self, order_id: str, amount: str = "500.00", **biz: str) -> str:
        terms = {"out_order_no": order_id, "out_request_no": f"{order_id}__F1", "amount": amount}
        terms |= {"order_title": "预授权", "pay_timeout": "15m", "product_code": "PRE_AUTH_ONLINE"}
        return self._order_string("alipay.fund.auth.order.app.freeze", terms | biz)

    async def pay(self, order_str: str, action: str = "confirm", **wish: Any) -> dict[str, Any]:
        wish |= {"order_str": order_str, "action": action}
        reply = await self.client.post(f"{self.url}/sandbox/pay", json=wish)
        return {"status": reply.status_code, **reply.json()}

    async def call(self, method: str, biz: dict[str, Any], **others: str) -> dict[str, Any]:
        """The verified node of the answer. Half the parameters go into the query, as some SDKs do it."""
        params = self.signed(method, biz, **others)
        body = {"biz_content": params.pop("biz_content")}
        query = encode_form(params, params["charset"]).decode()
        form = encode_form(body, params["charset"])
        reply = await self.client.post(f"{self.url}/gateway.do?{query}", content=form)
        return self.node(reply.text)

    def node(self, text: str) -> dict[str, Any]:
        answer = json.loads(text)
        signature = answer.pop("sign")
        ((name, node),) = answer.items()
        raw = text[len(f'{{"{name}":') : text.rindex(',"sign"')]
        assert verify(self.wallet_key, raw.encode(), signature, self.identity.sign_type)
        return {"node": name, **node}

    def verify_form(self, form: dict[str, str]) -> bool:
        message = base_string(form, drop=frozenset({"sign", "sign_type"})).encode(form["charset"])
        return verify(self.wallet_key, message, form["sign"], self.identity.sign_type)

    async def faults(self, **faults: float) -> None:
        (await self.client.put(f"{self.url}/sandbox/faults", json=faults)).raise_for_status()

    async def ledger(self, order_id: str) -> dict[str, Any]:
        reply = await self.client.get(f"{self.url}/sandbox/ledger", params={"order_id": order_id})
        (entry,) = reply.json()
        return dict(entry)

    def _order_string(self, method: str, biz: dict[str, Any]) -> str:
        return encode_form(self.signed(method, biz), "utf-8").decode("ascii")
