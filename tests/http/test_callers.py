"""Who may call the order API: holders of keys, and this machine where that is enough."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.security import HTTPAuthorizationCredentials

from service import config
from service.addresses import is_loopback
from service.clock import SystemClock
from service.config import Config, Settings
from service.http.callers import LOOPBACK, Callers
from service.http.problems import ProblemError
from service.sandbox.demo.world import World
from service.sandbox.identity import fresh_identity, write_profile
from service.store.api_keys import ApiKey
from tests.http.api import MUG, is_problem, served
from tests.integration.conftest import Paystate, answer

SECRET = "s" * 43


async def find(key_id: str, secret: str) -> ApiKey | None:
    return ApiKey("k1", "shop", SystemClock().now(), None) if (key_id, secret) == ("k1", SECRET) else None


async def caller(peer: str | None, token: str | None = None, *, strict: bool = False, **headers: str) -> str:
    """Who the callers take a request for."""
    names = {"host": "127.0.0.1:8000"} | {name.replace("_", "-"): text for name, text in headers.items()}
    scope: dict[str, Any] = {
        "type": "http",
        "client": None if peer is None else (peer, 40_000),
        "headers": [(name.encode(), text.encode()) for name, text in names.items()],
    }
    given = None if token is None else HTTPAuthorizationCredentials(scheme="Bearer", credentials=token)
    return await Callers(find, keys_on_loopback=strict)(Request(scope), given)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
async def test_a_program_on_this_machine_needs_no_key(peer: str) -> None:
    assert await caller(peer) == LOOPBACK
    assert await caller(peer, host="localhost:8000") == LOOPBACK
    assert await caller(peer, host="[::1]:8000") == LOOPBACK


@pytest.mark.parametrize(
    "peer", ["10.0.0.7", "192.168.1.2", "203.0.113.9", "2001:db8::1", "::ffff:10.0.0.1", "", None]
)
async def test_everybody_else_needs_one(peer: str | None) -> None:
    with pytest.raises(ProblemError, match="an API key is needed") as refused:
        await caller(peer)
    assert refused.value.status_code == 401
    assert refused.value.headers == {"www-authenticate": 'Bearer realm="paystate"'}
    assert await caller(peer, f"k1.{SECRET}") == "k1"


@pytest.mark.parametrize("header", ["forwarded", "x_forwarded_for", "x_real_ip", "via"])
async def test_what_a_header_says_of_the_peer_lets_nobody_in(header: str) -> None:
    with pytest.raises(ProblemError, match="an API key is needed"):
        await caller("203.0.113.9", **{header: "127.0.0.1"})
    # Somebody passed it on, so it did not begin here.
    with pytest.raises(ProblemError, match="an API key is needed"):
        await caller("127.0.0.1", **{header: "127.0.0.1"})


async def test_a_strangers_page_that_points_its_name_here_is_not_this_machine() -> None:
    with pytest.raises(ProblemError, match="an API key is needed"):
        await caller("127.0.0.1", host="evil.example")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1:8000/", ""]
)
async def test_a_page_of_another_origin_is_not_this_machine(origin: str) -> None:
    with pytest.raises(ProblemError, match="an API key is needed"):
        await caller("127.0.0.1", origin=origin)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "http://LOCALHOST:8000"])
async def test_our_own_page_is(origin: str) -> None:
    assert await caller("127.0.0.1", host=origin.partition("//")[2].lower(), origin=origin) == LOOPBACK


@pytest.mark.parametrize(
    ("urls", "wanted"),
    [
        ([], True),
        ([None], True),
        (["https://pay.shop.example/wallets/mall/notify"], True),
        (["http://127.0.0.1:8000/wallets/a/notify", "https://pay.shop.example/wallets/b/notify"], True),
        (["http://127.0.0.1:8000/wallets/a/notify", "http://localhost/b", "http://[::1]:8000/c"], False),
        (["http://127.0.0.1.shop.example/wallets/a/notify"], True),
    ],
)
def test_keys_are_wanted_here_where_wallets_come_from_elsewhere(
    tmp_path: Path, urls: list[str | None], wanted: bool
) -> None:
    profile = config.load(write_profile(tmp_path, fresh_identity(), "http://127.0.0.1:1")).profiles["sandbox"]
    profiles = {str(n): profile.model_copy(update={"notify_url": url}) for n, url in enumerate(urls)}
    assert Config(Settings(api_keys_on_loopback=None), profiles, None).api_keys_on_loopback is wanted
    for said in (True, False):
        assert Config(Settings(api_keys_on_loopback=said), profiles, None).api_keys_on_loopback is said


async def test_keys_can_be_wanted_on_this_machine_too() -> None:
    with pytest.raises(ProblemError, match="an API key is needed"):
        await caller("127.0.0.1", strict=True)
    assert await caller("127.0.0.1", f"k1.{SECRET}", strict=True) == "k1"


@pytest.mark.parametrize(
    "token", ["", "k1", "k1.", f"k2.{SECRET}", f"k1.{'t' * 43}", f"k1.{SECRET}\n", "a.b.c", "é.x"]
)
async def test_a_wrong_key_is_worse_than_none(token: str) -> None:
    with pytest.raises(ProblemError, match="there is no such API key"):
        await caller("127.0.0.1", token)


async def test_another_scheme_is_refused() -> None:
    with pytest.raises(ProblemError, match="Bearer"):
        await caller("127.0.0.1", authorization="Basic YTpi")


def test_an_address_that_is_none_is_not_this_machine() -> None:
    assert not is_loopback("unix:")


@pytest.mark.integration
async def test_a_key_is_made_shown_once_used_and_revoked(world: World, paystate: Paystate) -> None:
    made = answer(paystate("api-keys", "create", "till 7", "--output", "json"))
    assert made["key"].startswith(f"{made['id']}.")
    secret = made["key"].partition(".")[2]
    listed = paystate("api-keys", "list", "--output", "json")
    assert secret not in listed.stdout
    (row,) = [each for each in answer(listed) if each["id"] == made["id"]]
    assert (row["name"], row["revoked_at"]) == ("till 7", None)

    async with served(world, keys_on_loopback=True) as client:
        is_problem(await client.post("/v1/orders", json=MUG), 401, "unknown-caller")
        is_problem(await client.get("/metrics"), 401, "unknown-caller")
        assert (await client.get("/health")).status_code == 200
        bearer = {"authorization": f"Bearer {made['key']}"}
        assert (await client.post("/v1/orders", json=MUG, headers=bearer)).status_code == 201
        wrong = {"authorization": f"Bearer {made['id']}.{secret[:-1]}x"}
        refused = is_problem(await client.post("/v1/orders", json=MUG, headers=wrong), 401, "unknown-caller")
        assert secret not in str(refused)

        assert paystate("api-keys", "revoke", made["key"]).returncode == 0
        is_problem(await client.post("/v1/orders", json=MUG, headers=bearer), 401, "unknown-caller")


@pytest.mark.integration
async def test_keys_for_people(paystate: Paystate) -> None:
    made = paystate("api-keys", "create", "[red]kiosk")
    key_id = made.stdout.strip().partition(".")[0]
    assert made.returncode == 0
    assert "[red]kiosk" in paystate("api-keys", "list").stdout
    assert paystate("api-keys", "revoke", key_id).stdout.strip() == f"revoked {key_id}"
    assert "revoked" in paystate("api-keys", "list").stdout
    nobody = paystate("api-keys", "revoke", "nobody")
    assert (nobody.returncode, nobody.stderr.strip()) == (1, "paystate: there is no API key nobody")
    assert paystate("api-keys", "create", "").returncode == 2


@pytest.mark.integration
async def test_two_callers_may_use_the_same_idempotency_key(world: World, paystate: Paystate) -> None:
    keys = [answer(paystate("api-keys", "create", name, "--output", "json"))["key"] for name in ("a", "b")]
    async with served(world) as client:
        replies = [
            await client.post(
                "/v1/orders", json=MUG, headers={"authorization": f"Bearer {key}", "idempotency-key": "shared"}
            )
            for key in (*keys, keys[0])
        ]
    ids = [reply.json()["order_id"] for reply in replies]
    assert ids[0] == ids[2] != ids[1]
