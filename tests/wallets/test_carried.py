"""Answers as they come over HTTP: what nothing can be learned from is told to an operator."""

import asyncio
import json

import httpx2
from structlog.testing import capture_logs

from schemas.vocabulary import Kind, Outcome
from service.clock import SystemClock
from service.dispatch.carrier import Carrier
from service.wallets.adapter import WalletAnswer
from tests.wallets.orders import CAPTURE, answered, order
from tests.wallets.vectors import adapter

PAY = "alipay.trade.pay"
PAID = {"code": "10000", "out_trade_no": "o1__C1", "trade_no": "t1", "total_amount": "120.00"}


async def carried(answer: WalletAnswer) -> tuple[Outcome | None, list[tuple[str, int, str]]]:
    """The outcome of a capture that is answered so, and what was logged of it."""

    def reply(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(answer.status, content=answer.body)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(reply)) as client:
        carrier = Carrier(client, asyncio.Semaphore(1))
        with capture_logs() as logs:
            said = await carrier.call(adapter(), order(Kind.PREAUTH), CAPTURE, SystemClock())
    return said.outcome, [(log["log_level"], log["status"], log["code"]) for log in logs]


async def test_an_answer_that_says_nothing_is_logged_with_its_code() -> None:
    configuration = answered(PAY, {"code": "40002", "sub_code": "isv.invalid-signature"}, name="error_response")
    assert await carried(configuration) == (Outcome.UNKNOWN, [("warning", 200, "isv.invalid-signature")])
    unsigned = answered(PAY, {"code": "20000", "sub_code": "aop.unknow-error"}, signed=False)
    told = "not believed: unsigned aop.unknow-error"
    assert await carried(unsigned) == (Outcome.UNKNOWN, [("warning", 200, told)])
    assert await carried(WalletAnswer(502, {}, b"<html>")) == (Outcome.UNKNOWN, [("warning", 502, "HTTP 502")])


async def test_an_answer_that_says_something_is_not_logged() -> None:
    assert await carried(answered(PAY, json.dumps(PAID))) == (Outcome.SUCCEEDED, [])
    assert await carried(answered(PAY, {"code": "40005"})) == (Outcome.PENDING, [])
