"""What a lane takes first of what has been read for it."""

from aiokafka import ConsumerRecord

from schemas.vocabulary import INPUT_TOPICS, Topic
from service.lanes.lane_queue import LaneQueue


def record(topic: Topic, offset: int, timestamp: int) -> ConsumerRecord:
    return ConsumerRecord(str(topic), 0, offset, timestamp, 0, b"o1", b"{}", 0, 2, 2, ())


def queue(*records: ConsumerRecord) -> LaneQueue:
    filled = LaneQueue(0, [0, 0, 0], lambda _: None)
    for each in records:
        filled.records[INPUT_TOPICS.index(each.topic)].append(each)
    filled.ready.set()
    return filled


def test_a_callback_does_not_overtake_the_creation_of_its_order() -> None:
    lane = queue(record(Topic.CALLBACKS, 0, 20), record(Topic.ORDERS, 0, 10), record(Topic.ORDERS, 1, 30))
    assert [each.timestamp for each in lane.take(10)] == [10, 20, 30]


def test_of_the_same_millisecond_the_order_comes_first() -> None:
    lane = queue(record(Topic.CALLBACKS, 0, 10), record(Topic.COMPLETIONS, 0, 10), record(Topic.ORDERS, 0, 10))
    assert [each.topic for each in lane.take(10)] == [Topic.ORDERS, Topic.CALLBACKS, Topic.COMPLETIONS]


def test_a_partition_keeps_its_own_sequence_whatever_its_timestamps_say() -> None:
    lane = queue(record(Topic.ORDERS, 0, 50), record(Topic.ORDERS, 1, 10), record(Topic.CALLBACKS, 0, 20))
    assert [(each.topic, each.offset) for each in lane.take(10)] == [
        (Topic.CALLBACKS, 0),
        (Topic.ORDERS, 0),
        (Topic.ORDERS, 1),
    ]


def test_no_more_is_taken_than_asked_for_and_ready_says_whether_there_is_more() -> None:
    lane = queue(*(record(Topic.ORDERS, n, n) for n in range(5)), record(Topic.CALLBACKS, 0, 3))
    assert len(lane.take(4)) == 4
    assert lane.waiting() == 2
    assert lane.ready.is_set()
    assert len(lane.take(4)) == 2
    assert not lane.ready.is_set()
    assert lane.take(4) == []
