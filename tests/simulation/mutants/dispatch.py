"""Bugs in how wallets are called and asked."""

from tests.simulation.planting import Mutant

CARRIER = "service.dispatch.carrier"
DISPATCHER = "service.dispatch.dispatcher"
RECONCILER = "service.dispatch.reconciler"

MUTANTS = (
    Mutant(
        "timeout = rejected",
        "a call without an answer counts as refused",
        CARRIER,
        "else None,\n                outcome=Outcome.UNKNOWN,",
        "else None,\n                outcome=Outcome.REJECTED,",
    ),
    Mutant(
        "done before call",
        "a call without an answer counts as done",
        CARRIER,
        "else None,\n                outcome=Outcome.UNKNOWN,",
        "else None,\n                outcome=Outcome.SUCCEEDED,",
    ),
    Mutant(
        "attempt not stored",
        "the wallet is called before anybody knows that it may have been",
        DISPATCHER,
        'await self._hand_in(OperationAttempted(now, self.operation.id), "operation_attempted")',
        "_ = now, OperationAttempted",
    ),
    Mutant(
        "called while the attempt is stored",
        "the attempt is handed in, and its commit not waited for",
        DISPATCHER,
        'await self._hand_in(OperationAttempted(now, self.operation.id), "operation_attempted")',
        "self.dispatcher.submit(self.order.order_id, OperationAttempted(now, self.operation.id),"
        ' "operation_attempted", None)',
    ),
    Mutant(
        "new key on retry",
        "a call that is made again has another request number",
        DISPATCHER,
        "self.adapter, self.order, self.operation, self.dispatcher.clock\n",
        "self.adapter, self.order, __import__('dataclasses').replace(self.operation,"
        " id=self.operation.id + '9' * self.tries), self.dispatcher.clock\n",
    ),
    Mutant(
        "never sent again",
        "a request that got lost on its way is asked about for ever",
        DISPATCHER,
        "return evidence.trade is Trade.MISSING",
        "return False and evidence.trade is Trade.MISSING",
    ),
    Mutant(
        "given up for good",
        "what is before a person is never asked about again",
        DISPATCHER,
        "            return self.review_every_s\n",
        "            return 1e6\n",
    ),
    Mutant(
        "unknown reported as an answer",
        "what the reconciler learns is kept to itself",
        RECONCILER,
        "if evidence.outcome is not Outcome.UNKNOWN:",
        "if evidence.outcome is Outcome.UNKNOWN:",
    ),
    Mutant(
        "asked once",
        "an order that was asked about is never asked about again",
        RECONCILER,
        "task.add_done_callback(lambda _: self._asked(order.order_id))",
        "_ = task",
    ),
    Mutant(
        "reply thrown away",
        "the answer to a call is not handed in",
        DISPATCHER,
        "self.dispatcher.schedule.tries - 1)\n        await self._report(evidence)",
        "self.dispatcher.schedule.tries - 1)\n        _ = evidence",
    ),
    Mutant(
        "sent again unasked",
        "what may have been sent before is not looked up first",
        DISPATCHER,
        "may_have_been_sent = self.operation.attempts > 0",
        "may_have_been_sent = False",
    ),
    Mutant(
        "sent again unless done",
        "what the wallet is still working on is sent again",
        DISPATCHER,
        "return evidence.trade is Trade.MISSING",
        "return evidence.outcome is not Outcome.SUCCEEDED",
    ),
    Mutant(
        "release unasked",
        "what is held is released without asking whether the wallet has done it by itself",
        DISPATCHER,
        "            await self._ask(None)\n",
        "",
    ),
    Mutant(
        "left open",
        "an order whose close got lost is asked about, and not closed",
        DISPATCHER,
        "return evidence.trade in (Trade.OPEN, Trade.MISSING)",
        "return evidence.trade is Trade.MISSING",
    ),
    Mutant(
        "close given up too early",
        "nobody could confirm a close, and the buyer can still pay",
        DISPATCHER,
        "deadline is not None and now <= deadline:",
        "deadline is not None and now <= deadline and False:",
    ),
    Mutant(
        "silence kept to itself",
        "that a call got no answer is not handed in",
        DISPATCHER,
        "        await self._report(evidence)\n\n    async def _report",
        "        if evidence.outcome is not Outcome.UNKNOWN:\n"
        "            await self._report(evidence)\n\n    async def _report",
    ),
    Mutant(
        "answers dated when they come",
        "what the wallet says counts by when it is heard, not by when it was asked",
        CARRIER,
        "adapter.read_answer, order, request, answer, asked_at)",
        "adapter.read_answer, order, request, answer, clock.now())",
    ),
    Mutant(
        "called although it has ended",
        "while the attempt was stored the operation ended, and the wallet is called all the same",
        DISPATCHER,
        '"operation_attempted")\n        if not self._live:\n            return\n',
        '"operation_attempted")\n',
    ),
    Mutant(
        "driven twice",
        "an operation that is being driven is begun to be driven once more",
        DISPATCHER,
        "if operation.id in self._driven or not _is_live(order, operation):",
        "if not _is_live(order, operation):",
    ),
)
