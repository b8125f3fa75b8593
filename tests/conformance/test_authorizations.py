"""A pre-authorization's stories."""

import pytest

from schemas.vocabulary import Flag, Kind, State
from tests.conformance.shop import AMOUNT, NOTHING_MOVED, Shop

FROZEN = NOTHING_MOVED | {"frozen_minor": AMOUNT}
RELEASED = FROZEN | {"released_minor": AMOUNT}


async def test_it_is_frozen_and_not_taken(shop: Shop) -> None:
    await shop.has_frozen()
    assert shop.money == FROZEN
    assert shop.now_is.wallet_auth_no


async def test_a_part_is_captured_and_the_rest_released(shop: Shop) -> None:
    await shop.has_frozen()
    await shop.completes(12_000)
    await shop.until(lambda order: order.held_minor == 0)
    await shop.rests(State.CAPTURED)
    assert shop.money == FROZEN | {"taken_minor": 12_000, "released_minor": 38_000}


async def test_several_captures(shop: Shop) -> None:
    await shop.has_frozen()
    for amount_minor in (10_000, 15_000):
        await shop.completes(amount_minor, final=False)
        await shop.rests(State.PARTIALLY_CAPTURED)
    await shop.completes(5_000)
    await shop.until(lambda order: order.held_minor == 0)
    await shop.rests(State.CAPTURED)
    assert shop.money == FROZEN | {"taken_minor": 30_000, "released_minor": 20_000}
    assert [each["amount_minor"] for each in await shop.requests("capture")] == [10_000, 15_000, 5_000]


async def test_a_completion_that_comes_first_waits(shop: Shop) -> None:
    await shop.creates(Kind.PREAUTH)
    await shop.completes(AMOUNT)
    await shop.faults(delay_s=0.05)
    assert await shop.buyer(callback="late") == "9000"
    await shop.until(lambda order: order.taken_minor == AMOUNT)
    await shop.rests(State.CAPTURED)


async def test_a_capture_is_rejected_when_the_wallet_had_let_go(shop: Shop) -> None:
    await shop.has_frozen()
    await shop.faults(lose_callbacks=1.0)
    await shop.wallet_releases()
    await shop.completes(12_000)
    await shop.until(lambda order: order.operation is None)
    assert Flag.CAPTURE_REJECTED in shop.now_is.flags
    await shop.sleeps(shop.now_is.authorization_timeout_s * 0.95)
    await shop.until(lambda order: order.state is State.EXPIRED)
    assert shop.money == RELEASED


@pytest.mark.parametrize("how", ["cancel", "nothing used", "timer"])
async def test_it_is_voided(shop: Shop, how: str) -> None:
    await shop.has_frozen()
    if how == "cancel":
        await shop.cancels()
    elif how == "nothing used":
        await shop.completes(0)
    else:
        await shop.sleeps(shop.now_is.authorization_timeout_s + 1)
    await shop.rests(State.EXPIRED if how == "timer" else State.VOIDED)
    assert shop.money == RELEASED


async def test_what_is_left_of_it_is_released_or_a_person_is_asked(shop: Shop) -> None:
    await shop.has_frozen()
    await shop.completes(12_000, final=False)
    await shop.rests(State.PARTIALLY_CAPTURED)
    await shop.cancels()
    if shop.dialect.releases_the_rest:
        await shop.rests(State.CAPTURED)
        assert shop.money == FROZEN | {"taken_minor": 12_000, "released_minor": 38_000}
        return
    # Its only call would give back what was captured, too: nothing is sent.
    await shop.until(lambda order: Flag.NEEDS_REVIEW in order.flags)
    assert await shop.requests("close") == []
    assert shop.money == FROZEN | {"taken_minor": 12_000}


async def test_a_late_authorization_is_released(shop: Shop) -> None:
    await shop.creates(Kind.PREAUTH)
    await shop.sleeps(2_000)
    await shop.rests(State.EXPIRED)
    assert await shop.buyer(force=True) == "9000"
    await shop.until(lambda order: order.released_minor == AMOUNT)
    await shop.rests(State.EXPIRED, flags=frozenset({Flag.LATE_AUTHORIZATION}))
    assert shop.money == RELEASED


async def test_what_was_captured_is_refunded_in_parts(shop: Shop) -> None:
    await shop.has_frozen()
    await shop.completes(AMOUNT)
    await shop.rests(State.CAPTURED)
    await shop.refunds(2_000)
    await shop.rests(State.PARTIALLY_REFUNDED)
    await shop.refunds(AMOUNT - 2_000)
    await shop.rests(State.REFUNDED)
    assert shop.money == FROZEN | {"taken_minor": AMOUNT, "refunded_minor": AMOUNT}
