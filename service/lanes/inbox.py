"""The inbox: a record's bytes become a verified fact, or a reason why not. Signatures are checked here.

Pure: no I/O, no clock. A signature takes 25 µs to verify, all of a callback less than a tenth of a millisecond.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from schemas.base import in_words
from schemas.completions import COMPLETION
from schemas.identifiers import InvalidOrderIdError, check_order_id
from schemas.order_events import (
    ORDER_EVENT,
    OperatorResolvedEvent,
    OrderCancelRequested,
    OrderClientResult,
    OrderCreatedEvent,
    OrderEvent,
    OrderIssueRequested,
)
from schemas.strict_json import MalformedRecordError, loads_object
from schemas.vocabulary import Topic
from schemas.wallet_callbacks import WALLET_CALLBACK
from service.wallets.adapter import BuilderRefusedError, CallbackRefusedError, RawCallback, WalletAdapter
from statemachine import inputs

# A W3C trace context: version-traceid-parentid-flags.
TRACEPARENT_LENGTH = 55


@dataclass(slots=True)
class Opened:
    """A record after opening. Exactly one of `given` and `dead` is set, or neither: genuine, but of no order."""

    record: ConsumerRecord
    cause_type: str = ""
    cause_event_id: str | None = None
    order_id: str = ""
    given: inputs.Input | None = None
    dead: str | None = None
    traceparent: str | None = None


class RefusedError(Exception):
    """The record goes to the dead letters; the message is the reason an operator reads."""


class Inbox:
    """Opens the records of all input topics, with the wallets' adapters by profile name."""

    def __init__(self, adapters: Mapping[str, WalletAdapter]) -> None:
        self._adapters = adapters
        self._openers = {
            Topic.CALLBACKS: self._open_callback,
            Topic.ORDERS: self._open_order_event,
            Topic.COMPLETIONS: self._open_completion,
        }

    def open_all(self, records: Sequence[ConsumerRecord]) -> list[Opened]:
        """Opens each; never raises for what a record may hold."""
        return [self.open(record) for record in records]

    def open(self, record: ConsumerRecord) -> Opened:
        """One record, opened."""
        opened = Opened(record, traceparent=_traceparent(record))
        try:
            # A tombstone is no record of ours; the empty text that it becomes is refused as not JSON.
            self._openers[record.topic](opened, record.value or b"")
        except (RefusedError, MalformedRecordError) as error:
            opened.dead = str(error)
        except ValidationError as error:
            opened.dead = in_words(error, tagged=True)
        return opened

    def refusal(self, topic: Topic, order_id: str, value: bytes) -> str | None:
        """Why a lane would make this record a dead letter; None when it would take it."""
        return self.open(_unsent(topic, order_id, value)).dead

    def _open_order_event(self, opened: Opened, raw: bytes) -> None:
        loads_object(raw)
        event = ORDER_EVENT.validate_json(raw)
        opened.cause_type, opened.cause_event_id, opened.order_id = event.type, event.event_id, event.order_id
        opened.given = self._created(event) if isinstance(event, OrderCreatedEvent) else _request(event)

    def _created(self, event: OrderCreatedEvent) -> inputs.OrderCreated:
        adapter = self._adapter(event.profile)
        created = inputs.OrderCreated(
            event_id=event.event_id,
            occurred_at=event.occurred_at,
            order_id=event.order_id,
            kind=event.kind,
            profile=event.profile,
            currency=event.currency,
            amount_minor=event.amount_minor,
            subject=event.subject,
            pay_timeout_s=event.pay_timeout_s,
            pay_window_s=adapter.pay_window_s(event.kind, event.pay_timeout_s),
            authorization_timeout_s=event.authorization_timeout_s or adapter.authorization_timeout_s,
            late_payment=event.late_payment or adapter.late_payment,
            issue=event.issue,
            metadata=event.metadata,
        )
        try:
            adapter.check_terms(created)
        except BuilderRefusedError as error:
            raise RefusedError(f"the wallet would refuse this order: {error}") from None
        return created

    def _open_completion(self, opened: Opened, raw: bytes) -> None:
        loads_object(raw)
        event = COMPLETION.validate_json(raw)
        opened.cause_type, opened.cause_event_id, opened.order_id = event.type, event.event_id, event.order_id
        opened.given = inputs.ServiceCompleted(
            event.event_id,
            event.occurred_at,
            event.completion_id,
            event.amount_minor,
            event.currency,
            event.final,
        )

    def _open_callback(self, opened: Opened, raw: bytes) -> None:
        loads_object(raw)
        callback = WALLET_CALLBACK.validate_json(raw)
        opened.cause_type = callback.type
        adapter = self._adapter(callback.profile)
        try:
            evidence = adapter.open_callback(
                RawCallback(callback.method, callback.path, callback.headers, callback.body, callback.received_at)
            )
        except CallbackRefusedError as error:
            raise RefusedError(f"the callback is refused: {error}") from None
        if evidence is None:
            return
        try:
            opened.order_id = check_order_id(evidence.order_id)
        except InvalidOrderIdError as error:
            raise RefusedError(f"the callback names no order of ours: {error}") from None
        opened.cause_event_id = evidence.event_id
        opened.given = evidence

    def _adapter(self, profile: str) -> WalletAdapter:
        adapter = self._adapters.get(profile)
        if adapter is None:
            raise RefusedError(f"no wallet profile is named {profile!r} in the configuration")
        return adapter


def _unsent(topic: Topic, order_id: str, value: bytes) -> ConsumerRecord:
    """A record as it will be read, before it has a place."""
    key = order_id.encode()
    return ConsumerRecord(topic, 0, 0, 0, 0, key, value, None, len(key), len(value), [])


def _request(event: OrderEvent) -> inputs.Input:
    if isinstance(event, OrderIssueRequested):
        return inputs.IssueRequested(event.event_id, event.occurred_at)
    if isinstance(event, OrderCancelRequested):
        return inputs.CancelRequested(event.event_id, event.occurred_at, event.reason)
    if isinstance(event, OrderClientResult):
        return inputs.ClientResult(event.event_id, event.occurred_at, event.result_code)
    if isinstance(event, OperatorResolvedEvent):
        return inputs.OperatorResolved(
            event.event_id,
            event.occurred_at,
            event.actor,
            event.reason,
            event.evidence,
            event.expected_version,
            event.outcome,
        )
    assert not isinstance(event, OrderCreatedEvent)
    return inputs.RefundRequested(
        event.event_id, event.occurred_at, event.refund_id, event.amount_minor, event.currency, event.reason
    )


def _traceparent(record: ConsumerRecord) -> str | None:
    for name, value in record.headers:
        if name == "traceparent" and value is not None and len(value) == TRACEPARENT_LENGTH and value.isascii():
            return str(value, "ascii")
    return None
