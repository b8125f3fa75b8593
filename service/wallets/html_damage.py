"""What an HTML page does to an orderStr, found and undone. Pure; knows nothing of what the parameters mean.

Source: the named character references of the HTML standard, of which about a hundred need no semicolon. So
`&timestamp` reads as the entity `&times` and `tamp`, `&notify_url` as `&not`, `&currency` as `&curren`.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from html.entities import html5
from typing import Final


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
    for name, character in html5.items():
        # What becomes ASCII (`&lt`, `&quot`) begins no parameter, and stands in every JSON text.
        if name.endswith(";") or not name.islower() or character.isascii():
            continue
        beginnings.setdefault(character, name)
        for codec in ("gbk", "cp1252", "latin-1"):
            with suppress(UnicodeDecodeError):
                beginnings.setdefault(character.encode().decode(codec), name)
    return beginnings


_LOST: Final = _lost_beginnings()
# Longest first, so that a character read as two is not taken for its first half.
_DAMAGED: Final = re.compile(
    f"({'|'.join(re.escape(seen) for seen in sorted(_LOST, key=len, reverse=True))})([A-Za-z_]{{0,40}})="
)
# Also escaped twice, and by number.
_ESCAPED: Final = re.compile(r"&(?:(?:amp|#0{0,5}38|#[xX]0{0,4}26);){1,4}([A-Za-z_]{1,40})=")
# An orderStr in quotes, as it stands in a program, on a page about one, or in JSON.
_QUOTED: Final = re.compile(r"""(['"`])([A-Za-z_]+=[^'"`\s]*)\1""")
# In what order to try readings of bytes that are not UTF-8. The last one reads anything.
_OTHER_CODECS: Final = ("gbk", "cp1252", "latin-1")


def repair(text: str) -> tuple[str, tuple[Damage, ...]]:
    """The text with its ampersands back, and what had become of them, in the order of the text."""
    damage: list[Damage] = []

    def unescape(match: re.Match[str]) -> str:
        damage.append(Damage(match[1], match[0].removesuffix("=")))
        return f"&{match[1]}="

    def restore(match: re.Match[str]) -> str:
        name = _LOST[match[1]] + match[2]
        damage.append(Damage(name, match[0].removesuffix("=")))
        return f"&{name}="

    # The escaped first: what they hide must not be seen as a lone `&`.
    repaired = _DAMAGED.sub(restore, _ESCAPED.sub(unescape, text))
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
    return next((match[2] for match in _QUOTED.finditer(text) if "&" in match[2]), text)


def _readings(raw: bytes) -> Iterable[str]:
    for codec in _OTHER_CODECS:
        with suppress(UnicodeDecodeError):
            yield raw.decode(codec)
