"""What a stranger says of itself to the order API: its key, and the name under which it reached us."""

import asyncio
import hmac
from typing import Final

from fastapi import Request

from service.http import callers
from service.http.callers import LOOPBACK, Callers
from service.http.problems import ProblemError
from service.store.api_keys import ApiKey
from tests.fuzz.target import Target
from tests.wallets.vectors import NOW

KEY_ID: Final = "k1"
SECRET: Final = "0123456789abcdef-_A"


async def _find(key_id: str, secret: str) -> ApiKey | None:
    found = key_id == KEY_ID and hmac.compare_digest(secret.encode(), SECRET.encode())
    return ApiKey(KEY_ID, "a caller", NOW, None) if found else None


_CALLERS: Final = Callers(_find, keys_on_loopback=False)


async def _name_of(headers: list[tuple[bytes, bytes]]) -> str | None:
    """None for a caller that is not let in."""
    request = Request({"type": "http", "headers": headers, "client": ("127.0.0.1", 50_000)})
    try:
        return await _CALLERS(request, await callers._bearer(request))
    except ProblemError:
        return None


def caller(raw: bytes) -> None:
    """Lines of its headers; whoever is let in has the key, or comes from here under one of our own names."""
    authorization, host, forwarded = [*raw.split(b"\n", 2), b"", b""][:3]
    given = {b"authorization": authorization, b"host": host, b"x-forwarded-for": forwarded}
    name = asyncio.run(_name_of([(header, value) for header, value in given.items() if value]))
    if name == LOOPBACK:
        assert not authorization
        assert not forwarded
        assert _is_ours(host.decode("latin-1"))
    elif name is not None:
        assert name == KEY_ID
        assert authorization.lower().startswith(b"bearer ")
        assert authorization.strip().endswith(f"{KEY_ID}.{SECRET}".encode())


def _is_ours(host: str) -> bool:
    """Read in another way than the one that is tested."""
    bare = host.removeprefix("[").partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if bare.lower() == "localhost":
        return True
    parts = bare.split(".")
    return bare == "::1" or (len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() for part in parts))


CALLERS: Final[dict[str, Target]] = {
    "caller": Target(
        caller,
        [
            f"Bearer {KEY_ID}.{SECRET}\nexample.org".encode(),
            f"bearer  {KEY_ID}.{SECRET} \n".encode(),
            b"Bearer k1.x\n127.0.0.1:80",
            b"Basic azE6eA==\nlocalhost",
            b"\nlocalhost:8000",
            b"\n127.0.0.1",
            b"\n[::1]:8000\n10.0.0.1",
            b"\n[::1]",
            b"\n127.0.0.1.example.org",
            b"\nLOCALHOST:99999\xb2",
        ],
    )
}
