"""JSON as the contracts want it: UTF-8, one object, no repeated keys, no NaN, no NUL, no lone surrogates.

Parsers disagree about which of two equal keys counts, and money must not depend on that.
"""

import json
from typing import Any

import orjson

# Postgres cannot hold a longer text comfortably in one row, and no honest record comes near it.
MAX_RECORD_BYTES = 1_048_576
# Deeper nesting than this is an attack on a recursive parser, not a record.
MAX_DEPTH = 32


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
    # Without a backslash every quote in the text delimits a string, so keys and strings can be counted:
    # a repeated key would have left two quotes too many. This spares the slow scan below nearly always.
    if b"\\" in raw or raw.count(b'"') != 2 * _strings_in(value, MAX_DEPTH):
        _scan_slowly(raw)
    return value


def _strings_in(value: object, depth: int) -> int:
    if depth == 0:
        raise MalformedRecordError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        return 1
    if isinstance(value, dict):
        count = len(value)
        for item in value.values():
            if isinstance(item, str):
                count += 1
            elif isinstance(item, (dict, list)):
                count += _strings_in(item, depth - 1)
        return count
    if isinstance(value, list):
        return sum(_strings_in(item, depth - 1) for item in value)
    return 0


def _scan_slowly(raw: bytes) -> None:
    """The whole check, for texts with escapes or with a repeated key."""

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, item in pairs:
            if key in members:
                raise MalformedRecordError(f"the key {key[:60]!r} is repeated")
            if "\0" in key or (isinstance(item, str) and "\0" in item):
                raise MalformedRecordError(f"there is a NUL character at {key[:60]!r}")
            if isinstance(item, list) and any(isinstance(entry, str) and "\0" in entry for entry in item):
                raise MalformedRecordError(f"there is a NUL character in the list {key[:60]!r}")
            members[key] = item
        return members

    try:
        value = json.loads(raw, object_pairs_hook=no_repeats)
    except (UnicodeDecodeError, RecursionError) as error:
        raise MalformedRecordError(f"not JSON: {error}") from None
    _strings_in(value, MAX_DEPTH)


def _name_of(value: object) -> str:
    names = {str: "a string", int: "a number", float: "a number", bool: "a boolean", list: "an array"}
    return names.get(type(value), "null")
