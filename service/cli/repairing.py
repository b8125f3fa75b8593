"""What a person does about a lane that has halted: let it go on, or make it fit its topics first."""

import dataclasses
from typing import Annotated

import typer

from service import wiring
from service.cli.context import NoError, print_json, settings, wants_json
from service.config import Config
from service.lanes.rebase import NotRebasedError
from service.store import lanes as lane_rows
from service.wiring import run_loop

_Lane = Annotated[int, typer.Argument(metavar="LANE", min=0, help="As `paystate lanes` numbers it.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("resume")(resume)
    app.command("rebase")(rebase)


def resume(context: typer.Context, lane: _Lane) -> None:
    """Let a halted lane go on as it is, once what stopped it has been mended. It halts again if it was not."""
    reason = run_loop(_resume(settings(context), lane))
    if reason is None:
        raise NoError(f"lane {lane} is not halted")
    if wants_json(context):
        print_json({"lane": lane, "halt_reason": reason})
    else:
        print(f"lane {lane} goes on. It had halted because {reason}")


def rebase(
    context: typer.Context,
    lane: _Lane,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    """Make a halted lane fit its topics: after Postgres was restored, or after a topic was made anew or cut short.

    State events that were published and are not in the journal are taken over, with their orders. Input topics
    that are not those it has read are read from where they begin; what was deleted there is given up.
    """
    config = settings(context)
    if not yes and not wants_json(context):
        typer.confirm(f"Take over what Kafka has for lane {lane}, and give up what it no longer has?", abort=True)
    try:
        done = run_loop(wiring.rebase(config, lane))
    except NotRebasedError as error:
        raise NoError(f"lane {lane} was left as it is: {error}") from None
    if wants_json(context):
        print_json(dataclasses.asdict(done))
        return
    print(f"lane {lane} goes on. It had halted because {done.halt_reason}")
    if done.events:
        print(f"  {done.events} state events of {done.orders} orders were taken over from Kafka")
    for place in done.moved:
        print(f"  {place.topic} is read from offset {place.begin}, not {place.position}: {place.why_not}")


async def _resume(config: Config, lane: int) -> str | None:
    database = wiring.database(config)
    try:
        return await lane_rows.resume(database, lane)
    finally:
        await database.close()
