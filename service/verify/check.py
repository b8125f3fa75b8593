"""One check's answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A rule by its name, whether it holds, and what was counted or what breaks it."""

    name: str
    ok: bool
    detail: str
