"""`paystate api-keys`: who may call the order API. Needs a login that may be the owner, as `migrate` does."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import asyncpg
import typer
from rich.markup import escape
from rich.table import Table

from service import wiring
from service.cli.context import NoError, print_json, settings, wants_json
from service.config import Config
from service.state_events import rfc3339
from service.store import api_keys
from service.store.connection import Database
from service.timeline import console_for_people
from service.wiring import run_loop

# 64 bits name a key, 256 bits are its secret.
ID_BYTES = 8
SECRET_BYTES = 32
MAX_NAME = 64

T = TypeVar("T")


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="Who may call the order API.", no_args_is_help=True)
    app.add_typer(group, name="api-keys")
    group.command("create")(create)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)


def create(
    context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")]
) -> None:
    """Make an API key. Its secret is shown once, now."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise typer.BadParameter(f"a name has 1 to {MAX_NAME} printable characters")
    key_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    run_loop(_as_owner(settings(context), lambda database: api_keys.create(database, key_id, name, secret)))
    if wants_json(context):
        print_json({"id": key_id, "name": name, "key": f"{key_id}.{secret}"})
    else:
        print(f"{key_id}.{secret}")


def list_keys(context: typer.Context) -> None:
    """List the API keys, without their secrets."""
    keys = run_loop(_as_owner(settings(context), api_keys.listed))
    if wants_json(context):
        print_json(
            [
                {
                    "id": key.id,
                    "name": key.name,
                    "created_at": rfc3339(key.created_at),
                    "revoked_at": None if key.revoked_at is None else rfc3339(key.revoked_at),
                }
                for key in keys
            ]
        )
        return
    table = Table("id", "name", "created", "revoked", box=None, pad_edge=False)
    for key in keys:
        revoked = "" if key.revoked_at is None else f"{key.revoked_at:%Y-%m-%d %H:%M}"
        table.add_row(key.id, escape(key.name), f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    console_for_people().print(table)


def revoke(
    context: typer.Context, key_id: Annotated[str, typer.Argument(metavar="ID", help="The part before the dot.")]
) -> None:
    """Revoke an API key: from the next request on it opens nothing."""
    # Whoever pastes the whole key means its id.
    named = key_id.partition(".")[0]
    if not run_loop(_as_owner(settings(context), lambda database: api_keys.revoke(database, named))):
        raise NoError(f"there is no API key {named}")
    if wants_json(context):
        print_json({"revoked": named})
    else:
        print(f"revoked {named}")


async def _as_owner(config: Config, work: Callable[[Database], Awaitable[T]]) -> T:
    database = wiring.owned_database(config)
    try:
        return await work(database)
    except asyncpg.UndefinedTableError:
        raise NoError("the database has no table of API keys: run `paystate migrate`") from None
    finally:
        await database.close()
