"""Puts the sandbox wallet together, and runs it."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from service.clock import Clock, SystemClock
from service.http.serving import listen, serve
from service.sandbox import control, gateway, pages
from service.sandbox.absolute_form import OriginForm
from service.sandbox.callbacks import RESEND_AFTER_S, Callbacks, Voice
from service.sandbox.desk import Desk
from service.sandbox.faults import Dice
from service.sandbox.identity import Identity, fresh_identity, kept_identity, last_port, write_profile
from service.sandbox.ledger import Ledger
from service.sandbox.plus import gateway as plus_gateway
from service.sandbox.plus.dialect import DIALECT
from service.sandbox.plus.voice import PlusVoice
from service.sandbox.severing import SeverableProtocol
from service.sandbox.voice import AlipayVoice

LEDGER_FILE: Final = "ledger.sqlite"


def create_app(
    identity: Identity,
    ledger: Ledger,
    clock: Clock,
    rng: random.Random,
    resend_after_s: tuple[float, ...] = RESEND_AFTER_S,
) -> FastAPI:
    """The wallet over HTTP. Must be made inside the loop that serves it; closes the ledger when it ends."""
    dice = Dice(rng)
    voices: dict[str, Voice] = {"alipay": AlipayVoice(identity), DIALECT: PlusVoice(identity)}
    callbacks = Callbacks(voices, clock, dice, resend_after_s)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await callbacks.aclose()
        ledger.close()

    app = FastAPI(title="paystate sandbox wallet", lifespan=lifespan)
    app.add_middleware(OriginForm)
    app.state.callbacks = callbacks
    desk = Desk(ledger, callbacks, clock, dice)
    app.include_router(gateway.routes(gateway.Gateway(identity, desk, dice), identity.charset))
    app.include_router(plus_gateway.routes(plus_gateway.PlusGateway(identity, desk, clock)))
    app.include_router(control.routes(control.Control(identity, ledger, callbacks, clock, dice)))

    app.include_router(pages.routes())

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


async def run_sandbox(
    port: int | None,
    data_dir: Path | None,
    notify_url: str | None,
    on_ready: Callable[[str], None],
    *,
    seed: int | None = None,
    handle_signals: bool = True,
) -> None:
    """Runs until SIGTERM, SIGINT or cancellation. `on_ready` is given the wallet's URL.

    With `data_dir` the keys and the ledger live there, `paystate.toml` is written, and without a `port` the
    last one is taken again if it is free. Without it everything is new and in memory, and the profile is at
    `GET /sandbox/paystate.toml`. `seed` makes the faults repeatable. Raises OSError for a port in use.
    """
    socket = listen(port, last_port(data_dir) if data_dir is not None else None)
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"

    def ready() -> None:
        if data_dir is not None:
            write_profile(data_dir, identity, url)
        on_ready(url)

    with closing(socket):
        if data_dir is None:
            identity, path = fresh_identity(notify_url), None
        else:
            identity, path = kept_identity(data_dir, notify_url), data_dir / LEDGER_FILE
        with closing(Ledger(path)) as ledger:
            # No secret and no money depends on these dice: they decide what goes wrong.
            app = create_app(identity, ledger, SystemClock(), random.Random(seed))  # noqa: S311
            await serve(app, socket, ready, handle_signals=handle_signals, protocol=SeverableProtocol)
