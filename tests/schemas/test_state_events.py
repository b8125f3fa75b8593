"""`payment.state-events` and `payment.order-strings`: an open schema, for consumers of today and of tomorrow."""

from datetime import UTC, datetime

import pytest

from schemas.state_events import OrderStringRecord, StateEvent
from tests.schemas.samples import ORDER_STRING, STATE_EVENT, is_taken, read, without

EVENT, STRING = "payment.state-events/state_event", "payment.order-strings/order_string"


def test_a_state_event_goes_out_and_reads_back() -> None:
    event = read(STATE_EVENT, EVENT)
    assert isinstance(event, StateEvent)
    assert event.recorded_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert event.model_dump(mode="json") == STATE_EVENT
    assert StateEvent.model_validate(STATE_EVENT | {"recorded_at": event.recorded_at}) == event


def test_an_order_string_goes_out_and_reads_back() -> None:
    record = read(ORDER_STRING, STRING)
    assert isinstance(record, OrderStringRecord)
    assert record.model_dump(mode="json") == ORDER_STRING


@pytest.mark.parametrize(("sample", "name"), [(STATE_EVENT, EVENT), (ORDER_STRING, STRING)])
def test_fields_and_words_may_be_added_and_none_left_out(sample: dict[str, object], name: str) -> None:
    assert read(sample | {"new": "field"}, name).model_extra == {"new": "field"}
    for field in sample:
        assert not is_taken(without(sample, field), name), field
    words = {"state": "a_new_state", "trigger": "a_new_trigger", "flags": ["a_new_flag"], "kind": "a_new_kind"}
    assert is_taken(STATE_EVENT | words, EVENT)


def test_a_time_without_a_zone_does_not_go_out() -> None:
    naive = datetime(2026, 3, 1, 12, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="timezone"):
        StateEvent.model_validate(STATE_EVENT | {"recorded_at": naive})
