"""One check's answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A rule by its name, whether it holds, and what was counted or what breaks it.

    One that could not be looked at is not ok, and not `answered`.
    """

    name: str
    ok: bool
    detail: str
    answered: bool = True
