"""JSON as the contracts want it: UTF-8, one object, no repeated keys, no NaN, no NUL, no lone surrogates.

Parsers disagree about which of two equal keys counts, and about -0, and money must not depend on that.
"""

import json
import re
from typing import Any

import orjson

# Postgres cannot hold a longer text comfortably in one row, and no honest record comes near it.
MAX_RECORD_BYTES = 1_048_576
# Deeper nesting than this is an attack on a recursive parser, not a record.
MAX_DEPTH = 32
# How a -0 ends. It may be in a string, or in an exponent; the slow scan knows.
_MINUS_ZERO = re.compile(rb"-0[ \t\r\n,\]}]")


class MalformedRecordError(ValueError):
    """Bytes that are not a record; the message says why in an operator's words."""


def loads_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises MalformedRecordError, never anything else."""
    if len(raw) > MAX_RECORD_BYTES:
        raise MalformedRecordError(f"the record has {len(raw)} bytes; at most {MAX_RECORD_BYTES} are taken")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedRecordError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise MalformedRecordError(f"not a JSON object but {_name_of(value)}")
    strings = _strings_in(value, MAX_DEPTH)
    # Without a backslash every quote in the text delimits a string, so keys and strings can be counted:
    # a repeated key would have left two quotes too many. This spares the slow scan below nearly always.
    if b"\\" in raw or raw.count(b'"') != 2 * strings or _MINUS_ZERO.search(raw):
        _scan_slowly(raw)
    return value


def _strings_in(value: dict[str, Any] | list[Any], depth: int) -> int:
    """How many keys and strings there are; refuses what is nested more than `depth` deep."""
    if depth == 0:
        raise MalformedRecordError(f"nested deeper than {MAX_DEPTH}")
    count, items = (len(value), value.values()) if isinstance(value, dict) else (0, value)
    for item in items:
        if isinstance(item, str):
            count += 1
        elif isinstance(item, (dict, list)):
            count += _strings_in(item, depth - 1)
    return count


def _scan_slowly(raw: bytes) -> None:
    """The whole check, for texts with escapes, with a repeated key, or with what looks like a -0."""

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, item in pairs:
            if key in members:
                raise MalformedRecordError(f"the key {key[:60]!r} is repeated")
            if "\0" in key or _holds_nul(item):
                raise MalformedRecordError(f"there is a NUL character at {key[:60]!r}")
            members[key] = item
        return members

    try:
        json.loads(raw, object_pairs_hook=no_repeats, parse_int=_no_minus_zero)
    except RecursionError:
        # Under a repeated key, of which the fast parser has kept the other, shallow value.
        raise MalformedRecordError(f"nested deeper than {MAX_DEPTH}") from None


def _holds_nul(item: object) -> bool:
    """Whether a string, or a list at any depth, holds one. An object in it has been looked at before."""
    if isinstance(item, list):
        return any(_holds_nul(each) for each in item)
    return isinstance(item, str) and "\0" in item


def _no_minus_zero(digits: str) -> int:
    if digits == "-0":
        raise MalformedRecordError("-0 is not an amount, and not every parser reads it as 0")
    return int(digits)


def _name_of(value: object) -> str:
    names = {str: "a string", int: "a number", float: "a number", bool: "a boolean", list: "an array"}
    return names.get(type(value), "null")
