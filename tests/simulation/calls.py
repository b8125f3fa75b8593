"""What must hold of every call to the wallet, as it leaves a process and as it arrives."""

from collections import Counter, defaultdict
from typing import Any

import structlog

from schemas.vocabulary import Flag, Kind, OperationState
from service.kafka.partition import lane_of
from tests.simulation.accounts import DONE, REFUSED, Account
from tests.simulation.checks import Judge
from tests.simulation.promises import must
from tests.simulation.wire import CLOSE, RELEASE


class Calls:
    """Looks at each. `sent` are the request numbers under which anybody has sent something."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.sent: set[str] = set()

    def epoch_of(self, name: str, order_id: str) -> int | None:
        """That in which the caller has the order's lane; None when it has it no more, and only ends what it began.

        What the lane's row says by itself is not enough: the process may have the lane again, and not know yet.
        """
        lanes = self._judge.tables.lanes
        lane = lanes[lane_of(order_id, len(lanes))]
        believed: int = structlog.contextvars.get_contextvars()["epoch"]
        return believed if (lane.owner, lane.epoch) == (name, believed) else None

    def state_of(self, order_id: str, number: str) -> str:
        """That of the operation, as it is stored."""
        tables = self._judge.tables
        return str(tables.operations[lane_of(order_id, len(tables.lanes)), number]["state"])

    def arrives(self, call: dict[str, Any]) -> None:
        """A call that moves money: it was stored before it was made."""
        number = call["request_no"]
        rows = [row for (_, each), row in self._judge.tables.operations.items() if each == number]
        must(len(rows) == 1, "P3: what is asked of the wallet is stored first", call)
        (row,) = rows
        self._judge.seen["call", call["call"]] += 1
        must(row["attempts"] > 0, "P3: an attempt is stored before it is made", call, row)
        must(row["amount_minor"] == call["amount_minor"], "P3: a request number keeps its amount", call, row)
        must(row["kind"] == call["call"], "P3: a request number keeps its kind", call, row)
        account = self._judge.accounts.get(call["order_id"])
        request = None if account is None else account.requests.get(number)
        asked_for = None if request is None else (request.kind, request.amount_minor, request.complete)
        now = call["call"], call["amount_minor"], call["complete"]
        must(asked_for in (None, now), "P3: a request number is used for one thing", call, request)
        if account is not None and call["call"] in ("capture", "refund"):
            self._wished(account, call)

    def _wished(self, account: Account, call: dict[str, Any]) -> None:
        """No more is taken than services cost, and no more goes back than was asked for."""
        asked_for = {
            number: request.amount_minor
            for number, request in account.requests.items()
            if request.kind == call["call"] and request.status != REFUSED
        }
        asked_for[call["request_no"]] = call["amount_minor"]
        most = self._judge.wishes.most(account.order_id, call["call"])
        if call["call"] == "refund" and account.kind is Kind.PAYMENT and self._came_late(account.order_id):
            # It came too late, and goes back whole.
            return
        must(sum(asked_for.values()) <= most, "P3: nobody is asked for more than is due", call, asked_for, most)

    def _came_late(self, order_id: str) -> bool:
        orders = [order for (_, each), order in self._judge.orders.items() if each == order_id]
        return any(Flag.LATE_PAYMENT in self._judge.flags_of(order) for order in orders)


class Caller:
    """One process, as it calls: it knows what it has asked and heard, and nothing of what others have."""

    def __init__(self, name: str, calls: Calls) -> None:
        self._name = name
        self._calls = calls
        # By request number: what was heard of it since this process sent something under it, and in which epoch
        # of the lane it was heard that it has to be sent again.
        self._heard: defaultdict[str, set[str]] = defaultdict(set)
        self._to_be_sent: dict[str, int] = {}
        # What it has sent and got no answer to that can be believed, and the lane's epoch then.
        self._unanswered: dict[str, int | None] = {}
        # How many questions there were about each order, and of those before each release was last sent.
        self._questions: Counter[str] = Counter()
        self._before_last: Counter[str] = Counter()
        # By request number, what the wallet's answer to the call has ended; and the lane's epoch when it came.
        self._ended: dict[str, int] = {}

    def sends(self, call: dict[str, Any]) -> None:
        """What may have been sent already is looked up first; a release always: wallets release by themselves."""
        number, kind = call["request_no"], call["call"]
        epoch = self._calls.epoch_of(self._name, call["order_id"])
        must(
            epoch is None or self._ended.get(number) != epoch,
            "P5: the answer to a call is its end: nobody asks what is known",
            call,
        )
        if kind == "query":
            must(
                epoch is None or self._to_be_sent.get(number) != epoch,
                "what the wallet never got, or has open, is sent again, and not asked about once more",
                call,
            )
            if epoch is not None and self._unanswered.get(number) == epoch:
                # Unless something else has ended it meanwhile.
                state = self._calls.state_of(call["order_id"], number)
                must(state != OperationState.SUBMITTING, "P5: what got no answer is unknown, and said to be", call)
            self._questions[call["order_id"]] += number is None
            return
        if number in self._calls.sent and epoch is not None:
            must(
                not self._heard[number].isdisjoint(_enough(kind)),
                "P3: it is sent again only when the wallet says that it never arrived",
                call,
            )
        if kind == RELEASE:
            questions = self._questions[call["order_id"]]
            must(questions > self._before_last[number], "a release is asked about first", call)
            self._before_last[number] = questions
        self._calls.sent.add(number)
        self._heard.pop(number, None)
        self._to_be_sent.pop(number, None)
        self._unanswered[number] = epoch

    def hears(self, call: dict[str, Any], said: dict[str, Any] | None) -> None:
        """An answer, as it arrives."""
        number = call["request_no"]
        if not number or said is None or said.get("request_no") != number:
            return
        epoch = self._calls.epoch_of(self._name, call["order_id"])
        self._unanswered.pop(number, None)
        if call["call"] == "query":
            self._heard[number].add(str(said.get("trade")))
            if said.get("trade") in _enough(call["kind"]) and epoch is not None:
                self._to_be_sent[number] = epoch
        elif said.get("outcome") in (DONE, REFUSED) and epoch is not None and _is_over_its_amount(call, said):
            self._ended[number] = epoch


def _is_over_its_amount(call: dict[str, Any], said: dict[str, Any]) -> bool:
    amount_minor: int = call["amount_minor"]
    return bool(said.get("request_amount_minor", amount_minor) == amount_minor)


def _enough(kind: str) -> set[str]:
    """Where an operation that may have been sent has to be sent again: it never arrived, or has not closed it."""
    return {"missing", "open"} if kind == CLOSE else {"missing"}
