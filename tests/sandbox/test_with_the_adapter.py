"""The Alipay adapter and the sandbox wallet share no code but the RSA: do they understand each other?"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from schemas.vocabulary import Kind, LatePayment, OperationKind, Outcome
from service.clock import SystemClock
from service.wallets.adapter import RawCallback, WalletAdapter, WalletAnswer
from statemachine.inputs import Trade, WalletEvidence
from statemachine.order import Operation, Order
from tests.sandbox.merchant import Merchant, Receiver

registry = pytest.importorskip("service.wallets.registry")


@pytest.fixture
def adapter(merchant: Merchant, tmp_path: Path) -> WalletAdapter:
    from service.config import load  # noqa: PLC0415 - needs the registry's package too
    from service.sandbox.identity import write_profile  # noqa: PLC0415

    identity = replace(merchant.identity, notify_url=merchant.notify_url)
    path = write_profile(tmp_path, identity, merchant.url)
    adapters: dict[str, WalletAdapter] = registry.build_adapters(load(path).profiles)
    return adapters["sandbox"]


def order(kind: Kind) -> Order:
    now = SystemClock().now()
    return Order(
        order_id="o1",
        kind=kind,
        profile="sandbox",
        currency="CNY",
        amount_minor=50000,
        subject="充电 50% off & more + a=b",
        pay_timeout_s=900,
        pay_window_s=900,
        authorization_timeout_s=2_592_000,
        late_payment=LatePayment.REFUND,
        created_at=now,
        issued_at=now,
    )


class Talk:
    """One order's conversation with the wallet."""

    def __init__(self, adapter: WalletAdapter, client: httpx2.AsyncClient, about: Order) -> None:
        self.adapter = adapter
        self.client = client
        self.order = about

    async def carry_out(self, operation: Operation) -> WalletEvidence:
        now = datetime.now(UTC)
        return await self._exchange(self.adapter.operation_request(self.order, operation, now))

    async def ask(self, operation: Operation | None = None) -> WalletEvidence:
        now = datetime.now(UTC)
        return await self._exchange(self.adapter.query_request(self.order, operation, now))

    async def _exchange(self, request: object) -> WalletEvidence:
        reply = await self.client.post(request.url, content=request.body, headers=dict(request.headers))  # type: ignore[attr-defined]
        answer = WalletAnswer(reply.status_code, dict(reply.headers), reply.content)
        return self.adapter.read_answer(self.order, request, answer, datetime.now(UTC))  # type: ignore[arg-type]

    def opened(self, body: bytes) -> WalletEvidence:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        callback = RawCallback("POST", "/notify", headers, body, datetime.now(UTC))
        evidence = self.adapter.open_callback(callback)
        assert evidence is not None
        assert evidence.order_id == self.order.order_id
        return evidence


@pytest.fixture
async def talk(merchant: Merchant, adapter: WalletAdapter) -> Talk:
    return Talk(adapter, merchant.client, order(Kind.PAYMENT))


async def test_a_payment_there_and_back(talk: Talk, merchant: Merchant, callbacks: Receiver) -> None:
    assert (await talk.ask()).trade is Trade.MISSING
    assert (await merchant.pay(talk.adapter.order_string(talk.order)))["result_code"] == "9000"
    await callbacks.received(1)
    told = talk.opened(callbacks.bodies[0])
    assert (told.trade, told.order_amount_minor, told.total_taken_minor) == (Trade.PAID, 50000, 50000)
    asked = await talk.ask()
    assert (asked.trade, asked.total_taken_minor, asked.trade_no) == (Trade.PAID, 50000, told.trade_no)
    talk.order = replace(talk.order, wallet_trade_no=told.trade_no, taken_minor=50000)
    refund = Operation("o1__B1", OperationKind.REFUND, 2000)
    assert (await talk.ask(refund)).outcome is not Outcome.SUCCEEDED
    assert (await talk.carry_out(refund)).outcome is Outcome.SUCCEEDED
    assert (await talk.ask(refund)).outcome is Outcome.SUCCEEDED
    await callbacks.received(2)
    assert talk.opened(callbacks.bodies[1]).request_no == "o1__B1"


async def test_a_close_there_and_back(talk: Talk, merchant: Merchant) -> None:
    close = Operation("o1__V1", OperationKind.CLOSE, 0)
    assert (await talk.carry_out(close)).outcome is not Outcome.SUCCEEDED
    await merchant.pay(talk.adapter.order_string(talk.order), "cancel")
    assert (await talk.ask()).trade is Trade.OPEN
    assert (await talk.carry_out(close)).outcome is Outcome.SUCCEEDED
    assert (await talk.ask()).trade is Trade.CLOSED


async def test_an_authorization_there_and_back(talk: Talk, merchant: Merchant, callbacks: Receiver) -> None:
    talk.order = order(Kind.PREAUTH)
    assert (await talk.ask()).trade is Trade.MISSING
    assert (await merchant.pay(talk.adapter.order_string(talk.order)))["result_code"] == "9000"
    await callbacks.received(1)
    told = talk.opened(callbacks.bodies[0])
    assert (told.trade, told.total_frozen_minor) == (Trade.FROZEN, 50000)
    talk.order = replace(talk.order, wallet_auth_no=told.auth_no, frozen_minor=50000)
    assert (await talk.ask()).total_frozen_minor == 50000
    capture = Operation("o1__C1", OperationKind.CAPTURE, 12000)
    assert (await talk.carry_out(capture)).outcome is Outcome.SUCCEEDED
    assert (await talk.ask(capture)).outcome is Outcome.SUCCEEDED
    await callbacks.received(2)
    assert talk.opened(callbacks.bodies[1]).request_no == "o1__C1"
    too_much = Operation("o1__C2", OperationKind.CAPTURE, 40000)
    assert (await talk.carry_out(too_much)).outcome is Outcome.REJECTED
    release = Operation("o1__R1", OperationKind.RELEASE, 38000)
    assert (await talk.carry_out(release)).outcome is Outcome.SUCCEEDED
    assert (await talk.ask(release)).outcome is Outcome.SUCCEEDED
    await callbacks.received(3)
    assert talk.opened(callbacks.bodies[2]).request_no == "o1__R1"
    entry = await merchant.ledger("o1")
    assert (entry["frozen_minor"], entry["taken_minor"], entry["released_minor"]) == (50000, 12000, 38000)
