"""Carries requests to wallets over HTTP, and says unknown when nothing trustworthy comes back."""

import asyncio
from dataclasses import dataclass, field

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
# Calls under way at once with one wallet, all lanes of this process together: wallets limit their clients, and one
# that is silent must not keep the others' calls waiting.
MAX_CALLS = 64
# Of these, questions: a capture or a refund does not wait behind what every open order asks.
MAX_QUESTIONS = 48
MAX_ANSWER_BYTES = 262_144


class _Slots:
    """Of one wallet."""

    def __init__(self, calls: int, questions: int) -> None:
        self.calls = asyncio.Semaphore(calls)
        self.questions = asyncio.Semaphore(questions)


@dataclass(slots=True)
class Carrier:
    """One HTTP client for all wallets; so many calls at once, and among them so many questions, with each."""

    client: httpx2.AsyncClient
    calls: int = MAX_CALLS
    questions: int = MAX_QUESTIONS
    _slots: dict[str, _Slots] = field(default_factory=dict)

    async def call(
        self, adapter: WalletAdapter, order: Order, operation: Operation, clock: Clock
    ) -> WalletEvidence:
        """Carries the operation out; the evidence is UNKNOWN when the answer was lost."""
        async with self._of(order.profile).calls:
            request = await asyncio.to_thread(adapter.operation_request, order, operation, clock.now())
            return await self._exchange(adapter, order, request, clock)

    async def ask(
        self, adapter: WalletAdapter, order: Order, operation: Operation | None, clock: Clock
    ) -> WalletEvidence:
        """Asks what became of the operation, or of the order."""
        slots = self._of(order.profile)
        async with slots.questions, slots.calls:
            request = await asyncio.to_thread(adapter.query_request, order, operation, clock.now())
            return await self._exchange(adapter, order, request, clock)

    def _of(self, profile: str) -> _Slots:
        slots = self._slots.get(profile)
        if slots is None:
            slots = self._slots[profile] = _Slots(self.calls, self.questions)
        return slots

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
            )
        else:
            evidence = await asyncio.to_thread(adapter.read_answer, order, request, answer, asked_at)
            self._tell(adapter, order, request, answer, evidence)
        told = "configuration" if adapter.blames_configuration(evidence.code) else evidence.outcome or "answered"
        WALLET_CALLS.labels(request.call, told).inc()
        return evidence

    def _tell(
        self,
        adapter: WalletAdapter,
        order: Order,
        request: WalletRequest,
        answer: WalletAnswer,
        evidence: WalletEvidence,
    ) -> None:
        """Its code tells an operator whether the wallet stumbled or our configuration is wrong."""
        said = {
            "profile": order.profile,
            "call": request.call,
            "order_id": order.order_id,
            "status": answer.status,
            "code": evidence.code,
        }
        if adapter.blames_configuration(evidence.code):
            log.error("wallet_refuses_configuration", **said)
        elif evidence.outcome is Outcome.UNKNOWN:
            log.warning("wallet_answer_says_nothing", **said)

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
    # How many there are follows from the slots of the wallets.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=MAX_CALLS)
    client = httpx2.AsyncClient(timeout=CALL_TIMEOUT_S, limits=limits, follow_redirects=False, trust_env=False)
    return Carrier(client)
