"""`service.completions`: what the service cost."""

from typing import Any

import pytest

from schemas.completions import COMPLETION
from schemas.money import MAX_AMOUNT_MINOR
from tests.schemas.samples import COMPLETED, is_taken, read, with_number, without


def test_a_completion_is_the_last_one_unless_it_says_otherwise() -> None:
    done = read(COMPLETED)
    assert (done.completion_id, done.amount_minor, done.currency, done.final) == ("c1", 12_000, "CNY", True)
    assert read(COMPLETED | {"final": False}).final is False
    assert COMPLETION.validate_json('{"type": "service.completed", "event_id": "e3", "order_id": "o1", '
        '"occurred_at": "2026-03-01T12:00:00Z", "completion_id": "c1", "amount_minor": 12000, "currency": "CNY"}'
    ) == done  # fmt: skip


def test_a_service_may_have_cost_nothing() -> None:
    for amount_minor in (0, MAX_AMOUNT_MINOR):
        assert read(COMPLETED | {"amount_minor": amount_minor}).amount_minor == amount_minor
    for amount_minor in (-1, MAX_AMOUNT_MINOR + 1):
        assert not is_taken(COMPLETED | {"amount_minor": amount_minor})


@pytest.mark.parametrize(
    "digits", ["-0", "0.0", "-0.0", "1E5", "1e400", "1" + "0" * 30, "12000.0", '"12000"', "true"]
)
def test_a_cost_is_a_plain_integer(digits: str) -> None:
    assert not is_taken(with_number(COMPLETED, "amount_minor", digits))


@pytest.mark.parametrize("wrong", [0, 1, "true", None, []])
def test_final_is_said_with_a_boolean(wrong: Any) -> None:
    assert not is_taken(COMPLETED | {"final": wrong})


def test_a_completion_has_an_id_of_its_own() -> None:
    assert is_taken(COMPLETED | {"completion_id": "x" * 64})
    for wrong in ("", "x" * 65, 1, None):
        assert not is_taken(COMPLETED | {"completion_id": wrong})


def test_a_field_that_must_be_there_may_not_be_missing() -> None:
    for field in COMPLETED:
        assert not is_taken(without(COMPLETED, field), "service.completions/service.completed"), field
    assert read(COMPLETED | {"new": 1}) == read(COMPLETED)
