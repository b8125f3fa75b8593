"""The demo's orders: each a story of a few lines, and the state in which it must end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from schemas.vocabulary import State, Trigger
from service.sandbox.demo.shop import NotSettledError, Shop

MUG_MINOR = 450
DEPOSIT_MINOR = 10_000
FEE_MINOR = 7_000
# The shortest that an order may wait for its buyer.
SOON_S = 5


@dataclass(frozen=True, slots=True)
class Story:
    """One order's story. `alone`: while it runs the wallet goes wrong for everyone."""

    order_id: str
    title: str
    run: Callable[[Shop, str], Awaitable[None]]
    alone: bool = False


async def _pays(shop: Shop, order_id: str) -> None:
    order_str = await shop.order(order_id, "payment", MUG_MINOR, "A mug")
    await shop.buyer_confirms(order_str)
    await shop.state(order_id, State.PAID)


async def _rents(shop: Shop, order_id: str) -> None:
    order_str = await shop.create(order_id, "preauth", DEPOSIT_MINOR, "A power bank")
    await shop.buyer_confirms(order_str)
    await shop.state(order_id, State.AUTHORIZED)
    await shop.complete(order_id, FEE_MINOR)
    await shop.state(order_id, State.CAPTURED)


async def _expires(shop: Shop, order_id: str) -> None:
    await shop.create(order_id, "payment", MUG_MINOR, "A mug that nobody buys", pay_timeout_s=SOON_S)
    await shop.state(order_id, State.EXPIRED)


async def _pays_late(shop: Shop, order_id: str) -> None:
    order_str = await shop.create(order_id, "payment", MUG_MINOR, "A mug, paid too late", pay_timeout_s=SOON_S)
    await shop.state(order_id, State.EXPIRED)
    await shop.buyer_confirms(order_str, force=True)
    await shop.state(order_id, State.REFUNDED)


async def _completes_early(shop: Shop, order_id: str) -> None:
    order_str = await shop.create(order_id, "preauth", DEPOSIT_MINOR, "A power bank, returned at once")
    await shop.complete(order_id, FEE_MINOR)
    await shop.seen(order_id, Trigger.SERVICE_COMPLETED)
    await shop.buyer_confirms(order_str)
    await shop.state(order_id, State.CAPTURED)


async def _loses_callback(shop: Shop, order_id: str) -> None:
    order_str = await shop.create(order_id, "payment", MUG_MINOR, "A mug whose callback is lost")
    await shop.buyer_confirms(order_str, callback="lose")
    await shop.state(order_id, State.PAID)


async def _loses_answer(shop: Shop, order_id: str) -> None:
    order_str = await shop.create(order_id, "preauth", DEPOSIT_MINOR, "A power bank whose capture's answer is lost")
    await shop.buyer_confirms(order_str)
    await shop.state(order_id, State.AUTHORIZED)
    await shop.wallet_goes_wrong(lose_answers=1.0, lose_callbacks=1.0)
    await shop.complete(order_id, FEE_MINOR)
    await shop.seen(order_id, Trigger.OPERATION_UNKNOWN)
    await shop.wallet_goes_wrong()
    await shop.state(order_id, State.CAPTURED)
    (row,) = [row for row in await shop.ledger() if row["order_id"] == order_id]
    captures = [request for request in row["requests"] if request["kind"] == "capture"]
    if [request["times_seen"] for request in captures] != [1]:
        raise NotSettledError(f"the wallet was asked to capture {captures}, which should be once")


STORIES = (
    Story("mug_1", "General payment, ordered over HTTP: the buyer pays", _pays),
    Story("bank_1", "Pre-authorization: 100.00 frozen, 70.00 captured, 30.00 released", _rents),
    Story("mug_2", "Nobody pays: closed at the wallet first, then expired", _expires),
    Story("mug_3", "Paid after it had expired: refunded", _pays_late),
    Story("bank_2", "The service's completion comes before the authorization", _completes_early),
    Story("mug_4", "The wallet's callback is lost: found by asking", _loses_callback),
    Story(
        "bank_3",
        "The answer to the capture is lost: asked about, and not captured twice",
        _loses_answer,
        alone=True,
    ),
)
