"""The gateway takes what real ones take, besides what our own adapter sends."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest

from service.clock import SystemClock
from service.sandbox.dialect import encode_form
from service.sandbox.plus.dialect import sign_message
from tests.sandbox.merchant import Merchant

QUESTION = {"out_trade_no": "p1"}


async def raw(merchant: Merchant, head: str, body: bytes = b"") -> bytes:
    """What is answered to a request that is written by hand."""
    place = urlsplit(merchant.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(
        f"{head}\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_call_may_be_a_get(merchant: Merchant) -> None:
    query = encode_form(merchant.signed("alipay.trade.query", QUESTION), "utf-8").decode()
    reply = await merchant.client.get(f"{merchant.url}/gateway.do?{query}")
    assert merchant.node(reply.text)["sub_code"] == "ACQ.TRADE_NOT_EXIST"


@pytest.mark.parametrize("authority", ["", "http://wallet.example", "HTTPS://wallet.example:443"])
async def test_a_request_line_may_be_absolute(merchant: Merchant, authority: str) -> None:
    query = encode_form(merchant.signed("alipay.trade.query", QUESTION), "utf-8").decode()
    answer = await raw(merchant, f"POST {authority}/gateway.do?{query} HTTP/1.1")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"ACQ.TRADE_NOT_EXIST" in body


async def test_an_absolute_request_line_without_a_path_is_the_first_page(merchant: Merchant) -> None:
    assert b"The sandbox wallet" in await raw(merchant, "GET http://wallet.example HTTP/1.1")


@pytest.mark.parametrize("prefix", ["/ams/api/v1", "/ams/sandbox/api/v1"])
async def test_antoms_sandbox_has_paths_of_its_own(merchant: Merchant, prefix: str) -> None:
    path, body = f"{prefix}/payments/inquiryPayment", json.dumps({"paymentRequestId": "o1"}).encode()
    client_id, now = merchant.identity.client_id, SystemClock().now()
    headers = sign_message(merchant.key, client_id, path, body, time_name="request-time", now=now)
    reply = await merchant.client.post(merchant.url + path, content=body, headers=headers)
    assert reply.json()["result"]["resultCode"] == "ORDER_NOT_EXIST"
