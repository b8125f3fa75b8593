"""Carries requests to wallets over HTTP, and says unknown when nothing trustworthy comes back."""

import asyncio
from dataclasses import dataclass

import httpx2
import structlog

from schemas.vocabulary import Outcome
from service.clock import Clock
from service.observability import WALLET_CALLS
from service.wallets.adapter import WalletAdapter, WalletAnswer, WalletRequest
from statemachine.inputs import EvidenceSource, WalletEvidence
from statemachine.order import Operation, Order

log = structlog.get_logger()

# A wallet answers in well under a second, or its own gateway has given up at ten.
CALL_TIMEOUT_S = 12.0
# Calls under way at once, all lanes of this process together: wallets limit their clients.
MAX_CALLS = 64
MAX_ANSWER_BYTES = 262_144


@dataclass(slots=True)
class Carrier:
    """One HTTP client for all wallets."""

    client: httpx2.AsyncClient
    slots: asyncio.Semaphore

    async def call(
        self, adapter: WalletAdapter, order: Order, operation: Operation, clock: Clock
    ) -> WalletEvidence:
        """Carries the operation out; the evidence is UNKNOWN when the answer was lost."""
        async with self.slots:
            request = await asyncio.to_thread(adapter.operation_request, order, operation, clock.now())
            return await self._exchange(adapter, order, request, clock)

    async def ask(
        self, adapter: WalletAdapter, order: Order, operation: Operation | None, clock: Clock
    ) -> WalletEvidence:
        """Asks what became of the operation, or of the order."""
        async with self.slots:
            request = await asyncio.to_thread(adapter.query_request, order, operation, clock.now())
            return await self._exchange(adapter, order, request, clock)

    async def _exchange(
        self, adapter: WalletAdapter, order: Order, request: WalletRequest, clock: Clock
    ) -> WalletEvidence:
        asked_at = clock.now()
        answer = await self._post(request)
        if answer is None:
            evidence = WalletEvidence(
                event_id=None,
                occurred_at=asked_at,
                source=EvidenceSource.QUERY if request.is_query else EvidenceSource.REPLY,
                order_id=order.order_id,
                request_no=request.operation.id if request.operation else None,
                outcome=Outcome.UNKNOWN,
                code="no answer",
            )
        else:
            evidence = await asyncio.to_thread(adapter.read_answer, order, request, answer, asked_at)
            if evidence.outcome is Outcome.UNKNOWN:
                # Its code tells an operator whether the wallet stumbled or our configuration is wrong.
                log.warning(
                    "wallet_answer_says_nothing",
                    call=request.call,
                    order_id=order.order_id,
                    status=answer.status,
                    code=evidence.code,
                )
        WALLET_CALLS.labels(request.call, evidence.outcome or "answered").inc()
        return evidence

    async def _post(self, request: WalletRequest) -> WalletAnswer | None:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                async with self.client.stream(
                    "POST", request.url, content=request.body, headers=dict(request.headers)
                ) as response:
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > MAX_ANSWER_BYTES:
                            log.warning("wallet_answer_too_long", call=request.call, order_id=request.order_id)
                            return None
                    headers = {name.lower(): value for name, value in response.headers.items()}
                    return WalletAnswer(response.status_code, headers, bytes(body))
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            log.warning("wallet_did_not_answer", call=request.call, order_id=request.order_id, error=repr(error))
            return None


def carrier() -> Carrier:
    """A carrier with its own connections; it does not follow redirects, which no wallet sends."""
    limits = httpx2.Limits(max_connections=MAX_CALLS, max_keepalive_connections=MAX_CALLS)
    client = httpx2.AsyncClient(timeout=CALL_TIMEOUT_S, limits=limits, follow_redirects=False, trust_env=False)
    return Carrier(client, asyncio.Semaphore(MAX_CALLS))
