"""The strict reading of JSON: one object, of which every parser on the way sees the same."""

import json

import pytest

from schemas.strict_json import MAX_DEPTH, MAX_RECORD_BYTES, MalformedRecordError, loads_object


def refused(raw: bytes) -> str:
    with pytest.raises(MalformedRecordError) as error:
        loads_object(raw)
    return str(error.value)


def test_an_object_is_read() -> None:
    raw = ' {"a": 1, "b": [true, null, -0.5, "\\u5145\\"x\\\\"], "c": {"充": {}}, "": ""}\r\n'.encode()
    assert loads_object(raw) == {"a": 1, "b": [True, None, -0.5, '充"x\\'], "c": {"充": {}}, "": ""}


# ---------------------------------------------------------------------------------------------- repeated keys


@pytest.mark.parametrize(
    "raw",
    [
        '{"a": 1, "a": 1}',
        '{"a": 1, "a": 2}',
        '{"a": "x", "b": 0, "a": "x"}',
        '{"": 1, "": 2}',
        '{"a": {"b": {"c": 1, "c": 2}}}',
        '{"a": [[{"b": 1, "b": 2}]]}',
        '{"a": {"b": 1, "b": 2}, "a": 3}',
        '{"a": [{"a": "1"}], "a": "2"}',
        '{"充": 1, "充": 2}',
        # Spelled in two ways.
        '{"a": 1, "\\u0061": 2}',
        '{"\\u0061": 1, "a": 2}',
        '{"a/": 1, "a\\/": 2}',
        '{"😀": 1, "\\ud83d\\ude00": 2}',
        '{"x": [{"a": 1, "\\u0061": 2}]}',
        '{"x": "\\\\", "a": 1, "a": 2}',
        # The value that the fast parser drops is deep.
        '{"a": ' + "[" * 999 + "]" * 999 + ', "a": 2}',
        '{"a": ' + '{"b":' * 999 + "1" + "}" * 999 + ', "a": 2}',
    ],
)
def test_a_repeated_key_is_refused_at_any_depth_and_in_any_spelling(raw: str) -> None:
    assert "repeated" in (said := refused(raw.encode())) or "nested deeper" in said


def test_a_repeated_key_is_named_in_a_few_words() -> None:
    key = "k" * 1_000
    said = refused(json.dumps({"x": {key: 1}}).replace("1", f'1, "{key}": 2').encode())
    assert said == f"the key {'k' * 60!r} is repeated"


@pytest.mark.parametrize("raw", [b'{"a": {"b": 1}, "b": 2}', b'{"a": "a", "b": "a\\"a"}', b'{"a": 1, "A": 2}'])
def test_the_same_word_in_another_place_is_no_repeat(raw: bytes) -> None:
    assert loads_object(raw) == json.loads(raw)


# --------------------------------------------------------------------------------------------------- characters


@pytest.mark.parametrize(
    "raw",
    [
        '{"\\u0000": 1}',
        '{"a\\u0000b": 1}',
        '{"a": "\\u0000"}',
        '{"a": "x\\u0000y"}',
        '{"a": {"b": {"c": "\\u0000"}}}',
        '{"a": {"b": {"\\u0000": 1}}}',
        '{"a": ["x", "\\u0000"]}',
        '{"a": [["\\u0000"]]}',
        '{"a": [1, [2, ["x", ["\\u0000"]]]]}',
        '{"a": [[{"b": "\\u0000"}]]}',
        '{"a": [[{"\\u0000": 1}]]}',
        '{"metadata": {"k\\u0000": "v"}}',
        '{"a": "\\\\\\u0000"}',
    ],
)
def test_a_nul_character_is_refused_wherever_it_hides(raw: str) -> None:
    # Postgres can hold it neither in a text nor in a json, so it must not come that far.
    assert "NUL character at" in refused(raw.encode())


@pytest.mark.parametrize("raw", [b'{"a": "\0"}', b'{"\0": 1}', b'{"a": 1}\0', b'\0{"a": 1}', b'{"a":\0 1}', b"\0"])
def test_a_raw_nul_is_not_json(raw: bytes) -> None:
    assert refused(raw).startswith("not JSON: ")


@pytest.mark.parametrize("text", ["\\u0000", "u0000", "\\\\u0000", "\x01", "\ue000", "\U0010ffff"])
def test_what_only_looks_like_a_nul_is_a_text(text: str) -> None:
    assert loads_object(json.dumps({"a": [[text]], text: 1}).encode()) == {"a": [[text]], text: 1}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": "\\ud800"}', b'{"a": "\\udc00"}', b'{"a": "\\ude00\\ud83d"}', b'{"a": "\\ud83dx"}',
        b'{"\\ud83d": 1}', b'{"a": [["\\ud83d\\n"]]}', b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xed\xa0\xbd\xed\xb8\x80"}',
    ],
)  # fmt: skip
def test_half_a_surrogate_pair_is_refused(raw: bytes) -> None:
    assert refused(raw).startswith("not JSON: ")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": "\xff"}', b'{"a": "\xc0\x80"}', b'{"a": "\xe5\x85"}', b'{"a": "\xf4\x90\x80\x80"}',
        '{"a": "充"}'.encode("gbk"), '{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-16-le"),
        '{"a": 1}'.encode("utf-32"), b'\xef\xbb\xbf{"a": 1}',
    ],
)  # fmt: skip
def test_only_utf_8_without_a_mark_is_read(raw: bytes) -> None:
    assert refused(raw).startswith("not JSON: ")


# ------------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize(
    "number",
    [
        "NaN", "-NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400, "9" * 5_000, "01", "+1", ".5", "1.",
        "0x1", "1_0", "--1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("other", ["1", '"\\n"'])
def test_what_is_no_number_or_too_large_a_one_is_refused(number: str, other: str) -> None:
    assert refused(f'{{"a": [{number}], "b": {other}}}'.encode()).startswith("not JSON: ")


@pytest.mark.parametrize(
    "raw", ['{"a":-0}', '{"a": -0 }', '{"a":[-0,1]}', '{"a":\n-0\n}', '{"a":[[-0]],"b":"\\n"}']
)
def test_minus_nothing_is_refused(raw: str) -> None:
    assert refused(raw.encode()).startswith("-0 is not an amount")


@pytest.mark.parametrize(
    "raw", ['{"a":"-0,"}', '{"a":"2026-03-0 ","b":-0.0}', '{"a":1e-0}', '{"a":[-01e0]}', '{"-0 ":0}']
)
def test_what_only_looks_like_minus_nothing_is_left_to_the_parser(raw: str) -> None:
    try:
        expected = json.loads(raw)
    except ValueError:
        assert refused(raw.encode()).startswith("not JSON: ")
    else:
        assert loads_object(raw.encode()) == expected


# ---------------------------------------------------------------------------------------------- size and shape


def nested(levels: int, opening: str, closing: str) -> bytes:
    """An object, and in it so many levels more."""
    return f'{{"a": {opening * levels}1{closing * levels}}}'.encode()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a": ', "}"), ('[{"\\n": ', "}]")])
def test_nesting_has_an_end(opening: str, closing: str) -> None:
    step = opening.count("[") + opening.count("{")
    most = (MAX_DEPTH - 1) // step
    assert loads_object(nested(most, opening, closing))
    assert refused(nested(most + 1, opening, closing)) == f"nested deeper than {MAX_DEPTH}"
    assert "nested deeper than 32" in refused(nested(900 // step, opening, closing))
    for levels in (1_500, 100_000):
        refused(nested(levels, opening, closing))


def test_a_record_has_a_largest_size() -> None:
    raw = b'{"a": "%s"}'
    filled = raw % (b"x" * (MAX_RECORD_BYTES - len(raw) + 2))
    assert len(filled) == MAX_RECORD_BYTES
    assert loads_object(filled)
    assert refused(filled + b" ") == f"the record has {MAX_RECORD_BYTES + 1} bytes; at most 1048576 are taken"


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("[]", "an array"), ('"a"', "a string"), ("1", "a number"), ("1.5", "a number"), ("true", "a boolean"),
        ("null", "null"),
    ],
)  # fmt: skip
def test_only_an_object_is_a_record(raw: str, what: str) -> None:
    assert refused(raw.encode()) == f"not a JSON object but {what}"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "{",
        "}",
        '{"a"}',
        '{"a":}',
        '{"a": 1,}',
        "{a: 1}",
        "{'a': 1}",
        "{} {}",
        '{"a": "\n"}',
        "\x0c{}",
        "{}//",
    ],
)
def test_what_is_not_json_is_refused(raw: str) -> None:
    assert refused(raw.encode()).startswith("not JSON: ")
