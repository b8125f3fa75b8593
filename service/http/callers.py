"""Who may call: the holder of an API key, or a program on this machine where that is enough.

A peer's address is that of its connection. What a header says of where a request came from is never believed;
that there is such a header shows that the request did not begin on this machine. A proxy here that adds none
cannot be told from a program here: `Config.api_keys_on_loopback` says whether there may be one.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.addresses import is_loopback
from service.http.problems import ProblemError
from service.store.api_keys import ApiKey

# The caller's name, where no key is asked for.
LOOPBACK: Final = "loopback"
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_LOCAL_HOST: Final = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_TOKEN: Final = re.compile(r"([A-Za-z0-9]{1,64})\.([A-Za-z0-9_-]{16,128})")
_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="paystate"'}

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="api key",
    description="`<id>.<secret>`, made with `paystate api-keys create NAME`. Not needed on this machine"
    " where all wallets call back to it, or PAYSTATE_API_KEYS_ON_LOOPBACK is false.",
)

FindKey = Callable[[str, str], Awaitable[ApiKey | None]]


class Callers:
    """Lets callers in. `find_key` is given the id and the secret."""

    def __init__(self, find_key: FindKey, *, keys_on_loopback: bool) -> None:
        self._find_key = find_key
        self._keys_on_loopback = keys_on_loopback

    async def __call__(
        self,
        request: Request,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> str:
        """The caller's name: the id of its key, or `loopback`. Raises ProblemError 401."""
        if given is not None:
            return await self._holder(given.credentials)
        if "authorization" in request.headers:
            raise _unknown("the Authorization header should be: Bearer <id>.<secret>")
        if self._keys_on_loopback or not _is_on_this_machine(request):
            raise _unknown("an API key is needed: Authorization: Bearer <id>.<secret>")
        return LOOPBACK

    async def _holder(self, token: str) -> str:
        parts = _TOKEN.fullmatch(token)
        key = await self._find_key(parts[1], parts[2]) if parts else None
        if key is None:
            raise _unknown("there is no such API key")
        return key.id


def _unknown(detail: str) -> ProblemError:
    return ProblemError(401, "unknown-caller", detail, headers=_CHALLENGE)


def _is_on_this_machine(request: Request) -> bool:
    if any(name in request.headers for name in FORWARDED):
        return False
    # A name that a stranger's page has made to point here is not one of ours.
    host = request.headers.get("host", "")
    if not _LOCAL_HOST.fullmatch(host):
        return False
    # Any page may have the browser post here; it says whose page it is (Fetch, 3.2; `null` where that is a secret).
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
        return False
    return request.client is not None and is_loopback(request.client.host)
