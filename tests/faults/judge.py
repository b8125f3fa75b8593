"""The end of a fault run: everything at rest, and every promise looked at from all sides."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from schemas.vocabulary import State
from service.sandbox.reckoning import FACTS, differences
from service.store.connection import UNAVAILABLE
from service.wiring import run_loop
from tests.faults.auditor import audit
from tests.faults.load import Load
from tests.faults.world import World

REST_S = 240.0
SHOWN = 8
RESTING = [
    State.PAID,
    State.CAPTURED,
    State.REFUNDED,
    State.PARTIALLY_REFUNDED,
    State.EXPIRED,
    State.CLOSED,
    State.VOIDED,
]
_RESTLESS = """
    select (select $2 - count(*) from paystate.orders where state = any($1)) as orders,
        (select count(*) from paystate.operations
            where state in ('reserved', 'submitting', 'unknown')) as operations,
        (select count(*) from paystate.timers where due_at < clock_timestamp() + interval '20 s') as timers,
        (select count(*) from paystate.parked) as parked
"""
_ORDERS = "select order_id, state, frozen_minor, taken_minor, released_minor, refunded_minor from paystate.orders"


@dataclass(slots=True)
class Verdict:
    """What was counted. `lost` and `doubled` count orders and state events; `problems` says which."""

    orders: int = 0
    events: int = 0
    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)
    # The outside auditor's counts.
    audited: str = ""


def judge(world: World, load: Load, *, halts: bool = False) -> Verdict:
    """Waits until everything rests; an engine must be running. With `halts`, lanes may have been halted before."""
    verdict = Verdict(problems=[*load.failures])
    restless = _wait_for_rest(world, len(load.orders))
    if restless:
        verdict.problems.append(f"not at rest after {REST_S:.0f} s: {restless}")
    report = world.paystate("verify")
    verdict.problems += [
        f"verify: {check['name']}: {check['detail']}" for check in report["checks"] if not check["ok"]
    ]
    orders = {row["order_id"]: row for row in _fetch(world, _ORDERS)}
    events = {
        row["event_id"] for row in _fetch(world, "select event->>'event_id' as event_id from paystate.journal")
    }
    verdict.orders, verdict.events = len(orders), len(events)
    _judge_orders(verdict, load, orders)
    _judge_wallet(verdict, world.ledger(), orders)
    _judge_events(verdict, load, events)
    found = run_loop(audit(world.postgres.dsn, world.broker.bootstrap))
    verdict.audited, *differing = found.lines()
    verdict.problems += [f"auditor: {line}" for line in differing]
    verdict.problems += [
        f"dead letter {row['topic']}@{row['record_offset']}: {row['reason']}"
        for row in _fetch(world, "select topic, record_offset, reason from paystate.dead_letters")
    ]
    wrong = ("lane_failed", "timer_stuck") if halts else ("lane_failed", "timer_stuck", "lane_halted")
    for engine in world.engines:
        verdict.problems += [f"{engine.log.stem}: {line}" for line in engine.said(*wrong)]
    return verdict


def _judge_orders(verdict: Verdict, load: Load, orders: dict[str, Any]) -> None:
    for order_id, story in load.orders.items():
        order = orders.get(order_id)
        if order is None:
            verdict.lost += 1
            verdict.problems.append(f"{order_id} ({story.name}) is not there")
            continue
        found = (order["state"], order["taken_minor"], order["refunded_minor"])
        wanted = (story.end, story.taken_minor, story.refunded_minor)
        if found != wanted and found != (story.or_end, *wanted[1:]):
            verdict.lost += found[1] < wanted[1] or found[2] < wanted[2]
            verdict.doubled += found[1] > wanted[1] or found[2] > wanted[2]
            verdict.problems.append(f"{order_id} ({story.name}) is {found}, not {wanted}")


def _judge_wallet(verdict: Verdict, ledger: list[dict[str, Any]], orders: dict[str, Any]) -> None:
    verdict.problems += differences(ledger, orders.values())
    theirs = {row["order_id"]: row for row in ledger}
    for order_id, order in orders.items():
        row = theirs.get(order_id)
        if row is not None and any(row[fact] != order[fact] for fact in FACTS):
            more = any(row[fact] > order[fact] for fact in FACTS)
            verdict.doubled += more
            verdict.lost += not more
    numbers = Counter(request["request_no"] for row in ledger for request in row["requests"])
    twice = [number for number, count in numbers.items() if count > 1]
    verdict.doubled += len(twice)
    verdict.problems += [f"request {number} is twice in the wallet's ledger" for number in twice]


def _judge_events(verdict: Verdict, load: Load, events: set[str]) -> None:
    until = time.monotonic() + 10
    while events - load.seen.keys() and time.monotonic() < until:
        time.sleep(0.1)
    missing, unknown = events - load.seen.keys(), load.seen.keys() - events
    twice = [event_id for event_id, count in load.seen.items() if count > 1]
    verdict.lost += len(missing)
    verdict.doubled += len(twice) + len(unknown)
    if missing:
        verdict.problems.append(f"{len(missing)} state events were never seen by the consumer")
    if twice:
        verdict.problems.append(f"{len(twice)} state events were seen twice by the consumer")
    if unknown:
        verdict.problems.append(f"{len(unknown)} state events are not in the journal")


def _wait_for_rest(world: World, orders: int) -> dict[str, int]:
    until = time.monotonic() + REST_S
    while True:
        (row,) = _fetch(world, _RESTLESS, RESTING, orders)
        restless = {name: count for name, count in row.items() if count}
        if not restless or time.monotonic() > until:
            return restless
        time.sleep(0.3)


def _fetch(world: World, query: str, *arguments: Any) -> list[asyncpg.Record]:
    async def fetch() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(world.postgres.dsn)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    try:
        return run_loop(fetch())
    except UNAVAILABLE:
        time.sleep(1)
        return run_loop(fetch())
