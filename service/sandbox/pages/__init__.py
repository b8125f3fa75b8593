"""What the wallet shows to people: its first page, and the cashier. No build step, nothing from elsewhere."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

_FOLDER: Final = Path(__file__).parent
_TYPES: Final = {
    "cashier.css": "text/css",
    "cashier.js": "text/javascript",
    "wallet.css": "text/css",
}
_OWN: Final = "default-src 'self'; img-src 'self' data:"
# The shops that may frame the cashier run on this machine, on whatever port.
_HERE: Final = "http://127.0.0.1:* http://localhost:*"
_HEADERS: Final = {
    "cache-control": "no-cache",
    "content-security-policy": f"{_OWN}; base-uri 'none'; frame-ancestors 'self' {_HERE}",
    # An order string may be in the address: it goes to nobody else.
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def routes() -> APIRouter:
    """The pages and what belongs to them."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def first_page() -> FileResponse:
        return FileResponse(_FOLDER / "wallet.html", media_type="text/html", headers=_HEADERS)

    @router.get("/sandbox/cashier")
    async def cashier() -> FileResponse:
        return FileResponse(_FOLDER / "cashier.html", media_type="text/html", headers=_HEADERS)

    @router.get("/sandbox/pages/{name}")
    async def part(name: str) -> FileResponse:
        if name not in _TYPES:
            raise HTTPException(404)
        return FileResponse(_FOLDER / name, media_type=_TYPES[name], headers=_HEADERS)

    return router
