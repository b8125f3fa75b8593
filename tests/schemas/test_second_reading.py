"""A second opinion: random texts, read strictly and fast by the service, and slowly and plainly here."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.strict_json import MalformedRecordError, loads_object


class RefusedError(Exception):
    """What the reference below does not take."""


def reference(raw: bytes) -> Any:
    """The same rules as plainly as they can be written, and as slowly."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise RefusedError
        return dict(pairs)

    def number(digits: str) -> int:
        if digits == "-0":
            raise RefusedError
        return int(digits)

    def constant(_: str) -> None:
        raise RefusedError

    try:
        value = json.loads(raw.decode(), object_pairs_hook=members, parse_int=number, parse_constant=constant)
    except ValueError:
        raise RefusedError from None
    if not isinstance(value, dict):
        raise RefusedError
    for text in texts(value):
        if any(each == "\0" or "\ud800" <= each <= "\udfff" for each in text):
            raise RefusedError
    return value


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    if isinstance(value, dict):
        return [*value, *(text for each in value.values() for text in texts(each))]
    return []


def agrees_with_the_reference(raw: bytes) -> None:
    try:
        expected = reference(raw)
    except RefusedError:
        with pytest.raises(MalformedRecordError):
            loads_object(raw)
        return
    assert loads_object(raw) == expected


# A string as it may be written between quotes: plain, escaped, and with what must not be there.
pieces = st.sampled_from(
    [
        "a",
        "b",
        "充",
        "-0,",
        ":",
        "{",
        "\\u0061",
        "\\/",
        "/",
        '\\"',
        "\\\\",
        "\\u0000",
        "\\n",
        "\\ud83d",
        "\\ude00",
        "😀",
    ]
)
strings = st.lists(pieces, max_size=3).map(lambda parts: f'"{"".join(parts)}"')
numbers = st.sampled_from(["0", "1", "-0", "-1", "-0.0", "1.5", "1e2", "12345678901"])
scalars = st.one_of(strings, numbers, st.sampled_from(["true", "false", "null"]))
blanks = st.sampled_from(["", " ", "\n"])


def lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=3).map(lambda each: f"[{','.join(each)}]")


def objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds("{}{}:{}{}".format, strings, blanks, blanks, inner)
    return st.lists(member, max_size=4).map(lambda each: f"{{{','.join(each)}}}")


values = st.recursive(scalars, lambda inner: lists(inner) | objects(inner), max_leaves=8)


@given(objects(values))
@example('{"a":[["\\u0000"]]}')
@example('{"a":"x","a":"x"}')
def test_what_is_taken_is_what_the_slow_reading_takes(text: str) -> None:
    agrees_with_the_reference(text.encode())


@given(st.text(st.sampled_from('{}[]":,\\u0061-e.n \n\0'), max_size=24).map(str.encode) | st.binary(max_size=24))
def test_any_bytes_are_a_record_or_refused(raw: bytes) -> None:
    for given_bytes in (raw, b'{"a":' + raw + b"}"):
        try:
            value = loads_object(given_bytes)
        except MalformedRecordError:
            continue
        assert value == reference(given_bytes)
