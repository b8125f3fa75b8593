"""What goes wrong, and the dice that decide when. The dice are seeded by whoever makes them."""

import random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
MAX_DELAY_S = 600.0
# Silences that no call has met yet; the oldest goes when there are more.
MAX_SILENCES = 1_000


class Faults(BaseModel):
    """The control's settings: how often, from 0 to 1, and how long a delay may last, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lose_callbacks: Rate = Field(default=0.0, description="Never sent at all, not even by a resend.")
    repeat_callbacks: Rate = Field(default=0.0, description="Sent again after they were taken.")
    delay_callbacks: Rate = Field(default=0.0, description="Sent up to delay_s late, and so out of order.")
    lose_answers: Rate = Field(default=0.0, description="The call is carried out, and its answer lost.")
    fail_calls: Rate = Field(default=0.0, description="Answered with an error, carried out or not.")
    delay_s: Annotated[float, Field(ge=0, le=MAX_DELAY_S, allow_inf_nan=False)] = 3.0


class Dice:
    """The faults of now, and chance."""

    def __init__(self, rng: random.Random) -> None:
        self.faults = Faults()
        self._rng = rng
        # A dict, because it remembers which came first.
        self._silences: dict[tuple[str, str], None] = {}

    def hit(self, rate: float) -> bool:
        """Whether it goes wrong this time."""
        return rate > 0 and self._rng.random() < rate

    def silence(self, order_id: str, kind: str) -> None:
        """Of the order's next request of this kind (capture, release, …) nothing is to come back."""
        self._silences[order_id, kind] = None
        if len(self._silences) > MAX_SILENCES:
            del self._silences[next(iter(self._silences))]

    def is_silenced(self, order_id: str, kind: str) -> bool:
        """Whether that is this request. True once for each `silence`."""
        return self._silences.pop((order_id, kind), self) is None

    def even(self) -> bool:
        """One half against the other."""
        return self._rng.random() < 0.5  # noqa: PLR2004 - a coin

    def delay_s(self) -> float:
        """A part of the longest delay."""
        return self._rng.random() * self.faults.delay_s
