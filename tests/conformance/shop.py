"""A merchant in one process: the real bridge, adapter, dispatcher and `decide`, with a dict for a database."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import httpx2

from schemas.vocabulary import Flag, Kind, LatePayment, State
from schemas.wallet_callbacks import WALLET_CALLBACK
from service.clock import RandomIds
from service.dispatch.carrier import carrier
from service.dispatch.dispatcher import Dispatcher, RetrySchedule
from service.dispatch.reconciler import Reconciler
from service.sandbox.reckoning import differences
from service.wallets.adapter import RawCallback, WalletAdapter
from statemachine.decide import decide
from statemachine.decision import Policy
from statemachine.inputs import (
    CancelRequested,
    Input,
    OrderCreated,
    RefundRequested,
    ServiceCompleted,
    TimerFired,
)
from statemachine.order import Operation, Order
from tests.conformance.dialects import Dialect
from tests.sandbox.merchant import MovableClock

WAIT_S = 15.0
AMOUNT = 50_000
PAY_TIMEOUT_S = 900
POLICY = Policy()
# Quick, and never given up while a test looks on.
SCHEDULE = RetrySchedule(first_s=0.02, longest_s=0.1, tries=10_000)
NOTHING_MOVED = {"frozen_minor": 0, "taken_minor": 0, "released_minor": 0, "refunded_minor": 0}


class Shop:
    """One order, `o1`, and all that happens to it."""

    def __init__(self, dialect: Dialect, clock: MovableClock) -> None:
        self.dialect = dialect
        self.clock = clock
        self.adapters: dict[str, WalletAdapter] = {}
        self.wallet_url = ""
        self.order: Order | None = None
        self.path: list[State] = []
        self.callbacks: list[RawCallback] = []
        # Operations that the dispatcher is not told of, while a test makes the calls by hand.
        self.held: list[Operation] | None = None
        self.client = httpx2.AsyncClient(trust_env=False)
        self.carrier = carrier()
        self.dispatcher = Dispatcher(0, self.adapters, self.carrier, self.submit, clock, RandomIds(), SCHEDULE)
        self.reconciler = Reconciler(self.adapters, self.carrier, self.submit, clock)
        self._events = count(1)
        self._changed = asyncio.Event()

    async def aclose(self) -> None:
        await self.dispatcher.stop()
        await self.reconciler.stop()
        await self.carrier.client.aclose()
        await self.client.aclose()

    @property
    def adapter(self) -> WalletAdapter:
        return self.adapters[self.dialect.profile]

    @property
    def now_is(self) -> Order:
        assert self.order is not None
        return self.order

    @property
    def money(self) -> dict[str, int]:
        return {name: getattr(self.now_is, name) for name in NOTHING_MOVED}

    # --- inputs

    async def submit(
        self,
        order_id: str,
        given: Input,
        cause: str,  # noqa: ARG002 - as the dispatcher gives it
        traceparent: str | None = None,
    ) -> Order | None:
        """What a lane does with an input, but for the commit."""
        assert order_id == "o1"
        decision = decide(self.order, given, now=self.clock.now(), policy=POLICY)
        self.order = decision.order
        for entry in decision.entries:
            if not self.path or self.path[-1] is not entry.state:
                self.path.append(entry.state)
        if self.held is None:
            for operation in decision.operations:
                self.dispatcher.start(self.order, operation, traceparent)
        else:
            self.held += decision.operations
        if decision.query:
            self.reconciler.ask(self.order, traceparent)
        self._changed.set()
        return self.order

    async def publish(self, topic: str, order_id: str, value: bytes, _: list[tuple[str, bytes]]) -> None:
        """What Kafka and the inbox do with a callback that the bridge has taken."""
        record = WALLET_CALLBACK.validate_json(value)
        raw = RawCallback(record.method, record.path, record.headers, record.body, record.received_at)
        self.callbacks.append(raw)
        evidence = self.adapters[record.profile].open_callback(raw)
        assert evidence is not None
        await self.submit(order_id, evidence, topic)

    def _event(self) -> str:
        return f"e{next(self._events)}"

    async def creates(self, kind: Kind, amount_minor: int = AMOUNT) -> None:
        now = self.clock.now()
        created = OrderCreated(
            event_id=self._event(),
            occurred_at=now,
            order_id="o1",
            kind=kind,
            profile=self.dialect.profile,
            currency="CNY",
            amount_minor=amount_minor,
            subject="充电 50% off & more",
            pay_timeout_s=PAY_TIMEOUT_S,
            pay_window_s=self.adapter.pay_window_s(kind, PAY_TIMEOUT_S),
            authorization_timeout_s=self.adapter.authorization_timeout_s,
            late_payment=LatePayment.REFUND,
            issue=True,
            metadata={},
        )
        self.adapter.check_terms(created)
        await self.submit("o1", created, "order.created")

    async def completes(self, amount_minor: int, *, final: bool = True) -> None:
        name = self._event()
        await self.submit("o1", ServiceCompleted(name, self.clock.now(), name, amount_minor, "CNY", final), "")

    async def cancels(self) -> None:
        await self.submit("o1", CancelRequested(self._event(), self.clock.now(), ""), "")

    async def refunds(self, amount_minor: int) -> None:
        name = self._event()
        await self.submit("o1", RefundRequested(name, self.clock.now(), name, amount_minor, "CNY", ""), "")

    async def sleeps(self, seconds: float) -> None:
        """Time goes by on both sides, and the order's timer rings."""
        self.clock.ahead += timedelta(seconds=seconds)
        await self.submit("o1", TimerFired(self.clock.now()), "timer")

    # --- the wallet

    async def buyer(self, action: str = "confirm", *, order: Order | None = None, **wish: Any) -> str:
        order_str = await asyncio.to_thread(self.adapter.order_string, order or self.now_is)
        reply = await self.client.post(
            f"{self.wallet_url}/sandbox/pay", json={"order_str": order_str, "action": action, **wish}
        )
        assert reply.status_code == 200, reply.text
        return str(reply.json()["result_code"])

    async def faults(self, **rates: float) -> None:
        (await self.client.put(f"{self.wallet_url}/sandbox/faults", json=rates)).raise_for_status()

    async def wallet_releases(self) -> None:
        (await self.client.post(f"{self.wallet_url}/sandbox/release", json={"order_id": "o1"})).raise_for_status()

    async def ledger(self) -> list[dict[str, Any]]:
        reply = await self.client.get(f"{self.wallet_url}/sandbox/ledger", params={"order_id": "o1"})
        return list(reply.json())

    async def requests(self, kind: str) -> list[dict[str, Any]]:
        """Those that the wallet has seen of a kind."""
        return [each for row in await self.ledger() for each in row["requests"] if each["kind"] == kind]

    # --- waiting

    async def until(self, reached: Callable[[Order], bool]) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                while not reached(self.now_is):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never reached: {self.path}, {self.order}") from None

    async def rests(self, state: State, *, flags: frozenset[Flag] = frozenset()) -> None:
        """Comes to stand there with nothing under way, the wallet's ledger equal, and no other flags."""
        await self.until(lambda order: order.state is state and order.operation is None)
        assert differences(await self.ledger(), [{"order_id": "o1", **self.money}]) == []
        assert self.now_is.flags == flags

    async def seen(self, kind: str) -> None:
        """Waits until the wallet has seen a request of that kind."""
        async with asyncio.timeout(WAIT_S):
            while not await self.requests(kind):
                await asyncio.sleep(0.01)

    # --- how stories begin

    async def has_paid(self) -> None:
        await self.creates(Kind.PAYMENT)
        assert await self.buyer() == "9000"
        await self.rests(State.PAID)

    async def has_frozen(self) -> None:
        await self.creates(Kind.PREAUTH)
        assert await self.buyer() == "9000"
        await self.rests(State.AUTHORIZED)
