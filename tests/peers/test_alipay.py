"""Three SDKs of Alipay's OpenAPI go through a payment's and an authorization's life at the sandbox's gateway."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from service.clock import SystemClock
from service.sandbox.identity import Identity
from service.wallets.adapter import CallbackRefusedError, RawCallback
from service.wallets.by_hand import MadeOrderString, WalletByHand
from service.wallets.parameters import base_string, encode_form
from service.wallets.signatures import SignType, sign
from service.wallets.workbench import by_hand
from statemachine.inputs import WalletEvidence
from tests.peers.conftest import Shop, public
from tests.peers.environments import in_zone, node_peer, python_peer
from tests.peers.peer import Peer, PeerError

PEERS: dict[str, Callable[[str], list[str]]] = {
    "python-alipay-sdk": python_peer,
    "alipay-sdk-python": python_peer,
    "alipay-sdk": node_peer,
}
PAYMENT = {
    "out_trade_no": "p1",
    "total_amount": "12.50",
    "subject": "充电 50% off & more",
    "product_code": "QUICK_MSECURITY_PAY",
    "timeout_express": "15m",
}
FREEZE = {
    "out_order_no": "b1",
    "out_request_no": "b1__F1",
    "amount": "500.00",
    "order_title": "预授权",
    "pay_timeout": "15m",
    "product_code": "PRE_AUTH_ONLINE",
}
PAY, APP_FREEZE = "alipay.trade.app.pay", "alipay.fund.auth.order.app.freeze"
DETAIL = "alipay.fund.auth.operation.detail.query"
WAIT_S = 15.0


@pytest.fixture(params=PEERS)
def command(request: pytest.FixtureRequest) -> list[str]:
    return PEERS[request.param](request.param)


def ours(shop: Shop) -> WalletByHand:
    return by_hand("sandbox", shop.profiles["sandbox"])


def made(shop: Shop, method: str, biz: dict[str, Any]) -> MadeOrderString:
    return ours(shop).order_string(biz, method, SystemClock().now())


def form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("ascii"), strict_parsing=True))


async def told(shop: Shop, peer: Peer, count: int) -> list[WalletEvidence]:
    """What so many callbacks say, each of which the peer has verified, and so have we."""
    async with asyncio.timeout(WAIT_S):
        while len(shop.callbacks) < count:
            await asyncio.sleep(0.01)
    assert len(shop.callbacks) == count
    said = []
    for callback in shop.callbacks:
        params = form(callback.body)
        assert await peer.ask("verifies", params=params)
        assert not await verifies(peer, params | {"seller_id": "2088"})
        evidence = shop.adapters["sandbox"].open_callback(callback)
        assert evidence is not None
        said.append(evidence)
    return said


async def verifies(peer: Peer, params: dict[str, str]) -> bool:
    """Some peers say no, some raise."""
    try:
        return bool(await peer.ask("verifies", params=params))
    except PeerError:
        return False


async def test_a_payment_is_queried_and_refunded(command: list[str], shop: Shop) -> None:
    async with shop.alipay(command) as peer:
        assert await shop.buyer(made(shop, PAY, PAYMENT).order_str) == "9000"
        found = await peer.call("alipay.trade.query", {"out_trade_no": "p1"})
        assert (found["code"], found["trade_status"], found["total_amount"]) == ("10000", "TRADE_SUCCESS", "12.50")
        wish = {"out_trade_no": "p1", "out_request_no": "p1__B1", "refund_amount": "2.50"}
        for change in ("Y", "N"):
            refund = await peer.call("alipay.trade.refund", wish)
            assert (refund["code"], refund["fund_change"], refund["refund_fee"]) == ("10000", change, "2.50")
        question = {"out_trade_no": "p1", "out_request_no": "p1__B1"}
        refund = await peer.call("alipay.trade.fastpay.refund.query", question)
        assert (refund["refund_status"], refund["refund_amount"]) == ("REFUND_SUCCESS", "2.50")
        said = await told(shop, peer, 2)
    # In whatever order they came.
    assert {(each.total_taken_minor, each.total_refunded_minor or 0) for each in said} == {(1250, 0), (1250, 250)}
    row = await shop.ledger("p1")
    assert (row["taken_minor"], row["refunded_minor"]) == (1250, 250)
    (refund,) = [each for each in row["requests"] if each["kind"] == "refund"]
    assert (refund["request_no"], refund["amount_minor"], refund["times_seen"]) == ("p1__B1", 250, 2)


async def test_an_unpaid_trade_is_closed(command: list[str], shop: Shop) -> None:
    async with shop.alipay(command) as peer:
        assert await shop.buyer(made(shop, PAY, PAYMENT).order_str, "cancel") == "6001"
        found = await peer.call("alipay.trade.query", {"out_trade_no": "p1"})
        assert found["trade_status"] == "WAIT_BUYER_PAY"
        assert (await peer.call("alipay.trade.close", {"out_trade_no": "p1"}))["code"] == "10000"
        missing = await peer.call("alipay.trade.query", {"out_trade_no": "p2"})
        assert (missing["code"], missing["sub_code"]) == ("40004", "ACQ.TRADE_NOT_EXIST")
    row = await shop.ledger("p1")
    assert (row["closed"], row["taken_minor"]) == (True, 0)


async def test_frozen_money_is_captured_and_released(command: list[str], shop: Shop) -> None:
    async with shop.alipay(command) as peer:
        assert await shop.buyer(made(shop, APP_FREEZE, FREEZE).order_str) == "9000"
        freeze = await peer.call(DETAIL, {"out_order_no": "b1", "out_request_no": "b1__F1"})
        assert (freeze["operation_type"], freeze["status"], freeze["amount"]) == ("FREEZE", "SUCCESS", "500.00")
        capture = {
            "out_trade_no": "b1__C1",
            "auth_no": freeze["auth_no"],
            "total_amount": "320.00",
            "subject": "充电",
            "product_code": "PRE_AUTH_ONLINE",
            "auth_confirm_mode": "NOT_COMPLETE",
        }
        assert (await peer.call("alipay.trade.pay", capture))["total_amount"] == "320.00"
        release = {
            "auth_no": freeze["auth_no"],
            "out_request_no": "b1__R1",
            "amount": "180.00",
            "remark": "the rest",
        }
        released = await peer.call("alipay.fund.auth.order.unfreeze", release)
        assert (released["status"], released["amount"]) == ("SUCCESS", "180.00")
        found = await peer.call(DETAIL, {"auth_no": freeze["auth_no"], "out_request_no": "b1__R1"})
        assert (found["operation_type"], found["rest_amount"], found["total_pay_amount"]) == (
            "UNFREEZE", "0.00", "320.00",
        )  # fmt: skip
        said = await told(shop, peer, 3)
    assert {each.order_id for each in said} == {"b1"}
    assert {each.request_no for each in said} == {None, "b1__C1", "b1__R1"}
    row = await shop.ledger("b1")
    assert (row["frozen_minor"], row["taken_minor"], row["released_minor"]) == (50_000, 32_000, 18_000)


async def test_order_strings_are_believed_on_both_sides(command: list[str], shop: Shop) -> None:
    # A wallet's eyes: the peer holds the app's public half where the wallet's would be.
    async with shop.alipay(command, wallet_key=public(shop.identity.app_private_pem)) as peer:
        for method, biz in ((PAY, PAYMENT), (APP_FREEZE, FREEZE)):
            params = form(made(shop, method, biz).order_str.encode())
            assert await peer.ask("verifies_order_string", params=params)
            theirs = await peer.ask("order_string", method=method, biz=biz)
            found = ours(shop).examine_order_string(theirs.encode())
            assert (found.ok, found.signature, found.biz_content) == (True, "verified", biz)
            assert await shop.buyer(theirs) == "9000"


async def test_our_callbacks_by_hand_are_believed(command: list[str], shop: Shop) -> None:
    fields = {
        "out_trade_no": "p1",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "12.50",
        "subject": "50% & more",
    }
    signed = by_hand("drill", shop.drills["sandbox"]).sign_callback(fields, SystemClock().now())
    async with shop.alipay(command) as peer:
        assert await verifies(peer, form(signed.body))
        assert not await verifies(peer, form(signed.body) | {"total_amount": "0.01"})


async def test_a_strangers_answer_is_not_believed(command: list[str], shop: Shop, stranger: Identity) -> None:
    """So the answers above were verified, not only read."""
    await shop.buyer(made(shop, PAY, PAYMENT).order_str)
    async with shop.alipay(command, wallet_key=stranger.wallet_public_pem) as peer:
        with pytest.raises(PeerError):
            await peer.call("alipay.trade.query", {"out_trade_no": "p1"})


# ------------------------------------------------------------------------- where a peer is weaker than we may be


@pytest.mark.parametrize("name", ["alipay-sdk-python", "alipay-sdk"])
async def test_a_callback_under_a_weaker_hash_is_ours_to_refuse(name: str, shop: Shop) -> None:
    """One takes the hash out of the signature, the other out of the message; ours is the profile's, RSA2."""
    fields = {"app_id": shop.identity.app_id, "out_trade_no": "p1", "notify_id": "n1", "charset": "utf-8"}
    signature = sign(shop.identity.wallet_private_key, base_string(fields, "utf-8"), SignType.RSA)
    params = fields | {"sign": signature, "sign_type": "RSA"}
    async with shop.alipay(PEERS[name](name)) as peer:
        assert await peer.ask("verifies", params=params)
    forged = RawCallback("POST", "/", {}, encode_form(params, "utf-8").encode(), SystemClock().now())
    with pytest.raises(CallbackRefusedError):
        shop.adapters["sandbox"].open_callback(forged)


async def test_an_order_string_of_another_time_zone_is_over_before_it_is_out(
    command: list[str], shop: Shop
) -> None:
    """The peers write the host's time, whatever its zone; ours is Beijing's everywhere."""
    async with shop.alipay([*command[:-2], *in_zone("UTC0"), *command[-2:]]) as peer:
        theirs = await peer.ask("order_string", method=PAY, biz=PAYMENT)
    assert ours(shop).examine_order_string(theirs.encode()).signature == "verified"
    assert await shop.buyer(theirs) == "4000"


async def test_a_brace_in_a_title_is_only_text_to_us(shop: Shop) -> None:
    """python-alipay-sdk counts braces without knowing strings, and then disbelieves a genuine answer."""
    await shop.buyer(made(shop, APP_FREEZE, FREEZE | {"order_title": "socket }"}).order_str)
    question = {"out_order_no": "b1", "out_request_no": "b1__F1"}
    async with shop.alipay(python_peer("python-alipay-sdk")) as peer:
        with pytest.raises(PeerError, match="AliPayValidationError"):
            await peer.call(DETAIL, question)
    assert (await shop.merchant.call(DETAIL, question))["order_title"] == "socket }"


async def test_a_percent_sign_breaks_npms_older_check(shop: Shop) -> None:
    """Its `checkNotifySign` decodes once more what was decoded; only the second version may be used."""
    await shop.buyer(made(shop, PAY, PAYMENT).order_str)
    async with shop.alipay(node_peer("alipay-sdk")) as peer:
        await told(shop, peer, 1)
        with pytest.raises(PeerError, match="URIError"):
            await peer.ask("verifies_decoding_twice", params=form(shop.callbacks[0].body))
