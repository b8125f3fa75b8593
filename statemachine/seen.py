"""The ids of inputs that an order has taken: the same one again is a duplicate.

Each id is kept under the letter of its source. What upstream sends is never forgotten, and so it is bounded;
a wallet repeats itself for a day, and its totals make an older repeat harmless, so only its last ids stay.
"""

from statemachine.order import Order

EVENT = "e:"
CALLBACK = "w:"
COMPLETION = "c:"
REFUND = "r:"

# An order's own life takes a dozen; more is a producer gone wrong, and the row must stay small.
MAX_UPSTREAM_INPUTS = 200
# What a buyer's client can cause must leave room for what a service and a merchant have to say.
MAX_INPUTS_WITH_CLIENTS = 100
# A wallet sends one callback 8 times at the most, and few different ones are under way at once.
REMEMBERED_CALLBACKS = 32


def is_seen(order: Order, source: str, identity: str) -> bool:
    """Whether an input with this id has been taken."""
    return source + identity in order.seen


def creation_of(order: Order) -> str:
    """The id of the event that made the order: the first that it took, and upstream's are never forgotten."""
    return order.seen[0].removeprefix(EVENT)


def is_full(order: Order, most: int) -> bool:
    """Whether upstream has sent so much about one order."""
    return len(order.seen) >= most and sum(each.startswith(EVENT) for each in order.seen) >= most


def remember(order: Order, source: str, identity: str) -> None:
    """Takes the id down; of callbacks only the last few stay."""
    if source is CALLBACK and len(order.seen) >= REMEMBERED_CALLBACKS:
        callbacks = [each for each in order.seen if each.startswith(CALLBACK)]
        if len(callbacks) >= REMEMBERED_CALLBACKS:
            forgotten = callbacks[0]
            order.seen = tuple(each for each in order.seen if each != forgotten)
    order.seen = (*order.seen, source + identity)
