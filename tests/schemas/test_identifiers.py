"""Order ids and request numbers: a number that comes back from a wallet still names its order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import (
    MAX_ORDER_ID_LENGTH,
    InvalidOrderIdError,
    check_order_id,
    is_request_number,
    order_id_of,
    request_number,
)

ORDER_IDS = ["o", "0", "o1", "A_b_9", "_o", "x" * MAX_ORDER_ID_LENGTH]
order_ids = st.from_regex(r"\A_?([A-Za-z0-9]{1,6}_){0,5}[A-Za-z0-9]{1,10}\Z")
letters = st.sampled_from("FCRVB")


@pytest.mark.parametrize("text", ORDER_IDS)
def test_an_order_id(text: str) -> None:
    assert check_order_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "_", "o_", "__", "o__1", "__o", "o1__C1", "o-1", "o.1", "o 1", " o", "o ", "o\n", "\no", "o\0", "ö",
        "\u0663", "\uff4f", "\ud800", "x" * (MAX_ORDER_ID_LENGTH + 1), "x" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_order_id_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(InvalidOrderIdError, match="is not an order id: 1 to 48 of A-Z a-z 0-9 _") as refused:
        check_order_id(text)
    assert len(str(refused.value)) < 400
    assert "\0" not in str(refused.value)


@given(order_ids, letters, st.integers(1, 999_999))
def test_a_request_number_names_its_order(order_id: str, letter: str, n: int) -> None:
    number = request_number(check_order_id(order_id), letter, n)
    assert number == f"{order_id}__{letter}{n}"
    assert is_request_number(number)
    assert order_id_of(number) == order_id


@given(order_ids)
def test_an_order_id_names_itself_and_is_no_request_number(order_id: str) -> None:
    assert order_id_of(order_id) == order_id
    assert not is_request_number(order_id)


@pytest.mark.parametrize(
    "number",
    [
        "o1__X1", "o1__c1", "o1__C", "o1__C0", "o1__C01", "o1__C1000000", "o1__C1\n", "o1__C-1", "o1__C\u0661",
        "o1__C1__C1", "o1___C1", "__C1", "o-1__C1", "o1\n__C1", "", "x" * 49 + "__C1",
    ],
)  # fmt: skip
def test_a_number_that_names_no_order_is_refused(number: str) -> None:
    with pytest.raises(InvalidOrderIdError):
        order_id_of(number)


@given(st.text(st.sampled_from("oC_1\n\0-é"), max_size=12))
def test_any_text_names_an_order_or_is_refused(text: str) -> None:
    try:
        order_id = order_id_of(text)
    except InvalidOrderIdError:
        return
    assert check_order_id(order_id) == order_id
    assert text == order_id or text.startswith(f"{order_id}__")
