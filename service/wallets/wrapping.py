"""What an orderStr was wrapped in on its way, where its parameters can only be seen without it. Pure."""

import re
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import unquote

_JSON_ESCAPE: Final = re.compile(r"\\u00([0-7][0-9A-Fa-f])")


def _without_json_escapes(text: str) -> str:
    return _JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _without_beginning(text: str) -> str:
    return re.sub(r"^(?:[?]|[A-Za-z_]+=)", "", text)


_WRAPPINGS: Final[tuple[tuple[Callable[[str], str], str], ...]] = (
    (unquote, "it is percent-encoded once too often: decode it once"),
    (lambda text: unquote(unquote(text)), "it is percent-encoded twice too often: decode it twice"),
    (_without_json_escapes, r"its & and = are written as in JSON (\u0026, \u003d): read the JSON first"),
    (_without_beginning, "something stands before it: hand over only what begins with its first parameter"),
    (lambda text: text.replace(";", "&"), "its parameters are joined with ; and should be with &"),
)


def wrapped_in(text: str, names: Sequence[str]) -> str | None:
    """What to undo, in words, before its parameters (all of `names`, or all but one) can be seen; else None."""
    seen = _seen(text, names)
    for unwrap, words in _WRAPPINGS:
        more = _seen(unwrap(text), names)
        if more > seen and more >= len(names) - 1:
            return words
    return None


def _seen(text: str, names: Sequence[str]) -> int:
    given = {pair.partition("=")[0] for pair in text.split("&")}
    return sum(name in given for name in names)
