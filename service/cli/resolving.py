"""What a person says of an operation that paystate could not find out about: published like any other event."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any
from uuid import uuid4

import typer
from pydantic import ValidationError

from schemas.base import in_words
from schemas.identifiers import InvalidOrderIdError, check_order_id
from schemas.order_events import OperatorResolvedEvent
from schemas.vocabulary import Disposition, Outcome, Topic
from service import wiring
from service.cli.context import NoError, print_json, settings, wants_json
from service.cli.events import produce
from service.clock import SystemClock
from service.config import Config
from service.store import views
from service.wiring import run_loop

# How long a lane may take to say what became of it; an engine that is there takes some milliseconds.
WAIT_S = 10.0
LOOK_EVERY_S = 0.2


class Became(StrEnum):
    """What may have become of an operation."""

    SUCCEEDED = Outcome.SUCCEEDED.value
    REJECTED = Outcome.REJECTED.value


def resolve(
    context: typer.Context,
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id.")],
    *,
    version: Annotated[int, typer.Option(min=1, help="The order's version, as `orders show` has just said it.")],
    actor: Annotated[str, typer.Option(help="Who says so.")],
    reason: Annotated[str, typer.Option(help="What was found out.")],
    evidence: Annotated[str, typer.Option(help="Where others can see it: a ticket, a statement's line.")],
    outcome: Annotated[
        Became | None, typer.Option(help="What became of the operation that is unknown; leave out where none is.")
    ] = None,
) -> None:
    """Say what became of an operation that is unknown, or clear the flags of an order that has been looked at.

    Sends nothing to the wallet: look at its own console first. What you say goes into the order's timeline.

    Exit code 1 when it is refused: the order has moved on since, or the operation is not unknown.
    """
    config = settings(context)
    event = _event(
        {
            "type": "operator.resolved",
            "event_id": f"resolve-{uuid4()}",
            "order_id": order_id,
            "occurred_at": SystemClock().now(),
            "actor": actor,
            "reason": reason,
            "evidence": evidence,
            "expected_version": version,
            "outcome": None if outcome is None else Outcome(outcome),
        }
    )
    entries, order = run_loop(_resolve(config, event))
    refused = [entry for entry in entries if entry["disposition"] == Disposition.REFUSED]
    if refused:
        raise NoError(f"order {order_id} was left as it is: {refused[0]['reason']}")
    if wants_json(context):
        print_json({"order": order, "timeline": entries})
        return
    for entry in entries:
        print(f"{entry['trigger']}: {entry['reason'] or ''}")
    print(f"order {order_id} is {order['state']}, version {order['version']}")


def _event(fields: dict[str, Any]) -> OperatorResolvedEvent:
    try:
        check_order_id(fields["order_id"])
        return OperatorResolvedEvent.model_validate(fields)
    except InvalidOrderIdError as error:
        raise typer.BadParameter(str(error)) from None
    except ValidationError as error:
        raise typer.BadParameter(in_words(error)) from None


async def _resolve(config: Config, event: OperatorResolvedEvent) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The journal's entries that came of it, and the order then. Raises NoError."""
    database = wiring.database(config)
    try:
        if await views.story_of(database, event.order_id) is None:
            raise NoError(f"order {event.order_id} is not known")
        record = (Topic.ORDERS, event.order_id.encode(), event.model_dump_json().encode())
        await produce(config.kafka, [record])
        until = asyncio.get_running_loop().time() + WAIT_S
        while asyncio.get_running_loop().time() < until:
            story = await views.story_of(database, event.order_id)
            entries = [] if story is None else _caused_by(event, story)
            if story is not None and entries:
                return entries, views.order_document(story.order)
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await database.close()
    raise NoError(
        f"it is on {Topic.ORDERS} (event {event.event_id}), but no engine has taken it within {WAIT_S:g} s:"
        f" see `paystate lanes`, and `paystate orders show {event.order_id}` later"
    )


def _caused_by(event: OperatorResolvedEvent, story: views.Story) -> list[dict[str, Any]]:
    return [entry for entry in story.timeline if entry["cause_event_id"] == event.event_id]
