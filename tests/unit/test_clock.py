"""The database's clock as a worker carries it on: never behind what was last told, never ahead for long."""

from datetime import UTC, datetime, timedelta

from service.clock import SET_BACK_S, DatabaseClock

TOLD = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


async def test_it_goes_on_by_itself() -> None:
    clock = DatabaseClock(TOLD)
    first = clock.now()
    assert TOLD <= first <= clock.now()


async def test_an_answer_that_comes_late_does_not_set_it_back() -> None:
    clock = DatabaseClock(TOLD)
    # Half a second old when it gets here. A timer that was due by the database's clock stays due by ours.
    clock.sync(TOLD - timedelta(seconds=0.5))
    assert clock.now() >= TOLD


async def test_a_later_time_is_taken_over_at_once() -> None:
    clock = DatabaseClock(TOLD)
    clock.sync(TOLD + timedelta(hours=1))
    assert clock.now() >= TOLD + timedelta(hours=1)


async def test_a_clock_that_was_set_back_is_followed() -> None:
    clock = DatabaseClock(TOLD)
    back = TOLD - timedelta(seconds=SET_BACK_S + 60)
    clock.sync(back)
    assert back <= clock.now() < TOLD
