"""What people look at: an order, the lanes, whether all is well, what is configured."""

from typing import Annotated, Any

import asyncpg
import structlog
import typer
from rich.markup import escape
from rich.table import Table

from schemas.identifiers import InvalidOrderIdError, check_order_id
from service import troubles, wiring
from service.cli.context import UNANSWERED, NoError, UnansweredError, print_json, settings, wants_json
from service.cli.resolving import resolve
from service.clock import SystemClock
from service.config import Config, shown
from service.kafka.clients import UNAVAILABLE
from service.kafka.topics import input_lags
from service.store import connection, views
from service.timeline import console_for_people, print_story
from service.verify import Report, verify
from service.wiring import run_loop

log = structlog.get_logger()

# How long `verify` waits without any news for what is committed and not yet published.
VERIFY_WAIT_S = 10.0
# A day: whoever wants to wait longer asks again.
MAX_VERIFY_WAIT_S = 86_400.0


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    orders = typer.Typer(help="One order.", no_args_is_help=True)
    app.add_typer(orders, name="orders")
    orders.command("show")(orders_show)
    orders.command("resolve")(resolve)
    app.command("lanes")(lanes_list)
    app.command("verify")(verify_all)
    app.command("doctor")(doctor)
    group = typer.Typer(help="The configuration.", no_args_is_help=True)
    app.add_typer(group, name="config")
    group.command("show")(config_show)


def orders_show(
    context: typer.Context, order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id.")]
) -> None:
    """Show an order: where it stands, what happened to it, and what was asked of the wallet."""
    config = settings(context)
    try:
        check_order_id(order_id)
    except InvalidOrderIdError as error:
        raise typer.BadParameter(str(error)) from None
    story, dead = run_loop(_story(config, order_id))
    if story is None:
        buried = "".join(
            f"; {row['topic']}@{row['record_offset']} is a dead letter: {row['reason']}" for row in dead
        )
        raise NoError(f"order {order_id} is not known{buried}")
    if wants_json(context):
        print_json(
            {
                "order": views.order_document(story.order),
                "operations": [_with_times(operation) for operation in story.operations],
                "timeline": story.timeline,
            }
        )
    else:
        print_story(console_for_people(), story.order, story.operations, story.timeline, SystemClock().now())


async def _story(config: Config, order_id: str) -> tuple[views.Story | None, list[Any]]:
    database = wiring.database(config)
    try:
        story = await views.story_of(database, order_id)
        return story, [] if story is not None else await views.dead_letters_of_key(database, order_id)
    finally:
        await database.close()


def _with_times(operation: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat().replace("+00:00", "Z") if name.endswith("_at") else value
        for name, value in operation.items()
    }


def lanes_list(context: typer.Context) -> None:
    """List the lanes: who owns them, how far they are, and why one has halted.

    `published` is stored with commits: on a lane that rests it may lag behind `lane_seq` until the next one.
    """
    config = settings(context)
    rows = run_loop(_lanes(config))
    if wants_json(context):
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("lane", "status", "owner", "epoch", "lane_seq", "published", "lag", "halted because"):
        table.add_column(
            column, justify="right" if column in {"lane", "epoch", "lane_seq", "published", "lag"} else "left"
        )
    for row in rows:
        colour = {"owned": "green", "halted": "bold red"}.get(row["status"], "yellow")
        table.add_row(
            str(row["lane"]),
            f"[{colour}]{row['status']}[/]",
            row["owner"] or "",
            str(row["epoch"]),
            str(row["lane_seq"]),
            str(row["published_seq"]),
            "?" if row["lag"] is None else str(row["lag"]),
            row["halt_reason"] or "",
        )
    console_for_people().print(table)


async def _lanes(config: Config) -> list[dict[str, Any]]:
    database = wiring.database(config)
    try:
        rows = await views.lane_rows(database)
    finally:
        await database.close()
    try:
        lags = await input_lags(config.kafka, {row["lane"]: row["next_offsets"] or [0, 0, 0] for row in rows})
    except UNAVAILABLE as error:
        log.warning("lags_unknown", error=repr(error))
        lags = {}
    return [
        {
            "lane": row["lane"],
            "owner": row["owner"],
            "epoch": row["epoch"],
            "status": row["status"],
            "halt_reason": row["halt_reason"],
            "lane_seq": row["lane_seq"],
            "published_seq": row["published_seq"],
            "offsets": row["next_offsets"],
            "lag": lags.get(row["lane"]),
            "counters": dict(zip(views.COUNTERS, row["counters"], strict=True)),
        }
        for row in rows
    ]


def _wait(seconds: float) -> float:
    # typer's own limits let through what is no number at all: nan is neither less nor more than they are.
    if not 0 <= seconds <= MAX_VERIFY_WAIT_S:
        raise typer.BadParameter(f"should be from 0 to {MAX_VERIFY_WAIT_S:g} seconds")
    return seconds


def verify_all(
    context: typer.Context,
    wait_s: Annotated[
        float,
        typer.Option(
            help="How long to wait, without news, for what is not yet published.", metavar="S", callback=_wait
        ),
    ] = VERIFY_WAIT_S,
) -> None:
    """Check what is stored and what is published against the promises.

    Exit code 1 when one is broken, 3 when none is that could be looked at, and a server is away.
    """
    config = settings(context)
    report = run_loop(_verify(config, wait_s))
    if wants_json(context):
        checks = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in report.checks]
        print_json(
            {
                "ok": report.ok,
                "orders": report.orders,
                "journal": report.journal,
                "published": report.published,
                "checks": checks,
            }
        )
    else:
        for check in report.checks:
            console_for_people().print(
                f"{'[green]ok[/]  ' if check.ok else '[bold red]NO[/]  '}{check.name}: {check.detail}"
            )
        console_for_people().print(
            f"{report.orders} orders, {report.journal} entries, {report.published} published"
        )
    if not report.ok:
        raise typer.Exit(1 if report.broken else UNANSWERED)


async def _verify(config: Config, wait_s: float) -> Report:
    database = wiring.database(config)
    try:
        return await verify(database, config.kafka, wait_s)
    except asyncpg.ClientConfigurationError:
        # Wrong usage, of which asyncpg makes one of UNAVAILABLE.
        raise
    except connection.UNAVAILABLE as error:
        raise UnansweredError(troubles.told(error)) from error
    finally:
        await database.close()


def doctor(context: typer.Context) -> None:
    """Examine what paystate needs, one thing after another, and say what to do where something is missing."""
    from service import doctor as examination

    config = settings(context)
    findings = run_loop(examination.examine(config, wiring.database(config)))
    if wants_json(context):
        print_json(
            {
                "ok": all(finding.ok for finding in findings),
                "checks": [
                    {"name": finding.name, "ok": finding.ok, "detail": finding.detail, "advice": finding.advice}
                    for finding in findings
                ],
            }
        )
    else:
        for finding in findings:
            verdict = "[green]ok[/]  " if finding.ok else "[bold red]NO[/]  "
            advice = "" if finding.ok else f"\n      -> {finding.advice}"
            console_for_people().print(f"{verdict}{finding.name}: {escape(finding.detail)}{advice}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def config_show(context: typer.Context) -> None:
    """Show every setting as it is in force, without secrets."""
    config = settings(context)
    document = shown(config)
    if wants_json(context):
        print_json(document)
        return
    for name, value in document.items():
        if name != "profiles":
            console_for_people().print(f"{name} = {value!r}")
    for profile, fields in document["profiles"].items():
        console_for_people().print(f"\n\\[profiles.{profile}]")
        for name, value in fields.items():
            console_for_people().print(f"{name} = {value!r}", markup=False)
