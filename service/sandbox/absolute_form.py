"""Request lines in absolute form, which a server has to take (RFC 9112, 3.2.2) and uvicorn takes for a path.

Alipay's and Antom's Python SDKs write them so: `POST http://host/gateway.do?… HTTP/1.1`.
"""

import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_AUTHORITY: Final = re.compile(r"https?://[^/?]*", re.IGNORECASE)


class OriginForm:
    """Shows an application the path alone, however the request names it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the application."""
        if scope["type"] == "http" and (match := _AUTHORITY.match(scope["path"])):
            raw: bytes = scope["raw_path"]
            # What comes before the path is ASCII without escapes, so it is as long in both.
            scope = dict(scope, path=scope["path"][match.end() :] or "/", raw_path=raw[match.end() :] or b"/")
        await self._app(scope, receive, send)
