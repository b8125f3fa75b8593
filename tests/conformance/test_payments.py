"""A payment's stories."""

from dataclasses import replace

from schemas.vocabulary import Flag, Kind, State
from tests.conformance.shop import AMOUNT, NOTHING_MOVED, PAY_TIMEOUT_S, POLICY, Shop

PAST_THE_DEADLINE_S = PAY_TIMEOUT_S + POLICY.pay_grace_s + 1
PAID = NOTHING_MOVED | {"taken_minor": AMOUNT}


async def test_it_is_paid(shop: Shop) -> None:
    await shop.has_paid()
    assert shop.money == PAID
    assert shop.path == [State.CREATED, State.PAYING, State.PAID]
    assert shop.now_is.wallet_trade_no


async def test_a_lost_callback_is_found_by_a_question(shop: Shop) -> None:
    await shop.creates(Kind.PAYMENT)
    await shop.buyer(callback="lose")
    await shop.sleeps(POLICY.first_query_s + 1)
    await shop.rests(State.PAID)
    assert (shop.money, shop.callbacks) == (PAID, [])


async def test_a_callback_that_comes_twice_counts_once(shop: Shop) -> None:
    await shop.creates(Kind.PAYMENT)
    await shop.buyer(callback="twice")
    await shop.rests(State.PAID)
    await shop.faults(repeat_callbacks=1.0, delay_s=0.01)
    await shop.refunds(2_000)
    await shop.rests(State.PARTIALLY_REFUNDED)
    assert shop.money == PAID | {"refunded_minor": 2_000}


async def test_one_that_nobody_looked_at_expires_by_a_confirmed_close(shop: Shop) -> None:
    await shop.creates(Kind.PAYMENT)
    await shop.sleeps(PAST_THE_DEADLINE_S)
    await shop.rests(State.EXPIRED)
    assert shop.path[-2:] == [State.EXPIRING, State.EXPIRED]
    assert len(await shop.requests("close")) == 1
    assert await shop.buyer() == "4000"


async def test_one_that_the_buyer_walked_away_from_expires_by_a_confirmed_close(shop: Shop) -> None:
    await shop.creates(Kind.PAYMENT)
    assert await shop.buyer("cancel") == "6001"
    await shop.sleeps(PAST_THE_DEADLINE_S)
    await shop.rests(State.EXPIRED)
    (row,) = await shop.ledger()
    assert row["closed"]
    assert await shop.buyer() == "4000"


async def test_one_that_is_cancelled_is_closed_at_the_wallet_first(shop: Shop) -> None:
    await shop.creates(Kind.PAYMENT)
    await shop.buyer("cancel")
    await shop.cancels()
    await shop.rests(State.CLOSED)
    assert shop.path[-2:] == [State.EXPIRING, State.CLOSED]
    assert await shop.buyer() == "4000"


async def test_a_close_that_comes_after_the_payment_loses_nothing(shop: Shop) -> None:
    """Alipay refuses it; Alipay+ gives the money back. Either way the order knows."""
    await shop.creates(Kind.PAYMENT)
    await shop.buyer(callback="lose")
    await shop.cancels()
    await shop.until(lambda order: order.state in (State.PAID, State.REFUNDED))
    by_wallet = frozenset({Flag.REFUND_BY_WALLET})
    flags = by_wallet if shop.now_is.state is State.REFUNDED else frozenset[Flag]()
    await shop.rests(shop.now_is.state, flags=flags)
    assert shop.now_is.taken_minor == AMOUNT


async def test_a_late_payment_goes_back(shop: Shop) -> None:
    await shop.creates(Kind.PAYMENT)
    await shop.sleeps(PAST_THE_DEADLINE_S)
    await shop.rests(State.EXPIRED)
    assert await shop.buyer(force=True) == "9000"
    await shop.rests(State.REFUNDED, flags=frozenset({Flag.LATE_PAYMENT}))
    assert shop.money == PAID | {"refunded_minor": AMOUNT}


async def test_it_is_refunded_in_parts(shop: Shop) -> None:
    await shop.has_paid()
    await shop.refunds(2_000)
    await shop.rests(State.PARTIALLY_REFUNDED)
    await shop.refunds(AMOUNT)
    await shop.rests(State.PARTIALLY_REFUNDED)
    await shop.refunds(AMOUNT - 2_000)
    await shop.rests(State.REFUNDED)
    assert [(each["amount_minor"], each["times_seen"]) for each in await shop.requests("refund")] == [
        (2_000, 1),
        (AMOUNT - 2_000, 1),
    ]


async def test_a_wrong_amount_is_flagged_not_booked(shop: Shop) -> None:
    await shop.creates(Kind.PAYMENT)
    assert await shop.buyer(order=replace(shop.now_is, amount_minor=AMOUNT - 1)) == "9000"
    await shop.until(lambda order: Flag.AMOUNT_MISMATCH in order.flags)
    await shop.sleeps(POLICY.first_query_s + 1)
    assert (shop.now_is.state, shop.money) == (State.PAYING, NOTHING_MOVED)


async def test_a_forged_callback_is_refused_and_moves_nothing(shop: Shop) -> None:
    await shop.has_paid()
    (genuine,) = shop.callbacks
    address = shop.now_is.profile
    bridge = str(shop.adapter.profile.notify_url)  # type: ignore[attr-defined]
    forgeries = [
        genuine.body.replace(b"o1", b"o2"),
        genuine.body.replace(b"500", b"900"),
        genuine.body + b"&",
        b"",
        b"{}",
    ]
    for body in forgeries:
        reply = await shop.client.post(bridge, content=body, headers=_own(genuine.headers))
        assert (reply.status_code, reply.content) == (400, b"fail")
    without = {name: text for name, text in _own(genuine.headers).items() if name != "signature"}
    stripped = genuine.body.partition(b"&sign=")[0]
    assert (await shop.client.post(bridge, content=stripped, headers=without)).status_code == 400
    assert (await shop.client.post(f"{bridge}x", content=genuine.body)).status_code == 404
    # What the wallet has really said may come again, and says nothing new.
    again = await shop.client.post(bridge, content=genuine.body, headers=_own(genuine.headers))
    assert (again.status_code, again.content) == (200, shop.adapter.success_answer)
    assert (shop.money, shop.now_is.profile) == (PAID, address)


def _own(headers: object) -> dict[str, str]:
    """The headers that a wallet makes, without those of the connection."""
    assert isinstance(headers, dict)
    return {name: text for name, text in headers.items() if name not in ("host", "content-length", "connection")}
