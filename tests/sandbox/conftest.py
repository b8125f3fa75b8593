"""A sandbox wallet and a merchant, on loopback."""

import random
from collections.abc import AsyncIterator

import httpx2
import pytest

from service.sandbox.app import create_app
from service.sandbox.identity import Identity, fresh_identity
from service.sandbox.ledger import Ledger
from service.sandbox.severing import SeverableProtocol
from tests.sandbox.merchant import Merchant, MovableClock, Receiver, running


@pytest.fixture(scope="session")
def identity() -> Identity:
    return fresh_identity()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    place = Receiver()
    async with running(place.app) as url:
        yield place, url


@pytest.fixture
async def merchant(
    identity: Identity, clock: MovableClock, receiver: tuple[Receiver, str]
) -> AsyncIterator[Merchant]:
    app = create_app(identity, Ledger(None), clock, random.Random(7), resend_after_s=(0.01, 0.02))
    async with httpx2.AsyncClient(trust_env=False) as client, running(app, protocol=SeverableProtocol) as url:
        yield Merchant(identity, url, f"{receiver[1]}/notify", client)


@pytest.fixture
def callbacks(receiver: tuple[Receiver, str]) -> Receiver:
    return receiver[0]
