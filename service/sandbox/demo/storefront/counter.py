"""The mini program's server: makes orders, and tells paystate what happened to them. It believes no client."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from service.clock import Clock
from service.sandbox.demo.storefront.backstage import Backstage

CURRENCY: Final = "CNY"
# Time enough for a person who reads; the wallet closes what is not paid by then.
PAY_TIMEOUT_S: Final = 300
# What an hour with a power bank costs.
HOUR_MINOR: Final = 1_000


@dataclass(frozen=True, slots=True)
class Item:
    """Something that the shop sells or rents out. `amount_minor` is the price, or what is frozen."""

    kind: str
    subject: str
    amount_minor: int


ITEMS: Final = {
    "mug": Item("payment", "Ceramic mug · 陶瓷马克杯", 4_500),
    "power_bank": Item("preauth", "Power bank · 充电宝", 10_000),
}
WALLETS: Final = ("sandbox", "sandbox_plus")


class UpstreamError(Exception):
    """paystate or the wallet refused something, or was not there. `status` is for the mini program."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Counter:
    """Where orders are made. `api` is paystate's order API, `wallet` the sandbox's control."""

    api: httpx2.AsyncClient
    wallet: httpx2.AsyncClient
    backstage: Backstage
    clock: Clock
    new_token: Callable[[], str]

    async def order(self, item: str, wallet: str) -> dict[str, Any]:
        """Makes an order; answers its id and its orderStr. Raises UpstreamError."""
        wanted = ITEMS[item]
        order_id = f"{item}_{self.new_token()}"
        # Before it is made: its first record may be on the topic before the answer is here.
        self.backstage.open(order_id)
        body = {
            "order_id": order_id,
            "kind": wanted.kind,
            "amount_minor": wanted.amount_minor,
            "currency": CURRENCY,
            "profile": wallet,
            "subject": wanted.subject,
            "pay_timeout_s": PAY_TIMEOUT_S,
        }
        made = await self._tell(order_id, "create", "/v1/orders", body)
        if made.get("order_str") is None:
            raise UpstreamError(503, "the order takes longer than usual: try again")
        return {"order_id": order_id, "kind": wanted.kind, "order_str": made["order_str"]}

    async def show(self, order_id: str) -> dict[str, Any]:
        """The order as paystate has it. Raises UpstreamError."""
        answer = await self._send(self.api, "GET", f"/v1/orders/{order_id}?order_str=true", None)
        document: dict[str, Any] = answer.json()
        wanted = ("order_id", "kind", "state", "subject", "amount_minor", "frozen_minor", "taken_minor")
        more = ("released_minor", "refunded_minor", "held_minor", "flags", "order_str", "expires_at")
        return {name: document.get(name) for name in (*wanted, *more)}

    async def tell_result(self, order_id: str, result_code: str) -> dict[str, Any]:
        """Hands on what `my.tradePay` said. It proves nothing: paystate asks the wallet."""
        path = f"/v1/orders/{order_id}/client-result"
        return await self._tell(order_id, "client_result", path, {"result_code": result_code})

    async def give_back(self, order_id: str, hours: int) -> dict[str, Any]:
        """The power bank is back: publishes the completion with the fee. The same again changes nothing."""
        body = {
            "completion_id": f"{order_id}-back",
            "amount_minor": hours * HOUR_MINOR,
            "currency": CURRENCY,
        }
        return await self._tell(order_id, "complete", f"/v1/orders/{order_id}/completions", body)

    async def cancel(self, order_id: str) -> dict[str, Any]:
        """The buyer no longer wants it."""
        body = {"reason": "the buyer changed their mind"}
        return await self._tell(order_id, "cancel", f"/v1/orders/{order_id}/cancel", body)

    async def silence_capture(self, order_id: str) -> None:
        """The wallet will carry the order's next capture out, and lose its answer."""
        await self._send(self.wallet, "POST", "/sandbox/silence", {"order_id": order_id, "kind": "capture"})

    async def ledger(self, order_id: str) -> dict[str, Any] | None:
        """What the wallet itself knows of the order; None until a buyer has looked at it."""
        answer = await self._send(self.wallet, "GET", f"/sandbox/ledger?order_id={order_id}", None)
        rows: list[dict[str, Any]] = answer.json()
        return rows[0] if rows else None

    async def _tell(self, order_id: str, step: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        began = self._now_ms()
        answer = await self._send(self.api, "POST", path, body)
        said: dict[str, Any] = answer.json()
        shown = dict(said)
        if shown.get("order_str"):
            # It goes to the phone of this buyer and to nobody else.
            shown["order_str"] = f"{shown['order_str'][:40]}…"
        http = {"method": "POST", "path": path, "request": body, "status": answer.status_code, "response": shown}
        self.backstage.add(order_id, {"source": "http", "step": step, "at": began, **http})
        return said

    async def _send(
        self, to: httpx2.AsyncClient, method: str, path: str, body: dict[str, Any] | None
    ) -> httpx2.Response:
        try:
            answer = await to.request(method, path, json=body)
        except (httpx2.HTTPError, OSError) as error:
            raise UpstreamError(503, f"not reached: {error!r}") from None
        if answer.is_error:
            raise UpstreamError(answer.status_code, answer.text[:300])
        return answer

    def _now_ms(self) -> int:
        return int(self.clock.now().timestamp() * 1_000)
