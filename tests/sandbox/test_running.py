"""The sandbox as a program: its files, its restart, and who may control it."""

import asyncio
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import HTTPException, Request

from service.sandbox.app import run_sandbox
from service.sandbox.control import only_from_here
from service.sandbox.identity import kept_identity
from tests.sandbox.merchant import WAIT_S, Merchant


@asynccontextmanager
async def sandbox(folder: Path | None, port: int | None = None) -> AsyncIterator[str]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    notify_url = "http://127.0.0.1:9/wallets/sandbox/notify"
    task = asyncio.create_task(run_sandbox(port, folder, notify_url, ready.set_result, handle_signals=False))
    try:
        async with asyncio.timeout(WAIT_S):
            yield await ready
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_ledger_keys_and_address_survive_a_restart(tmp_path: Path) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        async with sandbox(tmp_path) as url:
            merchant = Merchant(kept_identity(tmp_path), url, "", client)
            order_str = merchant.payment("p1")
            await merchant.pay(order_str, callback="lose")
            before = await merchant.ledger("p1")
            profile = (tmp_path / "paystate.toml").read_text()
        async with sandbox(tmp_path) as again:
            assert again == url
            assert (tmp_path / "paystate.toml").read_text() == profile
            assert await merchant.ledger("p1") == before
            assert (await merchant.pay(order_str))["result_code"] == "4000"
            assert (await merchant.call("alipay.trade.query", {"out_trade_no": "p1"}))["code"] == "10000"


async def test_the_profile_is_for_its_owner_and_whole(tmp_path: Path) -> None:
    async with sandbox(tmp_path / "made") as url:
        table = tomllib.loads((tmp_path / "made" / "paystate.toml").read_text())["profiles"]["sandbox"]
    assert table["gateway_url"] == f"{url}/gateway.do"
    assert table["notify_url"] == "http://127.0.0.1:9/wallets/sandbox/notify"
    assert (table["dialect"], table["sign_type"], table["charset"]) == ("alipay", "RSA2", "utf-8")
    assert table["wallet_keys"][0]["public_key"]
    for path in (tmp_path / "made").iterdir():
        if path.suffix in {".toml", ".pem"}:
            assert path.stat().st_mode & 0o077 == 0, path.name


async def test_without_a_folder_everything_is_in_memory() -> None:
    async with sandbox(None) as url, httpx2.AsyncClient(trust_env=False) as client:
        assert "gateway" in (await client.get(url)).text
        assert (await client.get(f"{url}/health")).json() == {"status": "ok"}
        table = tomllib.loads((await client.get(f"{url}/sandbox/paystate.toml")).text)
        assert table["profiles"]["sandbox"]["gateway_url"] == f"{url}/gateway.do"


async def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    async with sandbox(None) as url:
        with pytest.raises(OSError, match="in use"):
            await run_sandbox(int(url.rpartition(":")[2]), tmp_path, None, print, handle_signals=False)


@pytest.mark.parametrize(("peer", "let_in"), [("127.0.0.1", True), ("::1", True), ("10.0.0.7", False), ("", False)])
def test_the_control_answers_to_this_machine_only(peer: str, let_in: bool) -> None:
    request = Request({"type": "http", "client": (peer, 1), "headers": []})
    if let_in:
        only_from_here(request)
    else:
        with pytest.raises(HTTPException):
            only_from_here(request)
