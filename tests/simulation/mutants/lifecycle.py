"""Bugs in what an order makes of what it is told."""

from tests.simulation.planting import Mutant

EVIDENCE = "statemachine.evidence"
OUTCOMES = "statemachine.outcomes"
OPERATIONS = "statemachine.operations"
TABLE = "statemachine.lifecycle"
DECIDE = "statemachine.decide"
REPORTS = "statemachine.reports"
REQUESTS = "statemachine.requests"
COMPLETIONS = "statemachine.completions"
SETTLE = "statemachine.settle"
TIMERS = "statemachine.timers"
DOUBTS = "statemachine.doubts"
TURN = "statemachine.turn"

MUTANTS = (
    Mutant(
        "additions instead of totals: taken",
        "every message about money adds it again",
        EVIDENCE,
        "max(order.taken_minor, taken or 0),",
        "order.taken_minor + (taken or 0),",
    ),
    Mutant(
        "additions instead of totals: refunded",
        "every message about a refund adds it again",
        EVIDENCE,
        "max(order.refunded_minor, refunded or 0),",
        "order.refunded_minor + (refunded or 0),",
    ),
    Mutant(
        "mismatch booked",
        "evidence over another amount is believed",
        EVIDENCE,
        "    if mismatch:\n",
        "    if mismatch and said.currency is None and not is_callback:\n",
    ),
    Mutant(
        "no dedupe",
        "the same event again is taken again",
        DECIDE,
        "    if _is_duplicate(order, given):",
        "    if _is_duplicate(order, given) and isinstance(given, OrderCreated):",
    ),
    Mutant(
        "completions not remembered",
        "the same completion in another event is captured again",
        COMPLETIONS,
        "    remember(order, COMPLETION, done.completion_id)\n",
        "    _ = remember, COMPLETION\n",
    ),
    Mutant(
        "refunds not remembered",
        "the same refund in another event goes back again",
        REQUESTS,
        "        remember(order, REFUND, asked.refund_id)\n",
        "        _ = remember, REFUND\n",
    ),
    Mutant(
        "expire without close",
        "the pay timer ends the order without a word to the wallet",
        TABLE,
        "_row(T.PAY_TIMER, S.PAYING, S.EXPIRING)",
        "_row(T.PAY_TIMER, S.PAYING, S.EXPIRED)",
    ),
    Mutant(
        "cancel without close",
        "a cancelled order is closed without a word to the wallet",
        TABLE,
        "_row(T.CANCEL, S.PAYING, S.EXPIRING)",
        "_row(T.CANCEL, S.PAYING, S.CLOSED)",
    ),
    Mutant(
        "no such trade = closed",
        "a trade that the wallet does not know yet counts as closed, however early",
        OUTCOMES,
        "trade is Trade.MISSING and order.pay_deadline is not None and said.occurred_at >= order.pay_deadline:",
        "trade is Trade.MISSING and order.pay_deadline is not None:",
    ),
    Mutant(
        "a late answer proves",
        "no such trade counts by when it is decided upon, not by when the wallet was asked",
        OUTCOMES,
        "order.pay_deadline is not None and said.occurred_at >= order.pay_deadline:",
        "order.pay_deadline is not None and turn.now >= order.pay_deadline:",
    ),
    Mutant(
        "unknown = rejected",
        "an answer that says nothing ends the operation",
        OUTCOMES,
        "    if said.outcome is Outcome.REJECTED:\n",
        "    if said.outcome in (Outcome.REJECTED, Outcome.UNKNOWN):\n",
    ),
    Mutant(
        "pending = succeeded",
        "what the wallet has only accepted counts as done",
        OUTCOMES,
        "if said.outcome is not Outcome.SUCCEEDED or said.request_no is None:",
        "if said.outcome not in (Outcome.SUCCEEDED, Outcome.PENDING) or said.request_no is None:",
    ),
    Mutant(
        "time passed = rejected",
        "what nobody could find out counts as refused",
        REPORTS,
        "    unknown = change(turn, live, state=OperationState.UNKNOWN, reason=GIVEN_UP)\n",
        "    turn.move(REJECTED_TRIGGER[live.kind], GIVEN_UP, reject(turn, GIVEN_UP))\n    return\n"
        "    unknown = change(turn, live, state=OperationState.UNKNOWN, reason=GIVEN_UP)\n",
    ),
    Mutant(
        "capture while a void is live",
        "a completion that comes while everything is being given back is captured",
        TABLE,
        '_row(T.SERVICE_COMPLETED, HOLDING, S.CAPTURING, "a_capture_waits", "something_is_held")',
        '_row(T.SERVICE_COMPLETED, (*HOLDING, S.VOIDING), S.CAPTURING, "a_capture_waits", "something_is_held")',
    ),
    Mutant(
        "request numbers given twice",
        "every operation of a kind has the same request number",
        OPERATIONS,
        "n = order.request_counts.get(letter, 0) + 1",
        "n = 1",
    ),
    Mutant(
        "attempts not counted",
        "an operation that was sent looks as if it never had been",
        REPORTS,
        "attempts=live.attempts + 1",
        "attempts=live.attempts",
    ),
    Mutant(
        "refund beyond what is left",
        "more goes back than was taken",
        REQUESTS,
        "elif not 0 < asked.amount_minor <= left_minor:",
        "elif not 0 < asked.amount_minor:",
    ),
    Mutant(
        "capture beyond what is held",
        "a service that cost more than is frozen is captured whole",
        OPERATIONS,
        "amount_minor = min(completion.amount_minor, order.held_minor)",
        "amount_minor = completion.amount_minor",
    ),
    Mutant(
        "completion stays in the queue",
        "what a service cost is captured, and waits to be captured again",
        OPERATIONS,
        "    order.waiting = tuple(rest)\n",
        "    _ = rest\n",
    ),
    Mutant(
        "final forgotten",
        "after the last capture more is waited for",
        OPERATIONS,
        "    order.final = order.final or completion.final\n",
        "    _ = completion.final\n",
    ),
    Mutant(
        "remainder kept",
        "what is not captured stays frozen",
        SETTLE,
        "elif order.state in RELEASING and order.held_minor > 0 and Flag.RELEASE_REJECTED not in order.flags:",
        "elif order.state is State.VOIDING and order.held_minor > 0 and Flag.RELEASE_REJECTED not in order.flags:",
    ),
    Mutant(
        "late money kept",
        "a payment after the end is kept although it should go back",
        TABLE,
        '_row(T.PAYMENT_SUCCEEDED, ENDED_UNPAID, S.REFUNDING, "is_a_payment", "late_money_goes_back")',
        '_row(T.PAYMENT_SUCCEEDED, ENDED_UNPAID, S.PAID, "is_a_payment", "late_money_goes_back")',
    ),
    Mutant(
        "late authorization absorbed",
        "an amount that is frozen after the end is forgotten",
        TABLE,
        '_row(T.AUTHORIZATION_GRANTED, (S.EXPIRING, *ENDED_UNPAID), S.VOIDING, "is_a_preauth")',
        '_row(T.AUTHORIZATION_GRANTED, S.EXPIRING, S.VOIDING, "is_a_preauth")',
    ),
    Mutant(
        "expiring sleeps",
        "an order that nothing but a question can bring on is never woken",
        TIMERS,
        "return order.state is State.EXPIRING or (order.state in RELEASING and order.held_minor > 0)",
        "return order.state in RELEASING and order.held_minor > 0",
    ),
    Mutant(
        "authorization never ends",
        "what is frozen is kept beyond its time",
        TIMERS,
        "return _earliest(order.authorization_deadline, order.next_query_at)",
        "return order.next_query_at",
    ),
    Mutant(
        "entries without versions",
        "two entries of one order have the same version",
        TURN,
        "order.version += 1",
        "order.version += order.state is not previous or not self.entries",
    ),
    Mutant(
        "a person's word about what has moved on",
        "what somebody has said of one operation is believed of the next",
        REPORTS,
        "if resolved.expected_version != order.version:",
        "if resolved.expected_version > order.version:",
    ),
    Mutant(
        "a person's word is half taken",
        "an operation that somebody says was refused counts as carried out",
        REPORTS,
        "if resolved.outcome is Outcome.SUCCEEDED:",
        "if resolved.outcome is not None:",
    ),
    Mutant(
        "doubt asked about once",
        "a doubt whose question got no answer is forgotten",
        TIMERS,
        "        ask_in_doubt(turn)\n",
        "        order.doubt = None\n",
    ),
    Mutant(
        "doubt given up",
        "a wallet that does not answer is not asked any more",
        DOUBTS,
        "    if questions > turn.policy",
        "    if questions > turn.policy.close_sweeps:\n        order.doubt = None\n"
        "    elif questions > turn.policy",
    ),
)
