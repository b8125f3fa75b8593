"""The reconciler asks once at a time, and once more for whoever wanted to know meanwhile."""

import asyncio
from typing import Any

from schemas.vocabulary import Kind
from service.dispatch.reconciler import Reconciler
from statemachine.inputs import EvidenceSource, Trade, WalletEvidence
from tests.wallets import orders
from tests.wallets.vectors import NOW


class _Carrier:
    """A wallet whose answers wait until they are let go, in turn."""

    def __init__(self) -> None:
        self.questions: list[asyncio.Future[WalletEvidence]] = []

    async def ask(self, *_: Any) -> WalletEvidence:
        self.questions.append(asyncio.get_running_loop().create_future())
        return await self.questions[-1]

    async def answer(self, refunded_minor: int) -> None:
        said = WalletEvidence(
            None, NOW, EvidenceSource.QUERY, "o1", trade=Trade.PAID, total_refunded_minor=refunded_minor
        )
        self.questions[-1].set_result(said)
        for _ in range(5):
            await asyncio.sleep(0)


def _reconciler(carrier: _Carrier, told: list[Any]) -> Reconciler:
    async def submit(*given: Any) -> None:
        told.append(given[1].total_refunded_minor)

    order = orders.order(Kind.PAYMENT)
    return Reconciler({order.profile: object()}, carrier, submit, None)  # type: ignore[arg-type, dict-item]


async def test_what_is_wanted_while_a_question_is_under_way_is_asked_once_more() -> None:
    carrier, told = _Carrier(), list[Any]()
    reconciler, order = _reconciler(carrier, told), orders.order(Kind.PAYMENT)
    reconciler.ask(order)
    await asyncio.sleep(0)
    # Of these, one question is enough; but not the one whose answer may be on its way.
    reconciler.ask(order)
    reconciler.ask(order)
    await asyncio.sleep(0)
    assert len(carrier.questions) == 1
    await carrier.answer(96)
    assert len(carrier.questions) == 2
    await carrier.answer(97)
    assert len(carrier.questions) == 2
    assert told == [96, 97]


async def test_a_reconciler_that_is_stopped_asks_nobody_again() -> None:
    carrier = _Carrier()
    reconciler, order = _reconciler(carrier, []), orders.order(Kind.PAYMENT)
    reconciler.ask(order)
    await asyncio.sleep(0)
    reconciler.ask(order)
    await reconciler.stop()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(carrier.questions) == 1
