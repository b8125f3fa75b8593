"""Producing order events from a file, and watching what comes out."""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import orjson
import typer
from aiokafka import TopicPartition

from schemas.strict_json import MalformedRecordError, loads_object
from schemas.vocabulary import INPUT_TOPICS, Topic
from service.cli.context import print_json, settings, wants_json
from service.kafka.access import KafkaAccess
from service.kafka.clients import PRODUCE_TIMEOUT_S, consumer, idempotent_producer, started, within
from service.kafka.partition import lane_of
from service.kafka.topics import WrongTopicError, partition_counts
from service.wiring import run_loop

# Sends under way at once: bounds memory, and keeps the producer's batches full.
MAX_IN_FLIGHT = 2_000


class From(StrEnum):
    """Where to begin."""

    BEGINNING = "beginning"
    NOW = "now"


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="Put events in, and watch what comes out.", no_args_is_help=True)
    app.add_typer(group, name="events")

    @group.command("emit")
    def emit(
        context: typer.Context,
        file: Annotated[str, typer.Argument(metavar="FILE", help="NDJSON; - is standard input.")],
    ) -> None:
        """Produce lines {"topic": …, "value": {…}}, keyed by their `order_id` (or by the line's own "key")."""
        config = settings(context)
        if file == "-":
            lines = list(_lines(sys.stdin, "standard input"))
        else:
            try:
                with Path(file).open(encoding="utf-8") as opened:
                    lines = list(_lines(opened, file))
            except OSError as error:
                raise typer.BadParameter(f"cannot read {file}: {error.strerror}") from None
        run_loop(produce(config.kafka, lines))
        if wants_json(context):
            print_json({"produced": len(lines)})
        else:
            print(f"{len(lines)} produced")

    @group.command("tail")
    def tail(
        context: typer.Context,
        topic: Annotated[Topic, typer.Option(help="Which topic.")] = Topic.STATE_EVENTS,
        start: Annotated[From, typer.Option("--from", help="Where to begin.")] = From.NOW,
        count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    ) -> None:
        """Print a topic's values, one JSON document a line, until interrupted (or --count is reached)."""
        run_loop(_tail(settings(context).kafka, topic, start, count))


def _lines(text: TextIO, name: str) -> Iterable[tuple[str, bytes, bytes]]:
    """Topic, key and value of each line. All are read before any is sent: a file goes out whole or not at all."""
    try:
        for number, line in enumerate(text, 1):
            if line.strip():
                yield _line(line, f"{name}, line {number}")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{name} is not UTF-8: {error}") from None


def _line(line: str, where: str) -> tuple[str, bytes, bytes]:
    try:
        given = loads_object(line.encode("utf-8", "surrogateescape"))
    except MalformedRecordError as error:
        raise typer.BadParameter(f"{where}: {error}") from None
    topic, value = given.get("topic"), given.get("value")
    if topic not in INPUT_TOPICS:
        raise typer.BadParameter(f"{where}: topic should be one of {', '.join(INPUT_TOPICS)}, not {topic!r}")
    if not isinstance(value, dict):
        raise typer.BadParameter(f"{where}: value should be a JSON object")
    key: Any = given.get("key", value.get("order_id"))
    if not isinstance(key, str) or not key:
        raise typer.BadParameter(f'{where}: the value has no order_id to key it by, and the line no "key"')
    return topic, key.encode(), orjson.dumps(value)


async def produce(access: KafkaAccess, lines: Sequence[tuple[str, bytes, bytes]]) -> None:
    """Topic, key and value of each. Returns when all replicas have them; raises WrongTopicError, or UNAVAILABLE."""
    counts = await within(partition_counts(access), PRODUCE_TIMEOUT_S)
    for topic in {topic for topic, _, _ in lines}:
        if topic not in counts:
            raise WrongTopicError(f"topic {topic} does not exist: run `paystate topics create`")
    async with started(idempotent_producer(access)) as producer:
        for at in range(0, len(lines), MAX_IN_FLIGHT):
            sent = [
                await producer.send(topic, value, key=key, partition=lane_of(key.decode(), counts[topic]))
                for topic, key, value in lines[at : at + MAX_IN_FLIGHT]
            ]
            await within(asyncio.gather(*sent), PRODUCE_TIMEOUT_S)


async def _tail(access: KafkaAccess, topic: Topic, start: From, count: int | None) -> None:
    counts = await within(partition_counts(access), PRODUCE_TIMEOUT_S)
    if topic not in counts:
        raise WrongTopicError(f"topic {topic} does not exist: run `paystate topics create`")
    async with started(consumer(access)) as reader:
        partitions = [TopicPartition(topic, n) for n in range(counts[topic])]
        reader.assign(partitions)
        positions = reader.beginning_offsets if start is From.BEGINNING else reader.end_offsets
        for partition, offset in (await within(positions(partitions), PRODUCE_TIMEOUT_S)).items():
            reader.seek(partition, offset)
        left = count
        while left is None or left > 0:
            fetched = await reader.getmany(timeout_ms=500, max_records=left)
            for record in (record for records in fetched.values() for record in records):
                print((record.value or b"null").decode("utf-8", "backslashreplace"), flush=True)
                left = None if left is None else left - 1
