"""Every word that appears on the wire or in a table, once.

The values are fixed: upstream services, consumers and SQL depend on them. Add, never rename.
"""

import enum


class StrEnum(enum.StrEnum):
    """A word that is its own text, also as a key.

    Enum's own hash is a Python function, and several words are looked up for every event.
    """

    __hash__ = str.__hash__


class Topic(StrEnum):
    """The topics, all keyed by order id; the inputs and the state events share one partition count."""

    ORDERS = "orders.events"
    CALLBACKS = "wallet.callbacks"
    COMPLETIONS = "service.completions"
    STATE_EVENTS = "payment.state-events"
    ORDER_STRINGS = "payment.order-strings"


INPUT_TOPICS = (Topic.ORDERS, Topic.CALLBACKS, Topic.COMPLETIONS)


class Kind(StrEnum):
    """What kind of order it is: paid at once, or frozen first and captured after the service."""

    PAYMENT = "payment"
    PREAUTH = "preauth"


class LatePayment(StrEnum):
    """What to do with money that arrives after the order was expired or closed."""

    REFUND = "refund"
    ACCEPT = "accept"


class State(StrEnum):
    """Where an order stands; the only thing that `transitions` moves."""

    CREATED = "created"
    PAYING = "paying"
    EXPIRING = "expiring"
    PAID = "paid"
    AUTHORIZED = "authorized"
    CAPTURING = "capturing"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    VOIDING = "voiding"
    VOIDED = "voided"
    REFUNDING = "refunding"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    CLOSED = "closed"


class Trigger(StrEnum):
    """What happened to an order, in the order's own words."""

    CREATE = "create"
    ISSUE = "issue"
    CANCEL = "cancel"
    PAY_TIMER = "pay_timer"
    PAYMENT_SUCCEEDED = "payment_succeeded"
    AUTHORIZATION_GRANTED = "authorization_granted"
    PAYMENT_FAILED = "payment_failed"
    CLIENT_RESULT = "client_result"
    WALLET_CLOSED = "wallet_closed"
    CLOSE_SUCCEEDED = "close_succeeded"
    CLOSE_REJECTED = "close_rejected"
    CLOSE_GIVEN_UP = "close_given_up"
    SERVICE_COMPLETED = "service_completed"
    CAPTURE_SUCCEEDED = "capture_succeeded"
    CAPTURE_REJECTED = "capture_rejected"
    AUTHORIZATION_TIMER = "authorization_timer"
    AUTHORIZATION_WARNING = "authorization_warning"
    WALLET_RELEASED = "wallet_released"
    WALLET_REFUNDED = "wallet_refunded"
    RELEASE_SUCCEEDED = "release_succeeded"
    RELEASE_REJECTED = "release_rejected"
    REFUND_REQUESTED = "refund_requested"
    REFUND_SUCCEEDED = "refund_succeeded"
    REFUND_REJECTED = "refund_rejected"
    OPERATION_UNKNOWN = "operation_unknown"
    OPERATOR_RESOLVED = "operator_resolved"


class Disposition(StrEnum):
    """What became of an input, as its journal entry says."""

    APPLIED = "applied"
    ABSORBED = "absorbed"
    REFUSED = "refused"
    FLAGGED = "flagged"


class OperationKind(StrEnum):
    """What we ask of a wallet."""

    CLOSE = "close"
    CAPTURE = "capture"
    RELEASE = "release"
    REFUND = "refund"


class OperationState(StrEnum):
    """How far an operation is. It ends (the last three) only with evidence, never because time passed."""

    RESERVED = "reserved"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


LIVE_OPERATION_STATES = frozenset({OperationState.RESERVED, OperationState.SUBMITTING, OperationState.UNKNOWN})


class Outcome(StrEnum):
    """A wallet's answer: one of three, or we do not know. The fourth is never folded into another."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Flag(StrEnum):
    """Something a person should look at; independent of state."""

    AMOUNT_MISMATCH = "amount_mismatch"
    LATE_PAYMENT = "late_payment"
    LATE_AUTHORIZATION = "late_authorization"
    SHORTFALL = "shortfall"
    CLOSE_UNCONFIRMED = "close_unconfirmed"
    CAPTURE_REJECTED = "capture_rejected"
    RELEASE_REJECTED = "release_rejected"
    REFUND_REJECTED = "refund_rejected"
    REFUND_BY_WALLET = "refund_by_wallet"
    UNEXPECTED_COMPLETION = "unexpected_completion"
    AUTHORIZATION_EXPIRING = "authorization_expiring"
    CAPTURE_PAST_AUTHORIZATION = "capture_past_authorization"
    NEEDS_REVIEW = "needs_review"
