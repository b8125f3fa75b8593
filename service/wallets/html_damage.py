"""What an HTML page does to an orderStr, found and undone. Pure; knows nothing of what the parameters mean.

Source: the named character references of the HTML standard, of which about a hundred need no semicolon. So
`&timestamp` reads as the entity `&times` and `tamp`, `&notify_url` as `&not`, `&currency` as `&curren`.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from html import unescape
from html.entities import html5
from typing import Final
from urllib.parse import unquote_to_bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """A parameter whose `&` was lost in HTML, or escaped for it. `seen` is what stands there instead."""

    name: str
    seen: str

    @property
    def in_words(self) -> str:
        """What happened, and what to do about it."""
        if self.seen.startswith("&"):
            return (
                f"&{self.name} was turned into {self.seen}: this orderStr was escaped for an HTML page and not "
                "unescaped again; hand it over as it came from paystate"
            )
        return (
            f"&{self.name} was turned into {self.seen}: this orderStr has been through an HTML page; hand it "
            "over as it came from paystate, or write every & of it as &amp; in HTML"
        )


def _lost_beginnings() -> dict[str, str]:
    """What an HTML parser makes of `&name`, for the entities that need no semicolon: `×` stands for `times`.

    Also as these characters look when their UTF-8 bytes are then read as GBK or Latin (`脳`, `Ã—`).
    """
    beginnings: dict[str, str] = {}
    # Where two entities are one character (`reg` and `REG`), parameters are rather written small.
    for name in sorted(html5, key=str.isupper):
        character = html5[name]
        # What begins with `&amp` keeps its ampersand.
        if name.endswith(";") or character == "&":
            continue
        beginnings.setdefault(character, name)
        for codec in ("gbk", "cp1252", "latin-1"):
            with suppress(UnicodeDecodeError):
                beginnings.setdefault(character.encode().decode(codec), name)
    return beginnings


_LOST: Final = _lost_beginnings()
_NAME: Final = "[A-Za-z0-9_.-]"
# Longest first, so that a character read as two is not taken for its first half. Also escaped, as the page or
# the next program on the way has written the character: in HTML, in a URL, in JSON. What became ASCII
# (`&quot`, `&lt`) stands in many a text; in an orderStr, only right after a value.
_PLAIN: Final = "|".join(re.escape(seen) for seen in sorted(_LOST, key=len, reverse=True) if not seen.isascii())
_DAMAGED: Final = re.compile(
    rf"""(?:(?P<plain>{_PLAIN}|(?<=[A-Za-z0-9%+.*_-])["<>])
      | &(?P<html>\#[0-9]{{1,4}}|\#[xX][0-9A-Fa-f]{{1,4}}|[A-Za-z]{{2,6}});
      | \\u00(?P<json>[0-9A-Fa-f]{{2}})
      | (?P<url>(?:%[0-9A-Fa-f]{{2}}){{1,2}}))
      (?P<rest>{_NAME}{{0,40}})=""",
    re.VERBOSE,
)
# Also escaped twice, and by number.
_ESCAPED: Final = re.compile(rf"&(?:(?:amp|AMP|#0{{0,5}}38|#[xX]0{{0,4}}26);){{1,4}}({_NAME}{{1,40}})=")
# An orderStr in quotes, as it stands in a program, on a page about one, or in JSON.
_QUOTED: Final = re.compile(
    r'"([A-Za-z_]+=[^"\r\n]*)"|' + r"'([A-Za-z_]+=[^'\r\n]*)'|" + r"`([A-Za-z_]+=[^`\r\n]*)`"
)
# In what order to try readings of bytes that are not UTF-8. The last one reads anything.
_OTHER_CODECS: Final = ("gbk", "cp1252", "latin-1")


def repair(text: str) -> tuple[str, tuple[Damage, ...]]:
    """The text with its ampersands back, and what had become of them, in the order of the text."""
    damage: list[Damage] = []

    def unescaped(match: re.Match[str]) -> str:
        damage.append(Damage(match[1], match[0].removesuffix("=")))
        return f"&{match[1]}="

    def restored(match: re.Match[str]) -> str:
        before = match.string[match.string.rfind("&", 0, match.start()) + 1 : match.start()]
        # JSON that is not encoded, and not over yet: there it is a character like any other.
        lost = None if before.count("{") > before.count("}") else _lost(match)
        if lost is None:
            return match[0]
        name = lost + match["rest"]
        damage.append(Damage(name, match[0].removesuffix("=")))
        return f"&{name}="

    # The escaped first: what they hide must not be seen as a lone `&`.
    repaired = _DAMAGED.sub(restored, _ESCAPED.sub(unescaped, text))
    return repaired, tuple(damage)


def text_of(raw: bytes) -> str:
    """Bytes of a file or a page as text; never raises.

    An orderStr is plain ASCII, so where other bytes are they came in on its way, in whatever charset: UTF-8 is
    believed where it fits, else the reading that leaves ASCII when the damage is undone.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        # As PowerShell writes files.
        return raw.decode("utf-16", "replace")
    with suppress(UnicodeDecodeError):
        return raw.decode("utf-8-sig")
    readings = list(_readings(raw))
    return next((text for text in readings if repair(text)[0].isascii()), readings[0])


def quoted_in(text: str) -> str:
    """The first orderStr that stands in quotes in a longer text, or the text itself where there is none."""
    found = (match[match.lastindex or 0] for match in _QUOTED.finditer(text))
    return next((each for each in found if "&" in each), text)


def _lost(match: re.Match[str]) -> str | None:
    """The entity that the match begins with, however it is written; None when it is none of those."""
    if match["plain"]:
        return _LOST[match["plain"]]
    if match["html"]:
        return _LOST.get(unescape(f"&{match['html']};"))
    if match["json"]:
        return _LOST.get(chr(int(match["json"], 16)))
    raw = unquote_to_bytes(match["url"])
    return next((_LOST[text] for text in _readings(raw, "utf-8") if len(text) == 1 and text in _LOST), None)


def _readings(raw: bytes, *first: str) -> Iterable[str]:
    for codec in (*first, *_OTHER_CODECS):
        with suppress(UnicodeDecodeError):
            yield raw.decode(codec)
