"""Time, ids and randomness: the only place that takes them from the machine."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Protocol

import uuid_utils


class Clock(Protocol):
    """Tells the time. Aware, UTC."""

    def now(self) -> datetime:
        """The present moment."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, UTC."""
        return datetime.now(UTC)


# More than any answer is late: the database's clock itself has been set back.
SET_BACK_S = 60.0


class DatabaseClock:
    """Postgres's clock, as last told by a commit, carried on by the event loop's steady time.

    Every deadline of an order is judged by it, so that workers whose own clocks differ agree.
    """

    def __init__(self, told: datetime) -> None:
        self._told = told
        self._at = asyncio.get_running_loop().time()

    def sync(self, told: datetime) -> None:
        """Takes over what the database has just said, unless it is better known already.

        What it says is some time old when it gets here, so the later of the two is the better guess; a clock
        that was set back far is followed all the same.
        """
        behind_s = (self.now() - told).total_seconds()
        if behind_s < 0 or behind_s > SET_BACK_S:
            self._told = told
            self._at = asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """The database's present moment, give or take a round trip."""
        return self._told + timedelta(seconds=asyncio.get_running_loop().time() - self._at)


class Ids(Protocol):
    """Makes ids for state events, and the jitter of retries."""

    def uuid7(self) -> str:
        """A new UUIDv7 (RFC 9562)."""
        ...

    def jitter(self) -> float:
        """A number from 0 to 1."""
        ...


class RandomIds:
    """Ids and jitter from the machine's randomness."""

    def uuid7(self) -> str:
        """A new UUIDv7."""
        return str(uuid_utils.uuid7())

    def jitter(self) -> float:
        """A number from 0 to 1; no secret depends on it."""
        return random.random()  # noqa: S311
