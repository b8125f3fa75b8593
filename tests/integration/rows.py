"""Small batches as a lane commits them, for the tests of the store."""

from datetime import UTC, datetime

from schemas.vocabulary import Kind, LatePayment
from service.store.commit import BatchRows, JournalEntry
from service.store.lanes import LaneRow
from statemachine.order import Order

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def an_order(**changes: object) -> Order:
    """Order o1, a payment at its first version, with these facts changed."""
    order = Order(
        "o1", Kind.PAYMENT, "mall", "CNY", 100, "A mug", 900, 900, 3600, LatePayment.REFUND, NOW, {"a": "b"}
    )
    order.version = 1
    for name, value in changes.items():
        setattr(order, name, value)
    return order


def a_batch(lane: LaneRow, seq: int = 0, offset: int = 0, *ordered: Order) -> BatchRows:
    """One record of orders.events that leads to one journal entry for each order."""
    entries = [
        JournalEntry(seq + n, order.order_id, order.version, order, b'{"event_id": "x", "state": "paid"}')
        for n, order in enumerate(ordered, 1)
    ]
    return BatchRows(
        lane=lane.lane,
        epoch=lane.epoch,
        seq=seq,
        next_seq=seq + len(entries),
        published_seq=0,
        offsets=[offset, 0, 0],
        next_offsets=[offset + 1, 0, 0],
        counted=[1, 0, 0, 0, 0, 0, 0, 0, 0],
        orders={order.order_id: order for order in ordered},
        journal=entries,
    )
