"""Nobody knows whether the call arrived: it is asked about, and never done twice."""

import asyncio

import pytest

from schemas.vocabulary import Kind, OperationKind, Outcome, State
from statemachine.inputs import EvidenceSource
from statemachine.order import Operation
from tests.conformance.shop import AMOUNT, Shop

# What is asked of the wallet, how its ledger calls it, and where the order then stands.
CALLS = {
    "close": ("close", State.CLOSED),
    "capture": ("capture", State.CAPTURED),
    "release": ("release", State.VOIDED),
    "refund": ("refund", State.REFUNDED),
}


async def begins(shop: Shop, call: str) -> str:
    """Up to where the call is to be made; the kind by which the wallet's ledger knows it."""
    if call == "close":
        await shop.creates(Kind.PAYMENT)
        await shop.buyer("cancel")
    elif call == "refund":
        await shop.has_paid()
    else:
        await shop.has_frozen()
    by_cancel = call == "release" and shop.dialect.settings.get("release_call") == "cancel"
    return "close" if by_cancel else CALLS[call][0]


async def asks(shop: Shop, call: str) -> None:
    if call == "refund":
        await shop.refunds(AMOUNT)
    elif call == "capture":
        await shop.completes(AMOUNT)
    else:
        await shop.cancels()


@pytest.mark.parametrize("call", CALLS)
async def test_a_lost_answer_is_asked_about(shop: Shop, call: str) -> None:
    kind = await begins(shop, call)
    # No callback helps, either.
    await shop.faults(lose_answers=1.0, lose_callbacks=1.0, delay_s=0.01)
    await asks(shop, call)
    await shop.seen(kind)
    await shop.until(lambda order: order.operation is not None and order.operation.attempts > 0)
    await shop.faults()
    await shop.rests(CALLS[call][1])
    assert [each["times_seen"] for each in await shop.requests(kind)] == [1]


@pytest.mark.parametrize("call", CALLS)
async def test_an_error_that_may_hide_a_success(shop: Shop, call: str) -> None:
    kind = await begins(shop, call)
    await shop.faults(fail_calls=1.0, lose_callbacks=1.0)
    await asks(shop, call)
    await shop.seen(kind)
    await asyncio.sleep(0.1)
    await shop.faults()
    await shop.rests(CALLS[call][1])
    assert len(await shop.requests(kind)) == 1


@pytest.mark.parametrize("call", ["capture", "release", "refund"])
async def test_the_same_number_again_does_nothing_again(shop: Shop, call: str) -> None:
    kind = await begins(shop, call)
    shop.held = []
    await asks(shop, call)
    operation = shop.held[-1]
    replies = [await shop.carrier.call(shop.adapter, shop.now_is, operation, shop.clock) for _ in range(3)]
    assert {(each.outcome, each.source) for each in replies} == {(Outcome.SUCCEEDED, EvidenceSource.REPLY)}
    assert [each["times_seen"] for each in await shop.requests(kind)] == [3]
    shop.held = None
    await shop.submit("o1", replies[0], "wallet_reply")
    await shop.rests(CALLS[call][1])


async def test_the_same_number_for_another_amount_is_not_taken(shop: Shop) -> None:
    await shop.has_frozen()
    one, other = (Operation("o1__C1", OperationKind.CAPTURE, amount) for amount in (10_000, 12_000))
    assert (await shop.carrier.call(shop.adapter, shop.now_is, one, shop.clock)).outcome is Outcome.SUCCEEDED
    said = await shop.carrier.call(shop.adapter, shop.now_is, other, shop.clock)
    # A fault of ours, which leaves open what happened under the number.
    assert said.outcome is Outcome.UNKNOWN
    (row,) = await shop.ledger()
    assert row["taken_minor"] == 10_000
