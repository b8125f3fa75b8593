"""The simulated wallet: an honest ledger behind a network that is not. It decides what is true.

It keeps the one promise that ours rest on: a request number is carried out at most once. All else it may do:
refuse, take its time, give back by itself, lose every answer, and call back late, twice or never.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from schemas.vocabulary import Kind
from tests.simulation.accounts import DONE, PENDING, REFUSED, TAKEN_BY, Account, Request
from tests.simulation.authors import Temper
from tests.simulation.faults import Faults
from tests.simulation.loop import SimulatedLoop
from tests.simulation.server import WORLD
from tests.simulation.tables import BEGINNING
from tests.simulation.wire import CAPTURE, CLOSE, REFUND


class Wallet:
    """All accounts. `tell` sends a callback on its way; `on_call` is asked about every call that comes."""

    def __init__(
        self,
        loop: SimulatedLoop,
        faults: Faults,
        tempers: Mapping[str, Temper],
        tell: Callable[[dict[str, Any], bool, float], None],
        on_call: Callable[[dict[str, Any]], None],
    ) -> None:
        self.loop = loop
        self.faults = faults
        self.accounts: dict[str, Account] = {}
        self._tempers = tempers
        self._tell = tell
        self._on_call = on_call
        self._notified = 0
        # Wallets differ: whether a final capture gives the rest back at once, whether a callback names totals,
        # and what is said of a close that comes too late.
        style = faults.dice("wallet style")
        self.releases_rest = style.random() < 0.5
        self.names_totals = style.random() < 0.5
        self.close_is_pending = style.random() < 0.3
        # Its clock may be behind ours: then it lets buyers pay longer than we think.
        self.behind_s = faults.between("wallet_clock_behind", 0, 40) if faults.happens("wallet_clock_behind") else 0
        # Whether its clock and ours tell the same, so that deadlines are the same for both.
        self.clocks_agree = self.behind_s == 0

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.loop.time() - self.behind_s)

    # ------------------------------------------------------------------------------------------------ the buyer

    def offer(self, terms: dict[str, Any], expires_at: datetime) -> None:
        """A buyer has the order string. Nothing is known here until they act."""
        self.accounts.setdefault(
            terms["order_id"],
            Account(
                terms["order_id"],
                Kind(terms["kind"]),
                terms["amount_minor"],
                terms["currency"],
                expires_at,
                terms["authorization_timeout_s"],
            ),
        )

    def buyer(self, order_id: str, does: str) -> None:
        """The buyer opens, fails, pays or closes; whatever cannot be done any more is not."""
        account = self.accounts[order_id]
        self._expire(account)
        if account.closed or account.frozen or account.taken:
            return
        account.is_open = True
        if does == "fail":
            self._notify(account, {"trade": "failed"})
        elif does == "close":
            account.closed = True
            self._notify(account, {"trade": "closed"})
        elif does == "pay":
            if account.kind is Kind.PAYMENT:
                account.taken = account.amount_minor
                self._may_refund(account)
            else:
                account.frozen = account.amount_minor
                self._authorized(account)
            # A question about the order would find it, as long as we think that it can be paid.
            self._notify(account, self._standing(account), may_be_lost=self.clocks_agree)

    def _authorized(self, account: Account) -> None:
        """What the wallet will do by itself; at the latest its authorization ends."""
        life_s = account.authorization_timeout_s
        self._later(life_s * 1.5 + 20, lambda: self._release(account, account.held))
        if self.faults.happens("wallet_releases"):
            after_s = self.faults.between("wallet_releases", 0, life_s)
            share = self.faults.between("wallet_releases", 0, 1.5)
            self._later(after_s, lambda: self._release(account, int(account.held * min(share, 1))))
        self._may_capture(account, life_s)

    def _may_capture(self, account: Account, within_s: float) -> None:
        if self.faults.happens("wallet_captures"):
            after_s = self.faults.between("wallet_captures", 0, within_s)
            share = self.faults.between("wallet_captures", 0, 1.3)
            self._later(after_s, lambda: self._capture(account, int(account.held * min(share, 1))))

    def _release(self, account: Account, amount_minor: int) -> None:
        if 0 < amount_minor <= account.held:
            account.released += amount_minor
            account.by_itself["released"] += amount_minor
            self._notify(account, self._totals(account))

    def _capture(self, account: Account, amount_minor: int) -> None:
        if 0 < amount_minor <= account.held:
            account.taken += amount_minor
            account.by_itself["taken"] += amount_minor
            self._notify(account, self._totals(account))

    def _may_refund(self, account: Account) -> None:
        if self.faults.happens("wallet_refunds"):
            # Mostly soon, when the rest is still being given back; or in the same breath, when nobody has begun to.
            after_s = max(self.faults.between("wallet_refunds", -1, 2.5), 0) ** 4
            share = self.faults.between("wallet_refunds", 0.1, 1.5)
            if after_s < 1 and not self.clocks_agree:
                # Some give back at once what came late, so that nobody hears of the one without the other.
                self._refund(account, 1)
            else:
                self._later(after_s, lambda: self._refund(account, share))

    def _show_temper(self, account: Account) -> None:
        acts: dict[str, Callable[[float], None]] = {
            "capture": lambda share: self._capture(account, int(account.held * share)),
            "release": lambda share: self._release(account, int(account.held * share)),
            "refund": lambda share: self._refund(account, share),
        }
        for after_s, does, share in self._tempers[account.order_id].after_capture:
            self._later(after_s, lambda act=acts[does], share=share: act(share))

    def _refund(self, account: Account, share: float) -> None:
        amount_minor = int((account.taken - account.refunded) * min(share, 1))
        if amount_minor > 0:
            account.refunded += amount_minor
            account.by_itself["refunded"] += amount_minor
            self._notify(account, self._totals(account))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self.loop.call_later(seconds, act, context=WORLD)

    # ---------------------------------------------------------------------------------------------- our calls

    def keeps_silent(self, order_id: str) -> bool:
        """Whether it does not say how the order stands."""
        return self._tempers[order_id].is_silent and not self.faults.are_over

    def tells_after_s(self, order_id: str) -> float:
        """How long it takes until anybody hears what it says now."""
        return 0.0 if self.faults.are_over else self._tempers[order_id].tells_after_s

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """Carries a call out, or answers a question. What it says is true."""
        order_id, number = call["order_id"], call["request_no"]
        said: dict[str, Any] = {"order_id": order_id, "request_no": number}
        account = self.accounts.get(order_id)
        if call["call"] != "query":
            self._on_call(call)
        if account is not None:
            self._expire(account)
        if account is None or not account.is_open:
            return said | {"trade": "missing"} | ({"outcome": "pending"} if number else {})
        if call["call"] == "query":
            return said | self._told(account, call)
        if call["call"] == CLOSE:
            return said | self._close(account)
        return said | self._carry_out(account, call)

    def _told(self, account: Account, call: dict[str, Any]) -> dict[str, Any]:
        number = call["request_no"]
        if number is None:
            return self._standing(account)
        if call["kind"] == CLOSE:
            standing = self._standing(account)
            outcomes = {"closed": DONE, "open": PENDING}
            return standing | {"outcome": outcomes.get(standing["trade"], REFUSED)}
        request = account.requests.get(number)
        if request is None:
            return {"trade": "missing", "outcome": PENDING}
        return self._of(request)

    def _of(self, request: Request) -> dict[str, Any]:
        return {"outcome": request.status, "request_amount_minor": request.amount_minor}

    def _close(self, account: Account) -> dict[str, Any]:
        if account.frozen or account.taken:
            if self.close_is_pending:
                return {"outcome": PENDING, "trade": "frozen" if account.frozen else "paid"}
            return {"outcome": REFUSED, "code": "ALREADY_PAID"}
        refuses = CLOSE in self._tempers[account.order_id].refuses
        if not account.closed and (refuses or self.faults.happens("wallet_refuses")):
            return {"outcome": REFUSED, "code": "NOT_NOW"}
        account.closed = True
        return {"outcome": DONE}

    def _carry_out(self, account: Account, call: dict[str, Any]) -> dict[str, Any]:
        number = call["request_no"]
        request = account.requests.get(number)
        if request is None:
            request = Request(call["call"], call["amount_minor"], call["complete"], PENDING)
            account.requests[number] = request
            temper = self._tempers[account.order_id]
            if request.kind in temper.refuses or self.faults.happens("wallet_refuses"):
                request.status = REFUSED
            elif request.kind in temper.slow or self.faults.happens("answer_pending"):
                # Longer than all our tries take, as days are in life.
                after_s = self.faults.between("answer_pending", 0.3, 9) ** 2
                self._later(after_s, lambda: self._execute(account, number, request))
            else:
                self._execute(account, number, request)
        request.times_seen += 1
        return self._of(request)

    def _execute(self, account: Account, number: str, request: Request) -> None:
        room = account.taken - account.refunded if request.kind == REFUND else account.held
        if request.amount_minor > room:
            request.status = REFUSED
        else:
            request.status = DONE
            total = TAKEN_BY[request.kind]
            setattr(account, total, getattr(account, total) + request.amount_minor)
            if self.releases_rest and request.kind == CAPTURE and request.complete and account.held:
                account.by_itself["released"] += account.held
                account.released += account.held
            if request.kind == CAPTURE:
                self._may_refund(account)
                self._may_capture(account, 6)
                self._show_temper(account)
        said = self._of(request) | {"request_no": number}
        if request.status == DONE and self.names_totals:
            said |= self._totals(account)
        self._notify(account, said, may_be_lost=True)

    # ------------------------------------------------------------------------------------------- what it says

    def _expire(self, account: Account) -> None:
        if not (account.frozen or account.taken) and self.now() >= account.deadline:
            account.closed = True

    def _totals(self, account: Account) -> dict[str, Any]:
        if account.kind is Kind.PAYMENT:
            return {"total_taken_minor": account.taken, "total_refunded_minor": account.refunded}
        return {
            "total_frozen_minor": account.frozen,
            "total_taken_minor": account.taken,
            "total_released_minor": account.released,
            "total_refunded_minor": account.refunded,
        }

    def _standing(self, account: Account) -> dict[str, Any]:
        trade = "open"
        if account.taken and account.kind is Kind.PAYMENT:
            trade = "paid"
        elif account.frozen:
            trade = "frozen"
        elif account.closed:
            trade = "closed"
        told = {"trade": trade, "order_amount_minor": account.amount_minor, "currency": account.currency}
        return told | self._totals(account)

    def _notify(self, account: Account, said: dict[str, Any], *, may_be_lost: bool = False) -> None:
        self._notified += 1
        said = {"notify_id": f"n{self._notified}", "order_id": account.order_id, **said}
        self._tell(said, may_be_lost, self.tells_after_s(account.order_id))
