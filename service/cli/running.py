"""What runs, and what has to be made before it can: servers, schema, topics, engine, bridge, sandbox, demo."""

import asyncio
import os
import socket
import sqlite3
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import start_http_server

from service import wiring
from service.addresses import MAX_PORT
from service.cli.context import NoError, print_json, settings, wants_json
from service.kafka.topics import create_topics
from service.wiring import run_loop

BRIDGE_PORT = 8000

Port = Annotated[int, typer.Option(help="Where to listen; 0 is any free port.", metavar="P", min=0, max=MAX_PORT)]


def _say_ready() -> None:
    print("READY", flush=True)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(demo)
    app.command()(dev)
    app.command()(migrate)
    topics = typer.Typer(help="The Kafka topics.", no_args_is_help=True)
    app.add_typer(topics, name="topics")
    topics.command("create")(topics_create)
    app.command("run")(run_engine)
    app.command()(serve)
    app.command()(sandbox)
    app.command(hidden=True)(shop)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Run the tour, then end; 0 if all went well.")] = False,  # noqa: FBT002 - an option
) -> None:
    """Run everything on this machine, with embedded servers and a sandbox wallet, and show both flows."""
    from service.sandbox.demo.tour import run_demo

    if not run_demo(once=once):
        raise NoError("the demo did not end as it should: see above")


def dev(
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data is kept; without it everything is thrown away.", metavar="D")
    ] = None,
) -> None:
    """Run a Postgres and a Kafka-protocol broker on loopback until interrupted. For development only."""
    from service.dev.servers import run_dev

    _make_folder(data_dir)
    run_dev(data_dir)


def migrate(context: typer.Context) -> None:
    """Make the schema `paystate` in the database, or bring it up to date."""
    from service.store import migrate as migration

    chosen = settings(context).settings
    try:
        run_loop(migration.migrate(chosen.postgres_dsn, chosen.lanes))
    except migration.NotMigratedError as error:
        raise NoError(str(error)) from None
    if wants_json(context):
        print_json({"migrated": True, "lanes": chosen.lanes})
    else:
        print(f"the schema is up to date, with {chosen.lanes} lanes")


def topics_create(context: typer.Context) -> None:
    """Make the topics that are missing, with one partition a lane."""
    config = settings(context)
    made = run_loop(create_topics(config.kafka, config.settings.lanes, config.settings.replication))
    if wants_json(context):
        print_json({"created": made})
    else:
        print(f"created {', '.join(made)}" if made else "all topics are there already")


def run_engine(context: typer.Context) -> None:
    """Run one engine: it takes its share of the lanes. SIGTERM hands them over and ends it."""
    config = settings(context)
    if port := config.settings.metrics_port:
        try:
            start_http_server(port, "127.0.0.1")
        except OSError as error:
            raise NoError(f"PAYSTATE_METRICS_PORT: cannot listen on {port}: {error.strerror}") from None

    async def engine() -> None:
        await wiring.engine(config).run(_say_ready)

    wiring.collect_garbage_rarely()
    run_loop(engine())


def serve(
    context: typer.Context,
    port: Port = BRIDGE_PORT,
    host: Annotated[str, typer.Option(help="On which address.")] = "127.0.0.1",
) -> None:
    """Run what others reach over HTTP: the webhook bridge (/wallets/<profile>/notify) and the order API (/docs)."""
    config = settings(context)
    bound = _listen(port, host)
    print(f"http://{host}:{bound.getsockname()[1]}", flush=True)
    run_loop(wiring.serve_http(config, bound, _say_ready))


def sandbox(
    port: Annotated[
        int | None, typer.Option(help="Where to listen; else any free port.", metavar="P", min=0, max=MAX_PORT)
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where keys, ledger and paystate.toml are kept.", metavar="D")
    ] = None,
    notify_url: Annotated[str | None, typer.Option(help="Where callbacks go.", metavar="U")] = None,
) -> None:
    """Run the sandbox wallet: gateway, cashier and control, with keys and a ledger of its own."""
    from service.sandbox.app import run_sandbox

    def ready(url: str) -> None:
        print(url, "READY", sep="\n", flush=True)

    _make_folder(data_dir)
    try:
        run_loop(run_sandbox(port, data_dir, notify_url, ready))
    except asyncio.CancelledError:
        return
    except OSError as error:
        if data_dir is not None and error.filename is not None:
            # Of a file in the folder; a port has no name.
            raise _wrong_folder(data_dir, f"{error.filename}: {error.strerror}") from None
        raise NoError(f"the sandbox cannot run on {_named(port)}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise _wrong_folder(data_dir, f"its ledger: {error}") from None


def shop(
    context: typer.Context,
    wallet_url: Annotated[str, typer.Option(help="Where the sandbox wallet is.", metavar="U")],
    api_url: Annotated[str, typer.Option(help="Where the order API is.", metavar="U")],
    port: Port = 0,
) -> None:
    """Run the demo's shop in a browser; `paystate demo` starts it together with the rest."""
    from service.sandbox.demo.storefront.app import run_shop

    def ready(url: str) -> None:
        print(url, "READY", sep="\n", flush=True)

    try:
        run_loop(run_shop(settings(context), port, wallet_url, api_url, ready))
    except asyncio.CancelledError:
        return
    except OSError as error:
        raise NoError(f"the shop cannot run on {_named(port)}: {error.strerror}") from None


def _make_folder(data_dir: Path | None) -> None:
    """Makes the folder that is to be kept; what is wrong with it is not a server's fault. Raises BadParameter."""
    if data_dir is None:
        return
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise _wrong_folder(data_dir, "it is not a folder") from None
    except OSError as error:
        raise _wrong_folder(data_dir, str(error.strerror)) from None
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise _wrong_folder(data_dir, "it is not ours to write to")


def _wrong_folder(data_dir: Path | None, why: str) -> typer.BadParameter:
    return typer.BadParameter(f"cannot keep data in {data_dir}: {why}", param_hint="--data-dir")


def _named(port: int | None) -> str:
    return f"port {port}" if port else "any port"


def _listen(port: int, host: str) -> socket.socket:
    from service.http.serving import listen

    try:
        return listen(port, host=host)
    except OSError as error:
        raise NoError(f"cannot listen on {host}:{port}: {error.strerror}") from None
