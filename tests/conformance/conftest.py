"""A shop and the sandbox wallet, talking over loopback, once for each dialect."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.config import load
from service.http.bridge import create_app as create_bridge
from service.sandbox.app import create_app as create_sandbox
from service.sandbox.identity import Identity, fresh_identity, write_profile
from service.sandbox.ledger import Ledger
from service.sandbox.severing import SeverableProtocol
from service.wallets.registry import build_adapters
from tests.conformance.dialects import DIALECTS, Dialect
from tests.conformance.shop import Shop
from tests.sandbox.merchant import MovableClock, running


@pytest.fixture(scope="session")
def identity() -> Identity:
    return fresh_identity()


@pytest.fixture(params=DIALECTS, ids=str)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    chosen: Dialect = request.param
    return chosen


@pytest.fixture
async def shop(dialect: Dialect, identity: Identity, tmp_path: Path) -> AsyncIterator[Shop]:
    clock = MovableClock()
    shop = Shop(dialect, clock)
    bridge = create_bridge(shop.adapters, shop.publish, clock.now)
    async with running(bridge) as bridge_url:
        known = replace(identity, notify_url=f"{bridge_url}/wallets/sandbox/notify")
        wallet = create_sandbox(known, Ledger(None), clock, random.Random(7), resend_after_s=(0.05, 0.1))
        async with running(wallet, protocol=SeverableProtocol) as url:
            profiles = load(write_profile(tmp_path, known, url)).profiles
            shop.adapters |= build_adapters(profiles | {dialect.profile: dialect.of(profiles)})
            shop.wallet_url = url
            try:
                yield shop
            finally:
                await shop.aclose()
