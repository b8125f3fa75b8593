"""One decision in the making: the order's copy, and what has been journaled, begun and ended so far."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from schemas.vocabulary import Disposition, Flag, State, Trigger
from statemachine import operations
from statemachine.decision import Entry, Policy
from statemachine.lifecycle import fire, may_fire
from statemachine.order import Doubt, Operation, Order

# Entering one of these ends the questions that an earlier state had planned.
_ASKS_ANEW = frozenset(
    {
        State.EXPIRING,
        State.PAID,
        State.CAPTURED,
        State.VOIDING,
        State.VOIDED,
        State.EXPIRED,
        State.CLOSED,
    }
)
_CONFIRMS_CLOSE = (Trigger.WALLET_CLOSED, Trigger.CLOSE_SUCCEEDED)


@dataclass(slots=True)
class Turn:
    """What one input does to one order. `order` is a copy, and is changed in place."""

    order: Order
    now: datetime
    policy: Policy
    entries: list[Entry] = field(default_factory=list)
    operations: dict[str, Operation] = field(default_factory=dict)
    query: bool = False
    # What the move under way has found out beside its reason.
    remark: str = ""

    def note(
        self,
        trigger: Trigger,
        disposition: Disposition,
        reason: str = "",
        operation: Operation | None = None,
    ) -> None:
        """Journals what moved nothing: one version of the order as it is now."""
        self._journal(trigger, disposition, self.order.state, reason, operation)

    def note_creation(self) -> None:
        """Version 1. Creation is no row of the table: there was no state before it."""
        self._journal(Trigger.CREATE, Disposition.APPLIED, None, "", None)

    def _journal(
        self,
        trigger: Trigger,
        disposition: Disposition,
        previous: State | None,
        reason: str,
        operation: Operation | None,
    ) -> None:
        order = self.order
        order.version += 1
        self.entries.append(
            Entry(
                order.version,
                trigger,
                disposition,
                previous,
                order.state,
                reason,
                order.frozen_minor,
                order.taken_minor,
                order.released_minor,
                order.refunded_minor,
                order.flags,
                operation,
                order.wallet_trade_no,
                order.wallet_auth_no,
            )
        )

    def move(
        self,
        trigger: Trigger,
        reason: str = "",
        operation: Operation | None = None,
        *,
        flag: Flag | None = None,
    ) -> None:
        """Fires the trigger, begins what the new state cannot be without, and journals it.

        `operation` is the one that ended and thereby led here, if any; else the entry shows the one begun.
        `flag` is put up by the move itself, after those that it takes down.
        """
        order = self.order
        previous = order.state
        fire(order, trigger)
        if order.state is not previous:
            began = self._arrive(previous)
            operation = operation or began
        elif trigger in _CONFIRMS_CLOSE:
            self.unflag(Flag.CLOSE_UNCONFIRMED)
        if flag is not None:
            self.flag(flag)
        said, self.remark = "; ".join(filter(None, (reason, self.remark))), ""
        self._journal(trigger, Disposition.APPLIED, previous, said, operation)

    def learn(self, trigger: Trigger, reason: str = "", operation: Operation | None = None) -> None:
        """Evidence: moves the order where the table has a row for it, and is absorbed where not."""
        if may_fire(self.order, trigger):
            self.move(trigger, reason, operation)
        else:
            self.note(trigger, Disposition.ABSORBED, reason, operation)

    def flag(self, *flags: Flag) -> None:
        """Puts the order into the queue of things that a person should look at."""
        self.order.flags = self.order.flags.union(flags)

    def unflag(self, *flags: Flag) -> None:
        """Takes it out again, when the matter has settled itself."""
        if not self.order.flags.isdisjoint(flags):
            self.order.flags = self.order.flags.difference(flags)

    def doubt(self) -> None:
        """The wallet may know of more than we do: it is asked now, and again until it has answered."""
        self.query = True
        order, earlier = self.order, self.order.doubt
        # What the silence about an earlier doubt has put up is taken down by the answer to this one.
        is_flagged = earlier is not None and earlier.is_flagged and Flag.NEEDS_REVIEW in order.flags
        ask_at = self.now + timedelta(seconds=self.policy.first_query_s)
        order.doubt = Doubt(self.now, ask_at, is_flagged=is_flagged)

    def show_in_last_entry(self, operation: Operation) -> None:
        """Names an operation that the last entry's event began, unless it shows another that ended."""
        last = self.entries[-1]
        if last.operation is None:
            self.entries[-1] = replace(last, operation=operation)

    def _arrive(self, previous: State) -> Operation | None:
        order = self.order
        state = order.state
        # A refund that was refused changes nothing about a release that was, and that is to be tried again.
        asks_anew = state in _ASKS_ANEW and previous is not State.REFUNDING
        if asks_anew or previous in (State.EXPIRED, State.CLOSED):
            order.next_query_at = None
            order.queries = 0
            self.unflag(Flag.CLOSE_UNCONFIRMED, Flag.AUTHORIZATION_EXPIRING)
        if state is State.EXPIRING:
            return operations.begin_close(self)
        if state is State.CAPTURING:
            return operations.begin_waiting_capture(self)
        if state is State.VOIDING and order.only_an_end_waits():
            order.waiting = order.waiting[1:]
            order.final = True
        return None
