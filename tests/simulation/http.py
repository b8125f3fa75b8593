"""The network to the simulated wallet, as the carrier's HTTP client sees it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.simulation.calls import Caller
from tests.simulation.server import Server, Troubles
from tests.simulation.wallet import Wallet
from tests.simulation.wire import call_of, from_wallet, of_wallet

_AMOUNTS = ("order_amount_minor", "request_amount_minor")


@dataclass
class Response:
    """As much of httpx2's as the carrier reads."""

    status_code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        yield self.body


class Gateway(Server):
    """The wallet's address."""

    def __init__(self, wallet: Wallet, troubles: Troubles) -> None:
        super().__init__("wallet", troubles, lambda: httpx2.ConnectError("simulated wallet is away"))
        self.wallet = wallet
        # Orders that were asked about and answered after everything had healed.
        self.told: set[str] = set()

    def serve(self, body: bytes) -> Response:
        faults = self.troubles.faults
        call = call_of(body)
        is_about_the_order = call["call"] == "query" and call["request_no"] is None
        if is_about_the_order and self.wallet.keeps_silent(call["order_id"]):
            raise httpx2.ReadTimeout("simulated wallet keeps silent")
        said = self.wallet.answer(call)
        if faults.are_over and is_about_the_order:
            self.told.add(call["order_id"])
        if faults.happens("answer_wrong"):
            # Genuine, and about something else.
            dice = faults.dice("answer_wrong")
            wrong = {name: amount + 1 for name in _AMOUNTS if (amount := said.get(name)) is not None}
            said = said | (wrong if wrong and dice.random() < 0.7 else {"request_no": "o0__C9"})
        answer = from_wallet(said)
        if faults.happens("answer_unsigned"):
            dice = faults.dice("answer_unsigned")
            return dice.choice(
                (Response(200, answer[8:]), Response(502, answer), Response(200, b""), Response(200, answer + b" "))
            )
        return Response(200, answer)


class HttpClient:
    """In place of httpx2.AsyncClient, for one process."""

    def __init__(self, gateway: Gateway, caller: Caller, guard: Callable[[Callable[..., None], Any], None]) -> None:
        self._gateway = gateway
        self._caller = caller
        self._guard = guard

    @contextlib.asynccontextmanager
    async def stream(
        self,
        _method: str,
        _url: str,
        *,
        content: bytes,
        headers: Mapping[str, str],  # noqa: ARG002 - httpx2's own
    ) -> AsyncIterator[Response]:
        call = call_of(content)
        self._guard(self._caller.sends, call)
        response = await self._gateway.ask(lambda: self._gateway.serve(content), "call")
        await asyncio.sleep(self._gateway.wallet.tells_after_s(call["order_id"]))
        if response.status_code == 200:
            self._caller.hears(call, of_wallet(response.body))
        yield response

    async def aclose(self) -> None:
        """There is nothing to close."""
