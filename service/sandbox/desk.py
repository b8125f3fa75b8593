"""Carries verified calls out, of whatever dialect: one ledger transaction each, its callbacks, and the faults."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from service.clock import Clock
from service.sandbox.callbacks import Callbacks
from service.sandbox.calls import Call, Done
from service.sandbox.dialect import RefusedError
from service.sandbox.faults import Dice
from service.sandbox.ledger import Arrival, Ledger


class Act(Protocol):
    """One method of the gateway; see `trades` for its shape."""

    def __call__(self, ledger: Ledger, call: Call, now: datetime, *, again: bool) -> Done:
        """Carries the call out; raises RefusedError."""
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """What carries a method out, and how its requests are told apart; None for a question."""

    act: Act
    arrival: Callable[[Ledger, Call], Arrival] | None = None


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a call: the answer's fields, or why it was refused. `fails`: an error is answered instead."""

    fields: dict[str, Any] = field(default_factory=dict)
    refusal: RefusedError | None = None
    fails: bool = False


class LostAnswerError(Exception):
    """The call has been carried out; its answer is to be lost, after `late_s` seconds."""

    def __init__(self, call: str, late_s: float) -> None:
        super().__init__(call)
        self.late_s = late_s


class Desk:
    """Where the calls of every dialect are carried out."""

    def __init__(self, ledger: Ledger, callbacks: Callbacks, clock: Clock, dice: Dice) -> None:
        self._ledger = ledger
        self._callbacks = callbacks
        self._clock = clock
        self._dice = dice

    def carry_out(self, method: Method, call: Call) -> Came:
        """Once under each number. With the fault `fail_calls` it may have been carried out or not.

        Raises LostAnswerError for a silenced request: it has been carried out, and no callback tells of it either.
        """
        failing = self._dice.hit(self._dice.faults.fail_calls)
        carried_out = not failing or self._dice.even()
        try:
            with self._ledger.transaction():
                arrival = method.arrival(self._ledger, call) if method.arrival else None
                done, numbers = self._act(method, call, arrival, carried_out=carried_out)
        except RefusedError as refusal:
            return Came(refusal=refusal, fails=failing)
        if arrival is not None and self._dice.is_silenced(arrival.order_id, arrival.kind):
            raise LostAnswerError(arrival.kind, late_s=0.0)
        # Only now: the ledger has it, so a callback tells of nothing that a crash could undo.
        for notice, number in zip(done.notices, numbers, strict=True):
            self._callbacks.send(notice, number)
        return Came(done.fields, fails=failing)

    def may_lose_the_answer(self, call: str) -> None:
        """Raises LostAnswerError when the faults will not have the answer arrive."""
        if self._dice.hit(self._dice.faults.lose_answers):
            raise LostAnswerError(call, late_s=self._dice.delay_s() if self._dice.even() else 0.0)

    def _act(
        self, method: Method, call: Call, arrival: Arrival | None, *, carried_out: bool
    ) -> tuple[Done, list[int]]:
        # Counted whatever becomes of it.
        again = self._ledger.arrive(arrival) if arrival else False
        if not carried_out:
            return Done({}), []
        done = method.act(self._ledger, call, self._clock.now(), again=again)
        if arrival is not None and not again:
            self._ledger.carried_out(arrival)
        return done, [self._ledger.next_number() for _ in done.notices]
