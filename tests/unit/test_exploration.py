"""Every order of a small world, from every input in every order: the rules hold, and every row is walked."""

from dataclasses import replace

import pytest

from schemas.vocabulary import Flag
from statemachine.diagram import RESTING
from statemachine.lifecycle import ROWS
from statemachine.order import Order
from tests.unit.exploration import POLICY, World, explore, steps_from, untraced, worlds
from tests.unit.honest_wallet import HonestWallet, comes_to_rest
from tests.unit.sameness import facts

_GAVE_UP = {Flag.NEEDS_REVIEW, Flag.CLOSE_UNCONFIRMED, Flag.RELEASE_REJECTED}


def _may_be_done(order: Order) -> tuple[bool, ...]:
    """Whether the wallet may have carried out the live operation already: both, once it has been sent."""
    return (False, True) if order.operation and order.operation.attempts else (False,)


@pytest.fixture(scope="module")
def explored() -> list[World]:
    found = worlds()
    for world in found:
        explore(world)
        print(f"{world.name}: {len(world.orders)} orders, {world.tried} decisions")
    return found


def test_every_rule_holds_in_every_order_that_can_come_about(explored: list[World]) -> None:
    # `explore` raises for the first decision that breaks one.
    assert all(len(world.orders) > 50 for world in explored)


@untraced
def test_orders_that_count_as_one_have_one_future(explored: list[World]) -> None:
    # A sample. For all of them it was shown once, by exploring with a much finer idea of what is the same.
    for world in explored:
        for here, twin in list(world.twins.items())[::16]:
            steps = {(there, moves) for there, _, moves in steps_from(world, replace(twin, seen=()))}
            assert steps == world.steps[here], f"{world.orders[here]}\nand {twin}"


def test_every_row_of_the_table_is_walked(explored: list[World]) -> None:
    walked = {move for world in explored for steps in world.steps.values() for _, moves in steps for move in moves}
    rows = {(row.trigger, row.source, row.dest) for rows in ROWS.values() for row in rows}
    not_walked = sorted(rows - walked)
    for trigger, source, dest in not_walked:
        print(f"never walked: {source} -- {trigger} --> {dest}")
    assert not not_walked
    assert walked <= rows


@untraced
def test_every_order_comes_to_rest_with_an_honest_wallet(explored: list[World]) -> None:
    for world in explored:
        for order in world.orders.values():
            for done in _may_be_done(order):
                wallet = HonestWallet(order, done=done)
                rested = comes_to_rest(order, wallet)
                # Where the wallet had refused too often before, a person looks: that is rest, too.
                at_rest = rested.state in RESTING and rested.held_minor == 0
                assert at_rest or refused_too_often(rested), f"{order}\nended as {rested}"
                assert facts(rested) == tuple(wallet.totals.values()), f"{order}\nended as {rested}"


@untraced
def test_an_order_in_doubt_comes_to_know_what_the_wallet_did_on_its_own(explored: list[World]) -> None:
    doubts = 0
    for world in explored:
        for order in world.orders.values():
            if order.doubt is None or order.refunded_minor == order.taken_minor:
                continue
            for done in _may_be_done(order):
                wallet = HonestWallet(order, done=done)
                if wallet.totals["refunded"] == wallet.totals["taken"]:
                    continue
                wallet.totals["refunded"] += 1
                rested = comes_to_rest(order, wallet)
                assert facts(rested) == tuple(wallet.totals.values()), f"{order}\nended as {rested}"
                doubts += 1
    assert doubts > 10


def refused_too_often(order: Order) -> bool:
    return Flag.NEEDS_REVIEW in order.flags and order.request_counts.get("R", 0) >= POLICY.close_sweeps


@untraced
def test_every_order_comes_to_rest_with_a_wallet_that_refuses_everything(explored: list[World]) -> None:
    for world in explored:
        for order in world.orders.values():
            wallet = HonestWallet(order, refuses=True)
            rested = comes_to_rest(order, wallet)
            assert rested.state in RESTING or rested.flags & _GAVE_UP, f"{order}\nended as {rested}"
            assert rested.held_minor == 0 or Flag.NEEDS_REVIEW in rested.flags, f"{order}\nended as {rested}"
            assert facts(rested) == tuple(wallet.totals.values()), f"{order}\nended as {rested}"
