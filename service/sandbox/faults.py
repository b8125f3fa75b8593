"""What goes wrong, and the dice that decide when. The dice are seeded by whoever makes them."""

import random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
MAX_DELAY_S = 600.0


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

    def hit(self, rate: float) -> bool:
        """Whether it goes wrong this time."""
        return rate > 0 and self._rng.random() < rate

    def even(self) -> bool:
        """One half against the other."""
        return self._rng.random() < 0.5  # noqa: PLR2004 - a coin

    def delay_s(self) -> float:
        """A part of the longest delay."""
        return self._rng.random() * self.faults.delay_s
