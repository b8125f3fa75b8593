"""Aborted transactions that a fetch no longer touches, taken out of its answer.

A read_committed fetch is answered with the aborted transactions that its records touch, and the client drops
their producers' records until it comes upon the end of each. The embedded broker names all that it ever
aborted: one whose end lies before the fetch is never seen to end, and every later record of that producer is
dropped, committed or not. So a reader that begins in the middle would miss what is there (the relay, which
reads the tail of its own output, would publish it again).
"""

from collections.abc import Sequence

from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords

# Producer id and first offset, as the answer has them.
Aborted = tuple[int, int]


def without_stale(aborted: Sequence[Aborted], fetched_from: int, records: bytes) -> list[Aborted]:
    """Those of the aborted transactions that had not ended when the fetch begins, and those that begin in it.

    One that began before has ended before, when its producer's first end in the records is a commit, or an
    abort that a transaction begun in them accounts for. Where no end is in sight it counts as open.
    """
    earlier = [each for each in aborted if each[1] < fetched_from]
    if not earlier:
        return list(aborted)
    within = [each for each in aborted if each[1] >= fetched_from]
    # A producer has one transaction at a time: of its earlier ones only the last can still be open.
    last = {producer_id: max(o for p, o in earlier if p == producer_id) for producer_id, _ in earlier}
    ends = _first_ends(records, fetched_from)
    still_open = []
    for producer_id, first_offset in last.items():
        offset, is_abort = ends.get(producer_id, (fetched_from, True))
        begun_since = any(p == producer_id and o <= offset for p, o in within)
        if is_abort and not begun_since:
            still_open.append((producer_id, first_offset))
    return still_open + within


def _first_ends(records: bytes, fetched_from: int) -> dict[int, tuple[int, bool]]:
    """For each producer the offset of its first end of a transaction, and whether that is an abort."""
    ends: dict[int, tuple[int, bool]] = {}
    batches = MemoryRecords(records)
    while batches.has_next():
        batch = batches.next_batch()
        if not batch.is_control_batch or batch.producer_id in ends or batch.base_offset < fetched_from:
            continue
        marker = next(iter(batch))
        ends[batch.producer_id] = batch.base_offset, ControlRecord.parse(marker.key) == ABORT_MARKER
    return ends
