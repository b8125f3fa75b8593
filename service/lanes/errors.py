"""Why a lane's work ends other than by a doubt: it must stop, or it has ended already."""

from typing import Literal


class LaneHaltedError(Exception):
    """The lane must stop until a person has looked; the message is the reason.

    `remedy` is the command that lets it go on: `resume` as it is, `rebase` when it has to fit its topics first.
    """

    def __init__(self, reason: str, remedy: Literal["resume", "rebase"] = "resume") -> None:
        super().__init__(reason)
        self.remedy = remedy


class LaneGoneError(Exception):
    """The worker ended before the input was committed: whether it counts is not known."""
