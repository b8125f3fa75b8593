"""The checks that Postgres alone can answer. Each names the rows that break a rule; none means that it holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from service.store.orders import from_row
from service.verify.check import Check
from statemachine.check import BrokenInvariantError
from statemachine.timers import wake_at

# A check that fails shows so many of what breaks it.
SHOWN = 5
ORDERS_A_FETCH = 500


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and the query that finds what breaks it: one text column, `broken`."""

    name: str
    says: str
    query: str


RULES = (
    Rule(
        "lanes_go_on",
        "no lane is halted",
        """
        select format('lane %s is halted: %s', lane, halt_reason) as broken from lanes
        where halt_reason is not null
        """,
    ),
    Rule(
        "records_have_one_disposition",
        "the counters of every lane add up to its offsets",
        """
        select format('lane %s has read %s records and accounts for %s', lane, read, counted) as broken
        from lanes, lateral (select coalesce(sum(a - b), 0) as read
                from unnest(next_offsets, first_offsets) as o(a, b)) as offsets,
            lateral (select sum(c) as counted from unnest(counters) as c) as dispositions
        where read <> counted
        """,
    ),
    Rule(
        "lane_sequence_is_dense",
        "every lane's journal goes from its first entry to the lane's own number without a gap",
        """
        select format('lane %s ends at %s, and its journal has %s entries from %s to %s',
            lane, lane_seq, n, first, last) as broken
        from lanes left join (
            select lane, count(*) as n, min(lane_seq) as first, max(lane_seq) as last from journal group by lane
        ) as entries using (lane)
        where lane_seq <> coalesce(last, 0) or (n is not null and n <> last - first + 1)
        """,
    ),
    Rule(
        "versions_are_dense",
        "every order's journal goes from version 1 to the order's own without a gap",
        """
        select format('order %s is at version %s, and its journal has %s entries from %s to %s',
            order_id, version, n, first, last) as broken
        from orders full join (
            select lane, order_id, count(*) as n, min(version) as first, max(version) as last
            from journal group by lane, order_id
        ) as entries using (lane, order_id)
        where version is distinct from last or n is distinct from last or first is distinct from 1
        """,
    ),
    Rule(
        "states_follow_one_another",
        "each entry begins in the state in which the one before it ended, and no total ever falls",
        """
        select format('order %s: version %s comes from %s after %s', order_id, version,
            coalesce(previous_state, 'nothing'), coalesce(state_before, 'nothing'))
            || case when previous_state is distinct from state_before then '' else ', and a total falls' end
                as broken
        from (
            select order_id, version, told.*,
                lag(state) over by_version as state_before,
                lag(frozen_minor) over by_version as frozen_before,
                lag(taken_minor) over by_version as taken_before,
                lag(released_minor) over by_version as released_before,
                lag(refunded_minor) over by_version as refunded_before
            -- Each event is parsed once: that is most of the time that this takes.
            from journal, json_to_record(event) as told(previous_state text, state text,
                frozen_minor bigint, taken_minor bigint, released_minor bigint, refunded_minor bigint)
            window by_version as (partition by lane, order_id order by version)
        ) as entries
        where previous_state is distinct from state_before
            or frozen_before > frozen_minor or taken_before > taken_minor
            or released_before > released_minor or refunded_before > refunded_minor
        """,
    ),
    Rule(
        "facts_are_those_of_the_journal",
        "every order stands where its last entry says",
        """
        select format('order %s differs from its last entry', o.order_id) as broken
        from orders as o join journal as j
            on j.lane = o.lane and j.order_id = o.order_id and j.version = o.version and j.born = o.born
        where o.state is distinct from event->>'state'
            or o.frozen_minor is distinct from (event->>'frozen_minor')::bigint
            or o.taken_minor is distinct from (event->>'taken_minor')::bigint
            or o.released_minor is distinct from (event->>'released_minor')::bigint
            or o.refunded_minor is distinct from (event->>'refunded_minor')::bigint
        """,
    ),
    Rule(
        "operations_add_up",
        "what succeeded is in the totals, and at most one operation of an order is live, that of its row",
        """
        select format('order %s: its operations do not agree with it', order_id) as broken
        from orders left join (
            select lane, order_id,
                coalesce(sum(amount_minor) filter (where kind = 'capture' and state = 'succeeded'), 0) as captured,
                coalesce(sum(amount_minor) filter (where kind = 'release' and state = 'succeeded'), 0) as released,
                coalesce(sum(amount_minor) filter (where kind = 'refund' and state = 'succeeded'), 0) as refunded,
                count(*) filter (where state in ('reserved', 'submitting', 'unknown')) as live,
                max(kind) filter (where state in ('reserved', 'submitting', 'unknown')) as live_one
            from operations group by lane, order_id
        ) as done using (lane, order_id)
        where captured > taken_minor or done.released > released_minor or refunded > refunded_minor
            or coalesce(live, 0) > 1 or live_one is distinct from live_kind
        """,
    ),
    Rule(
        "parked_records_wait_for_unknown_orders",
        "nothing is parked whose order is known",
        """
        select format('%s[%s]@%s waits for order %s, which is known',
            topic, lane, record_offset, order_id) as broken
        from parked join orders using (lane, order_id)
        """,
    ),
)


async def checks(connection: asyncpg.Connection) -> list[Check]:
    """Every rule's check, over the connection's snapshot."""
    answers = [_check(rule.name, rule.says, await _broken(connection, rule.query)) for rule in RULES]
    invariants, forgotten = await _orders(connection)
    return [
        *answers,
        _check("orders_keep_the_invariants", "every order keeps the invariants of the lifecycle", invariants),
        _check("orders_are_not_forgotten", "what is not at rest has an operation or a timer under way", forgotten),
    ]


async def _broken(connection: asyncpg.Connection, query: str) -> list[str]:
    return [row["broken"] for row in await connection.fetch(f"{query} limit {SHOWN}")]


async def _orders(connection: asyncpg.Connection) -> tuple[list[str], list[str]]:
    invariants: list[str] = []
    forgotten: list[str] = []
    query = """
        select orders.*, due_at from orders left join timers using (lane, order_id) order by lane, order_id
    """
    async for row in connection.cursor(query, prefetch=ORDERS_A_FETCH):
        try:
            order = from_row(row)
        except BrokenInvariantError as error:
            invariants.append(str(error))
            continue
        wake = wake_at(order)
        if (wake is None) != (row["due_at"] is None) or (wake is not None and row["due_at"] < wake):
            forgotten.append(
                f"order {order.order_id} wants to be woken at {wake}, and its timer says {row['due_at']}"
            )
    return invariants, forgotten


def _check(name: str, says: str, broken: Sequence[str]) -> Check:
    if not broken:
        return Check(name, ok=True, detail=says)
    more = f" … and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    return Check(name, ok=False, detail=f"{'; '.join(broken[:SHOWN])}{more}")
