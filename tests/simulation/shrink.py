"""Makes a failing story shorter: takes things out of it, one after another, as long as it still fails."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.authors import Buyer, OrderPlan, Temper
from tests.simulation.faults import MOST
from tests.simulation.plan import Plan

# Worlds that are run for it: half a minute at the most.
MAX_TRIES = 400


def shortest(plan: Plan, fails: Callable[[Plan], BaseException | None]) -> Plan:
    """The smallest plan that was found to fail in the same way."""
    error = fails(plan)
    if error is None:
        return plan
    kind = _kind(error)
    tries = 0
    while True:
        for smaller in _smaller(plan):
            tries += 1
            error = fails(smaller)
            if error is not None and _kind(error) == kind:
                plan = smaller
                break
            if tries >= MAX_TRIES:
                return plan
        else:
            return plan


def _kind(error: Exception) -> str:
    """Which rule was broken: what stands before the first colon."""
    return f"{type(error).__name__} {str(error).partition(':')[0]}"


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Whole orders first, then kinds of faults and narrow limits, then acts."""
    orders = plan.orders
    for n in range(len(orders)):
        if len(orders) > 1:
            yield replace(plan, orders=orders[:n] + orders[n + 1 :])
    fewer = sorted(kind for kind in MOST if plan.rates[kind] and kind not in plan.without)
    if len(fewer) > 1:
        yield replace(plan, without=plan.without | set(fewer))
        yield replace(plan, without=plan.without | set(fewer[::2]))
        yield replace(plan, without=plan.without | set(fewer[1::2]))
    for kind in fewer:
        yield replace(plan, without=plan.without | {kind})
    if plan.limits:
        yield replace(plan, limits={})
    if plan.workers > 1:
        yield replace(plan, workers=plan.workers - 1)
    for n, order in enumerate(orders):
        for less in _less(order):
            yield replace(plan, orders=(*orders[:n], less, *orders[n + 1 :]))


def _less(order: OrderPlan) -> Iterator[OrderPlan]:
    """Without its buyer, with an ordinary wallet, and without each of its acts."""
    if order.buyer.acts:
        yield replace(order, buyer=Buyer())
    if order.temper != Temper():
        yield replace(order, temper=Temper())
    for m in range(len(order.acts)):
        yield replace(order, acts=order.acts[:m] + order.acts[m + 1 :])
