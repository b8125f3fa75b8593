"""The sandbox wallet on loopback, and what both sides need to talk to it."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from fastapi import FastAPI, Request, Response

from service.clock import SystemClock
from service.config import load
from service.sandbox.app import create_app
from service.sandbox.identity import Identity, fresh_identity, write_profile
from service.sandbox.ledger import Ledger
from service.sandbox.severing import SeverableProtocol
from service.wallets.adapter import RawCallback, WalletAdapter
from service.wallets.profile import WalletProfile
from service.wallets.registry import build_adapters
from service.wallets.signatures import load_private_key
from tests.peers.peer import Peer, talking_to
from tests.sandbox.merchant import Merchant, running


@dataclass
class Shop:
    """A merchant's program: its wallet, its profiles of it, and the callbacks that have come."""

    identity: Identity
    url: str
    notify_url: str
    client: httpx2.AsyncClient
    profiles: Mapping[str, WalletProfile]
    # As the wallet itself would have them: with its private key.
    drills: Mapping[str, WalletProfile]
    adapters: Mapping[str, WalletAdapter]
    callbacks: list[RawCallback] = field(default_factory=list)

    async def buyer(self, order_str: str, action: str = "confirm") -> str:
        reply = await self.client.post(f"{self.url}/sandbox/pay", json={"order_str": order_str, "action": action})
        assert reply.status_code == 200, reply.text
        return str(reply.json()["result_code"])

    async def ledger(self, order_id: str) -> dict[str, Any]:
        (row,) = (await self.client.get(f"{self.url}/sandbox/ledger", params={"order_id": order_id})).json()
        return dict(row)

    @property
    def merchant(self) -> Merchant:
        return Merchant(self.identity, self.url, self.notify_url, self.client)

    def alipay(self, command: list[str], **others: str) -> AbstractAsyncContextManager[Peer]:
        """A peer that speaks Alipay's OpenAPI, with the merchant's key and the wallet's, or with others."""
        keys = {"app_key": pkcs1(self.identity.app_private_pem), "wallet_key": self.identity.wallet_public_pem}
        given = keys | {"app_id": self.identity.app_id, "notify_url": self.notify_url}
        return talking_to(command, **given | {"gateway": f"{self.url}/gateway.do"} | others)

    def antom(self, command: list[str], **others: str) -> AbstractAsyncContextManager[Peer]:
        """A peer that speaks Alipay+."""
        keys = {"app_key": pkcs1(self.identity.app_private_pem), "wallet_key": self.identity.wallet_public_pem}
        return talking_to(command, **keys | {"client_id": self.identity.client_id, "gateway": self.url} | others)


def pkcs1(private_pem: str) -> str:
    """The form of a private key that every peer takes."""
    return (
        load_private_key(private_pem)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        .decode()
    )


def public(private_pem: str) -> str:
    return (
        load_private_key(private_pem)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.fixture(scope="session")
def identity() -> Identity:
    return fresh_identity()


@pytest.fixture(scope="session")
def stranger() -> Identity:
    return fresh_identity()


@pytest.fixture
async def shop(identity: Identity, tmp_path: Path) -> AsyncIterator[Shop]:
    came: list[RawCallback] = []
    receiver = FastAPI()

    @receiver.post("/wallets/{profile}/notify")
    async def notify(profile: str, request: Request) -> Response:
        now = SystemClock().now()
        came.append(RawCallback("POST", request.url.path, dict(request.headers), await request.body(), now))
        return Response(shop.adapters[profile].success_answer)

    async with running(receiver) as receiver_url, httpx2.AsyncClient(trust_env=False) as client:
        known = Identity(
            identity.app_private_pem, identity.wallet_private_pem, f"{receiver_url}/wallets/sandbox/notify"
        )
        wallet = create_app(known, Ledger(None), SystemClock(), random.Random(7))
        async with running(wallet, protocol=SeverableProtocol) as url:
            profiles = load(write_profile(tmp_path, known, url)).profiles
            turned = replace(
                known, app_private_pem=known.wallet_private_pem, wallet_private_pem=known.app_private_pem
            )
            (tmp_path / "wallet").mkdir()
            drills = load(write_profile(tmp_path / "wallet", turned, url)).profiles
            shop = Shop(known, url, known.notify_url, client, profiles, drills, build_adapters(profiles), came)
            yield shop
