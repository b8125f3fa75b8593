"""Antom's SDK speaks Alipay+ with the sandbox, and verifies what both of us sign."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest

from schemas.vocabulary import Kind
from service.clock import SystemClock
from service.sandbox.identity import Identity
from service.wallets.adapter import CallbackRefusedError, RawCallback
from service.wallets.alipay_plus.headers import signed_headers
from tests.peers.conftest import Shop
from tests.peers.environments import python_peer
from tests.peers.peer import Peer, PeerError
from tests.wallets import orders

NOTIFY_PATH = "/wallets/sandbox_plus/notify"
WAIT_S = 15.0


@pytest.fixture
def command() -> list[str]:
    return python_peer("global-open-sdk-python")


def yuan(minor: int) -> dict[str, str]:
    return {"currency": "CNY", "value": str(minor)}


async def has_paid(shop: Shop, kind: Kind) -> None:
    order = orders.order(kind, profile="sandbox_plus", issued_at=SystemClock().now())
    assert await shop.buyer(shop.adapters["sandbox_plus"].order_string(order)) == "9000"


async def call(peer: Peer, name: str, **fields: Any) -> dict[str, Any]:
    answer = dict(await peer.ask("call", name=name, fields=fields))
    assert answer["result"]["resultStatus"] == "S", answer
    return answer


async def verifies(peer: Peer, callback: RawCallback, **other: str) -> bool:
    headers = callback.headers
    given = {"time": headers["request-time"], "body": callback.body.decode(), "signature": headers["signature"]}
    try:
        return bool(await peer.ask("verifies", path=callback.path, **given | other))
    except PeerError:
        return False


async def told(shop: Shop, peer: Peer, count: int) -> dict[str, str | None]:
    """The order that each kind of callback is about, each verified by the peer and by us."""
    async with asyncio.timeout(WAIT_S):
        while len(shop.callbacks) < count:
            await asyncio.sleep(0.01)
    said = {}
    for callback in shop.callbacks:
        assert await verifies(peer, callback)
        assert not await verifies(peer, callback, body=callback.body.decode().replace("SUCCESS", "FAILURE"))
        evidence = shop.adapters["sandbox_plus"].open_callback(callback)
        said[json.loads(callback.body)["notifyType"]] = evidence.order_id if evidence else None
    assert len(said) == count
    return said


async def test_an_authorization_is_captured_and_refunded(command: list[str], shop: Shop) -> None:
    await has_paid(shop, Kind.PREAUTH)
    async with shop.antom(command) as peer:
        found = await call(peer, "inquiryPayment", payment_request_id="o1__F1")
        assert (found["paymentStatus"], found["paymentAmount"]) == ("SUCCESS", yuan(50_000))
        capture = {"capture_request_id": "o1__C1", "payment_id": found["paymentId"]}
        await call(peer, "capture", **capture, capture_amount=yuan(32_000), is_last_capture=False)
        refund = {"refund_request_id": "o1__B1", "payment_id": found["paymentId"]}
        await call(peer, "refund", **refund, refund_amount=yuan(2_000))
        refunded = await call(peer, "inquiryRefund", refund_request_id="o1__B1")
        assert (refunded["refundStatus"], refunded["refundAmount"]) == ("SUCCESS", yuan(2_000))
        assert await told(shop, peer, 3) == dict.fromkeys(
            ("PAYMENT_RESULT", "CAPTURE_RESULT", "REFUND_RESULT"), "o1"
        )
    row = await shop.ledger("o1")
    assert (row["frozen_minor"], row["taken_minor"], row["released_minor"], row["refunded_minor"]) == (
        50_000, 32_000, 0, 2_000,
    )  # fmt: skip


async def test_an_authorization_is_cancelled(command: list[str], shop: Shop) -> None:
    await has_paid(shop, Kind.PREAUTH)
    async with shop.antom(command) as peer:
        await call(peer, "cancel", payment_request_id="o1__F1")
        found = await call(peer, "inquiryPayment", payment_request_id="o1__F1")
        assert found["paymentStatus"] == "CANCELLED"
        # A cancel has no number of ours, so what it gives back goes under the wallet's.
        assert await told(shop, peer, 2) == {"PAYMENT_RESULT": "o1", "VOID_RESULT": None}
    row = await shop.ledger("o1")
    assert (row["taken_minor"], row["released_minor"], row["closed"]) == (0, 50_000, True)


async def test_it_signs_a_pay_call_as_our_order_strings_do(command: list[str], shop: Shop) -> None:
    order = orders.order(Kind.PAYMENT, profile="sandbox_plus", issued_at=SystemClock().now())
    ours = dict(parse_qsl(shop.adapters["sandbox_plus"].order_string(order), strict_parsing=True))
    async with shop.antom(command) as peer:
        theirs = await peer.ask("signs", path=ours["path"], time=ours["request_time"], body=ours["body"])
    assert dict(parse_qsl(f"signature={theirs}")) == {"signature": ours["signature"]}


async def test_a_strangers_answer_is_not_believed(command: list[str], shop: Shop, stranger: Identity) -> None:
    async with shop.antom(command, wallet_key=stranger.wallet_public_pem) as peer:
        with pytest.raises(PeerError, match="verify failed"):
            await peer.ask("call", name="inquiryPayment", fields={"payment_request_id": "o1"})


async def test_a_spliced_time_is_ours_to_refuse(command: list[str], shop: Shop) -> None:
    """The peer takes anything for a time, so the same signed bytes can be cut elsewhere, into another body."""
    inner = b'{"notifyType":"PAYMENT_RESULT","paymentRequestId":"o1"}'
    body = b'{"remark":"a.' + inner + b'"}'
    url, now = f"{shop.url}{NOTIFY_PATH}", SystemClock().now()
    headers = signed_headers(shop.identity.wallet_private_key, shop.identity.client_id, url, now, body)
    before, _, rest = body.partition(b".")
    spliced = headers | {"request-time": f"{headers['request-time']}.{before.decode()}"}
    forged = RawCallback("POST", NOTIFY_PATH, spliced, rest, now)
    async with shop.antom(command) as peer:
        assert await verifies(peer, forged)
    with pytest.raises(CallbackRefusedError, match="not a time"):
        shop.adapters["sandbox_plus"].open_callback(forged)
