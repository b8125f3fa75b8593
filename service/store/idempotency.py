"""What was asked under an Idempotency-Key, and what was answered.

A row is written before anything is published, with the record and its ids: whoever repeats the key after a
crash carries on with the same ones. To carry on beside the first is harmless, because the lane takes an event
id once; holding the row for a moment only spares the work.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import asyncpg
import orjson

from service.kafka.partition import lane_of
from service.store.connection import Database

# Longer than an answer usually takes, and short enough for a caller who comes again after a crash of ours.
HELD_S = 5.0
# Far longer than anybody repeats a request; and the ids made from a key outlive its row.
KEPT_DAYS = 7
PRUNED_AT_ONCE = 5_000

_CLAIM = """
    insert into idempotency_keys as k (lane, caller, key, fingerprint, order_id, event_id, record, held_until)
    values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + make_interval(secs => $8))
    on conflict (lane, caller, key) do update set held_until = excluded.held_until
    where k.status is null and k.held_until <= clock_timestamp() and k.fingerprint = excluded.fingerprint
    returning order_id, event_id, record, xmax = 0 as is_new
"""
_KEPT = """
    select fingerprint, order_id, event_id, record, status, response
    from idempotency_keys where lane = $1 and caller = $2 and key = $3
"""
_ANSWER = """
    update idempotency_keys set status = coalesce(status, $4),
        response = case when status is null then $5::json else response end
    where lane = $1 and caller = $2 and key = $3 returning status, response
"""
_LET_GO = """
    update idempotency_keys set held_until = clock_timestamp()
    where lane = $1 and caller = $2 and key = $3 and status is null
"""
_FORGET = "delete from idempotency_keys where lane = $1 and caller = $2 and key = $3 and status is null"
_PRUNE = """
    delete from idempotency_keys where ctid = any(array(
        select ctid from idempotency_keys where created_at < clock_timestamp() - make_interval(days => $1) limit $2
    ))
"""


@dataclass(frozen=True, slots=True)
class Event:
    """A record for the lanes, with the ids that never change once they are written down."""

    order_id: str
    event_id: str
    record: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it is kept: the HTTP status and the body."""

    status: int
    body: dict[str, Any]


class Standing(Enum):
    """How a key stands: ours to carry out, answered, under way elsewhere, or used for something else."""

    OURS = auto()
    ANSWERED = auto()
    IN_PROGRESS = auto()
    OTHER_REQUEST = auto()


@dataclass(frozen=True, slots=True)
class Claim:
    """How the key stands, with the event that was first written down, and its answer if there is one.

    `is_new`: nobody can have published the event yet.
    """

    standing: Standing
    event: Event
    answer: Answer | None = None
    is_new: bool = False


class IdempotencyKeys:
    """The table, for one number of lanes."""

    def __init__(self, database: Database, lanes: int) -> None:
        self._database = database
        self._lanes = lanes

    def _place(self, caller: str, key: str) -> tuple[int, str, str]:
        return lane_of(f"{caller} {key}", self._lanes), caller, key

    async def claim(self, caller: str, key: str, fingerprint: bytes, event: Event) -> Claim:
        """Writes the event down under a new key, or says how the key stands already."""
        place = self._place(caller, key)
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(
                _CLAIM, *place, fingerprint, event.order_id, event.event_id, event.record, HELD_S
            )
            if row is not None:
                return Claim(Standing.OURS, _event(row), is_new=row["is_new"])
            row = await connection.fetchrow(_KEPT, *place)
        if row is None:
            # Forgotten between the two statements: whoever held it was refused. The caller comes again.
            return Claim(Standing.IN_PROGRESS, event)
        if row["fingerprint"] != fingerprint:
            return Claim(Standing.OTHER_REQUEST, _event(row))
        if row["status"] is None:
            return Claim(Standing.IN_PROGRESS, _event(row))
        return Claim(Standing.ANSWERED, _event(row), _answer(row))

    async def answer(self, caller: str, key: str, answer: Answer) -> Answer:
        """Keeps an answer, if it is the first; answers the one that is kept."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(
                _ANSWER, *self._place(caller, key), answer.status, orjson.dumps(answer.body).decode()
            )
        return answer if row is None else _answer(row)

    async def let_go(self, caller: str, key: str) -> None:
        """There is no answer yet, and whoever repeats the key may carry on at once."""
        async with self._database.acquire() as connection:
            await connection.execute(_LET_GO, *self._place(caller, key))

    async def forget(self, caller: str, key: str) -> None:
        """Nothing was published and nothing will be: the key may be used for a better request."""
        async with self._database.acquire() as connection:
            await connection.execute(_FORGET, *self._place(caller, key))

    async def prune(self) -> bool:
        """Deletes some of the rows that nobody will ask for again. Whether there may be more."""
        async with self._database.acquire() as connection:
            tag = await connection.execute(_PRUNE, KEPT_DAYS, PRUNED_AT_ONCE)
        return tag == f"DELETE {PRUNED_AT_ONCE}"


def _event(row: asyncpg.Record) -> Event:
    return Event(row["order_id"], row["event_id"], row["record"])


def _answer(row: asyncpg.Record) -> Answer:
    return Answer(row["status"], orjson.loads(row["response"]))
