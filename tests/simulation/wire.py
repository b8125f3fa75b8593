"""The simulated wallet's dialect: JSON, sealed with a shared key, as quick as a seal can be. The adapter reads it.

Everything else on the way is production's: the carrier, its timeouts, the inbox and what they make of an answer.
"""

import zlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from schemas.vocabulary import Kind, LatePayment, OperationKind, Outcome
from service.wallets.adapter import CallbackRefusedError, RawCallback, WalletAnswer, WalletRequest
from service.wallets.question import Question
from statemachine.inputs import EvidenceSource, OrderCreated, Trade, WalletEvidence
from statemachine.order import Operation, Order

PROFILE = "mall"
URL = "https://wallet.example/"
_OURS, _THEIRS = b"ours", b"theirs"
TOTALS = ("total_frozen_minor", "total_taken_minor", "total_released_minor", "total_refunded_minor")
_AMOUNTS = ("order_amount_minor", "request_amount_minor", *TOTALS)


def sealed(said: dict[str, Any], key: bytes) -> bytes:
    """The JSON text, behind its seal. CRC, where a real wallet has RSA: nobody here tries to forge one."""
    text = orjson.dumps(said)
    return b"%08x" % zlib.crc32(text, zlib.crc32(key)) + text


def opened(body: bytes, key: bytes) -> dict[str, Any] | None:
    """What was sealed; None when the seal is not the key's."""
    text = body[8:]
    if body[:8] != b"%08x" % zlib.crc32(text, zlib.crc32(key)):
        return None
    said: dict[str, Any] = orjson.loads(text)
    return said


def from_wallet(said: dict[str, Any]) -> bytes:
    """An answer or a callback, sealed by the wallet."""
    return sealed(said, _THEIRS)


def of_wallet(body: bytes) -> dict[str, Any] | None:
    """What the wallet says in an answer, if it is the wallet's."""
    return opened(body, _THEIRS)


def call_of(body: bytes) -> dict[str, Any]:
    """A call of ours, as the wallet reads it."""
    call = opened(body, _OURS)
    assert call is not None, "our own seal"
    return call


def _evidence(said: dict[str, Any], bare: WalletEvidence) -> WalletEvidence:
    return replace(
        bare,
        trade=Trade(said["trade"]) if said.get("trade") else None,
        outcome=Outcome(said["outcome"]) if said.get("outcome") else bare.outcome,
        currency=said.get("currency"),
        code=said.get("code", ""),
        trade_no=said.get("trade_no"),
        **{name: said.get(name) for name in _AMOUNTS},
    )


@dataclass(frozen=True)
class SimulatedAdapter:
    """A WalletAdapter."""

    authorization_timeout_s: int = 60
    late_payment: LatePayment = LatePayment.REFUND
    success_answer: bytes = b"success"

    def check_terms(self, created: OrderCreated) -> None:
        """The wallet takes any."""

    def pay_window_s(self, kind: Kind, pay_timeout_s: int) -> int:  # noqa: ARG002 - the port's own
        return pay_timeout_s

    def order_string(self, order: Order) -> str:
        assert order.issued_at is not None
        terms = {
            "order_id": order.order_id,
            "kind": order.kind,
            "amount_minor": order.amount_minor,
            "currency": order.currency,
            "authorization_timeout_s": order.authorization_timeout_s,
        }
        return sealed(terms, _OURS).decode()

    def blames_configuration(self, code: str) -> bool:  # noqa: ARG002 - the port's own
        return False

    def order_of_callback(self, callback: RawCallback) -> str | None:
        evidence = self.open_callback(callback)
        return None if evidence is None else evidence.order_id

    def open_callback(self, callback: RawCallback) -> WalletEvidence | None:
        said = opened(callback.body, _THEIRS)
        if said is None:
            raise CallbackRefusedError("its seal is not the wallet's")
        bare = WalletEvidence(
            said["notify_id"],
            callback.received_at,
            EvidenceSource.CALLBACK,
            said["order_id"],
            request_no=said.get("request_no"),
        )
        return _evidence(said, bare)

    def operation_request(self, order: Order, operation: Operation, now: datetime) -> WalletRequest:  # noqa: ARG002
        call = {
            "call": operation.kind,
            "order_id": order.order_id,
            "request_no": operation.id,
            "amount_minor": operation.amount_minor,
            "complete": operation.complete,
        }
        return WalletRequest(operation.kind, order.order_id, URL, sealed(call, _OURS), {}, operation)

    def query_request(self, order: Order, operation: Operation | None, now: datetime) -> WalletRequest:  # noqa: ARG002
        call = {"call": "query", "order_id": order.order_id, "request_no": operation.id if operation else None}
        if operation is not None:
            call["kind"] = operation.kind
        return WalletRequest("query", order.order_id, URL, sealed(call, _OURS), {}, operation, is_query=True)

    def read_answer(
        self, order: Order, request: WalletRequest, answer: WalletAnswer, now: datetime
    ) -> WalletEvidence:
        asked = Question(order, request, now)
        said = opened(answer.body, _THEIRS) if answer.status == 200 and len(answer.body) > 8 else None
        if said is None:
            return asked.unknown("not sealed by the wallet")
        expected = request.operation.id if request.operation else None
        if said["order_id"] != order.order_id or said.get("request_no") != expected:
            return asked.unknown("it answers another question")
        return _evidence(said, asked.evidence())


CLOSE, CAPTURE, RELEASE, REFUND = (
    str(each) for each in (OperationKind.CLOSE, OperationKind.CAPTURE, OperationKind.RELEASE, OperationKind.REFUND)
)
