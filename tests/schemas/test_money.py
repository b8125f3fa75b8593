"""Minor units and the decimals that wallets print: exact both ways, and nothing doubtful is taken."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import MAX_AMOUNT_MINOR, InvalidMoneyError, exponent, from_decimal, to_decimal

# One currency for each exponent that ISO 4217 has.
CURRENCIES = {"JPY": 0, "CNY": 2, "KWD": 3, "CLF": 4}
currencies = st.sampled_from(sorted(CURRENCIES))
amounts = st.integers(0, MAX_AMOUNT_MINOR)


@pytest.mark.parametrize(("currency", "places"), CURRENCIES.items())
def test_the_exponent_is_the_one_of_iso_4217(currency: str, places: int) -> None:
    assert exponent(currency) == places


# UGX and ISK have none, whatever a display library makes of them; HUF has two.
@pytest.mark.parametrize(("currency", "places"), [("UGX", 0), ("ISK", 0), ("HUF", 2), ("TWD", 2), ("BHD", 3)])
def test_the_exponent_is_not_a_habit_of_display(currency: str, places: int) -> None:
    assert exponent(currency) == places


@pytest.mark.parametrize(
    "code", ["", "cny", "CNY ", "156", "RMB", "CN", "CNYX", "Yuan Renminbi", "\u0421NY", "C\0Y"]
)
def test_what_iso_4217_does_not_list_is_no_currency(code: str) -> None:
    with pytest.raises(InvalidMoneyError, match="is not an ISO 4217 currency code"):
        exponent(code)


@pytest.mark.parametrize("code", ["XAU", "XXX", "XDR"])
def test_what_has_no_minor_unit_is_no_money(code: str) -> None:
    with pytest.raises(InvalidMoneyError, match=f"{code} has no minor unit"):
        exponent(code)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (1234, "CNY", "12.34"),
        (5, "CNY", "0.05"),
        (0, "CNY", "0.00"),
        (5, "JPY", "5"),
        (0, "JPY", "0"),
        (1234, "KWD", "1.234"),
        (1, "KWD", "0.001"),
        (12345, "CLF", "1.2345"),
        (MAX_AMOUNT_MINOR, "CNY", "10000000000.00"),
    ],
)
def test_an_amount_is_printed_as_wallets_print_it(amount_minor: int, currency: str, text: str) -> None:
    assert to_decimal(amount_minor, currency) == text
    assert from_decimal(text, currency) == amount_minor


def test_a_negative_amount_is_not_printed() -> None:
    with pytest.raises(InvalidMoneyError, match="may not be negative: -1"):
        to_decimal(-1, "CNY")


@given(amounts, currencies)
def test_what_is_printed_reads_back(amount_minor: int, currency: str) -> None:
    assert from_decimal(to_decimal(amount_minor, currency), currency) == amount_minor


@given(amounts, currencies, st.integers(0, 3))
def test_zeros_at_the_end_change_nothing(amount_minor: int, currency: str, zeros: int) -> None:
    text = to_decimal(amount_minor, currency)
    shorter = text.rstrip("0") + "0" if "." in text else text
    assert from_decimal(shorter, currency) == amount_minor
    if "." in text and amount_minor < MAX_AMOUNT_MINOR // 1_000:
        assert from_decimal(text + "0" * zeros, currency) == amount_minor


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", ".5", "5.", "1.2.3", "-1", "+1", "-0", "1e2", "1E2", "0x10", "1_000", "1,000", "1,5",
        " 1", "1 ", "1\n", "1\0", "1. 5", "\u0661\u0662", "1.\u0665", "\uff11\uff12", "²", "½",
        "NaN", "Infinity", "inf", "¥1", "1CNY", "\ud800",
    ],
)  # fmt: skip
@pytest.mark.parametrize("currency", CURRENCIES)
def test_what_is_not_plainly_a_decimal_is_refused(text: str, currency: str) -> None:
    with pytest.raises(InvalidMoneyError, match="is not a decimal amount"):
        from_decimal(text, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("1.5", "JPY"), ("1.005", "CNY"), ("0.001", "CNY"), ("1.0001", "KWD"), ("1.00001", "CLF")],
)
def test_more_places_than_the_currency_has_are_refused_and_not_rounded(text: str, currency: str) -> None:
    with pytest.raises(InvalidMoneyError, match=f"more than the {CURRENCIES[currency]} decimal places"):
        from_decimal(text, currency)


@pytest.mark.parametrize("text", ["10000000000.01", "10000000001", "9" * 17, "9" * 100_000, "0." + "0" * 100_000])
def test_more_than_one_trade_can_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidMoneyError, match="is more than one trade can be") as refused:
        from_decimal(text, "CNY")
    assert len(str(refused.value)) < 100


def test_an_amount_in_no_currency_is_refused() -> None:
    for convert in (lambda: to_decimal(1, "XAU"), lambda: from_decimal("1", "cny")):
        with pytest.raises(InvalidMoneyError):
            convert()


@given(st.text(max_size=30) | st.from_regex(r"[+-]?[0-9]*\.?[0-9]*([eE][0-9]+)?", fullmatch=True), currencies)
def test_any_text_is_an_amount_in_range_or_refused(text: str, currency: str) -> None:
    try:
        amount_minor = from_decimal(text, currency)
    except InvalidMoneyError:
        return
    assert 0 <= amount_minor <= MAX_AMOUNT_MINOR
    assert set(text) <= set("0123456789.")
    assert Decimal(to_decimal(amount_minor, currency)) == Decimal(text)
