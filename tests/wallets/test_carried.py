"""Answers as they come over HTTP: what nothing can be learned from is told to an operator."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from schemas.vocabulary import Kind, Outcome
from service.clock import RandomIds, SystemClock
from service.dispatch import carrier as carrier_module
from service.dispatch.carrier import Carrier
from service.dispatch.dispatcher import Dispatcher, RetrySchedule
from service.wallets.adapter import WalletAnswer
from statemachine.inputs import Input, OperationAttempted, OperationGivenUp, WalletEvidence
from statemachine.order import Order
from tests.logs import logs_of
from tests.wallets.orders import CAPTURE, answered, order
from tests.wallets.vectors import adapter

PAY = "alipay.trade.pay"
PAID = {"code": "10000", "out_trade_no": "o1__C1", "trade_no": "t1", "total_amount": "120.00"}


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return logs_of(carrier_module, monkeypatch)


async def carried(answer: WalletAnswer, logs: list[Any]) -> tuple[Outcome | None, list[tuple[str, int, str]]]:
    """The outcome of a capture that is answered so, and what was logged of it."""

    def reply(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(answer.status, content=answer.body)

    logs.clear()
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(reply)) as client:
        said = await Carrier(client).call(adapter(), order(Kind.PREAUTH), CAPTURE, SystemClock())
    return said.outcome, [(log["log_level"], log["status"], log["code"]) for log in logs]


async def test_an_answer_that_says_nothing_is_logged_with_its_code(logs: list[Any]) -> None:
    configuration = answered(PAY, {"code": "40002", "sub_code": "isv.invalid-signature"}, name="error_response")
    assert await carried(configuration, logs) == (Outcome.UNKNOWN, [("error", 200, "isv.invalid-signature")])
    unsigned = answered(PAY, {"code": "20000", "sub_code": "aop.unknow-error"}, signed=False)
    told = "not believed: unsigned aop.unknow-error"
    assert await carried(unsigned, logs) == (Outcome.UNKNOWN, [("warning", 200, told)])
    page = WalletAnswer(502, {}, b"<html>")
    assert await carried(page, logs) == (Outcome.UNKNOWN, [("warning", 502, "HTTP 502")])


async def test_an_answer_that_says_something_is_not_logged(logs: list[Any]) -> None:
    assert await carried(answered(PAY, json.dumps(PAID)), logs) == (Outcome.SUCCEEDED, [])
    assert await carried(answered(PAY, {"code": "40005"}), logs) == (Outcome.PENDING, [])


async def test_a_call_that_our_configuration_keeps_out_is_not_repeated_but_told_to_a_person() -> None:
    sent: list[str] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.url.params["method"])
        node = {"code": "40006", "sub_code": "isv.insufficient-isv-permissions"}
        return httpx2.Response(200, content=answered(sent[-1], node).body)

    told: list[Input] = []
    given_up = asyncio.Event()

    async def submit(_order_id: str, given: Input, _cause: str, _trace: str | None) -> Order:
        told.append(given)
        if isinstance(given, OperationGivenUp):
            given_up.set()
        return live

    live = order(Kind.PREAUTH, operation=CAPTURE)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(reply)) as client:
        schedule = RetrySchedule(first_s=0.001)
        dispatcher = Dispatcher(
            0, {"mall": adapter()}, Carrier(client), submit, SystemClock(), RandomIds(), schedule
        )
        dispatcher.start(live, CAPTURE)
        async with asyncio.timeout(10):
            await given_up.wait()
        await dispatcher.stop()
    assert sent == [PAY]
    assert [type(each) for each in told] == [OperationAttempted, WalletEvidence, OperationGivenUp]


async def test_a_silent_wallet_keeps_no_other_waiting_and_questions_keep_no_calls_waiting() -> None:
    async def reply(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "silent.example":
            await asyncio.sleep(60)
        return httpx2.Response(200, content=answered(PAY, json.dumps(PAID)).body)

    silent = adapter(gateway_url="https://silent.example/gateway.do")
    of_silent, of_mall = order(Kind.PREAUTH, profile="silent"), order(Kind.PREAUTH, profile="mall")
    clock = SystemClock()
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(reply)) as client:
        carrier = Carrier(client)
        waiting = [asyncio.create_task(carrier.ask(silent, of_silent, None, clock)) for _ in range(200)]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            assert (await carrier.call(adapter(), of_mall, CAPTURE, clock)).outcome is Outcome.SUCCEEDED
            # Of the same wallet, once it answers again: not behind the 200.
            assert (await carrier.call(adapter(), of_silent, CAPTURE, clock)).outcome is Outcome.SUCCEEDED
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
