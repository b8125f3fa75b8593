"""What a callback says of an order, once it is known to be genuine: `notifyPayment` and its siblings.

Sources: the parameter tables of notifyPayment, notifyCapture, notifyRefund and notifyVoid. Antom names the kind
in `notifyType`; mini program platforms tell it by which result is there.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from schemas.identifiers import InvalidOrderIdError, is_request_number, order_id_of
from schemas.money import InvalidMoneyError
from schemas.strict_json import MalformedRecordError, loads_object
from schemas.vocabulary import Outcome
from schemas.wallet_callbacks import MAX_CALLBACK_BODY_BYTES
from service.wallets.adapter import CallbackRefusedError, RawCallback
from service.wallets.alipay_plus.answer_facts import text
from service.wallets.alipay_plus.codes import Result, Verdict, result_of
from service.wallets.alipay_plus.headers import (
    REQUEST_TIME,
    NotBelievedError,
    parse_time,
    path_of,
    verify_headers,
)
from service.wallets.alipay_plus.terms import read_amount
from service.wallets.profile import WalletProfile
from statemachine.inputs import EvidenceSource, Trade, WalletEvidence

# By notifyType: which letter our number has there, and the names of number, amount, time and own status.
_MOVEMENTS: Final = {
    "CAPTURE_RESULT": ("C", "captureRequestId", "captureAmount", "captureTime", "captureStatus"),
    "REFUND_RESULT": ("B", "refundRequestId", "refundAmount", "refundTime", "refundStatus"),
    "VOID_RESULT": ("R", "voidRequestId", "voidAmount", "voidTime", "voidStatus"),
}
_PAYMENTS: Final = frozenset({"PAYMENT_RESULT", "PAYMENT_PENDING"})
_TYPE_BY_RESULT: Final = {
    "paymentResult": "PAYMENT_RESULT",
    "captureResult": "CAPTURE_RESULT",
    "refundResult": "REFUND_RESULT",
    "voidResult": "VOID_RESULT",
}
_STATUSES: Final = {"SUCCESS": Outcome.SUCCEEDED, "FAIL": Outcome.REJECTED}


def verify_callback(callback: RawCallback, profile: WalletProfile) -> dict[str, Any]:
    """The members of a genuine callback. Raises CallbackRefusedError, nothing else."""
    if len(callback.body) > MAX_CALLBACK_BODY_BYTES:
        raise CallbackRefusedError(f"the body is longer than {MAX_CALLBACK_BODY_BYTES} bytes")
    if callback.method != "POST":
        raise CallbackRefusedError(f"it came as {callback.method[:10]}, and only a POST is signed")
    try:
        verify_headers(
            callback.headers,
            callback.body,
            paths=(callback.path, *([path_of(profile.notify_url)] if profile.notify_url else [])),
            time_name=REQUEST_TIME,
            profile=profile,
            at=callback.received_at,
        )
        return loads_object(callback.body)
    except (NotBelievedError, MalformedRecordError) as error:
        raise CallbackRefusedError(str(error)) from None


def order_of(fields: Mapping[str, Any]) -> str | None:
    """The order that a genuine callback speaks of, or None when it is of none of ours."""
    notify_type, _ = _kind(fields)
    return _order_id(_number(fields, notify_type))


def evidence_of(fields: Mapping[str, Any], body: bytes, received_at: datetime) -> WalletEvidence | None:
    """The evidence in a genuine callback, or None when it is of no order of ours. Raises CallbackRefusedError."""
    notify_type, result = _kind(fields)
    try:
        if notify_type in _PAYMENTS:
            return _of_a_payment(fields, result, notify_type, event_id(notify_type, body), received_at)
        if notify_type in _MOVEMENTS:
            return _of_a_movement(fields, result, notify_type, event_id(notify_type, body), received_at)
    except InvalidMoneyError as error:
        raise CallbackRefusedError(str(error)) from None
    return None


def event_id(notify_type: str, body: bytes) -> str:
    """The wallet numbers no notifications, and a resend has a new time and signature, but the same body."""
    return f"{notify_type}:{sha256(body).hexdigest()[:32]}"


def _kind(fields: Mapping[str, Any]) -> tuple[str, Result]:
    named = fields.get("notifyType")
    found = [name for name in _TYPE_BY_RESULT if name in fields]
    if isinstance(named, str):
        # The usual one, unless the platform's own name for it stands there alone.
        return named, result_of(fields, found[0] if "result" not in fields and len(found) == 1 else "result")
    if len(found) == 1:
        return _TYPE_BY_RESULT[found[0]], result_of(fields, found[0])
    return "", Result("", "")


def _number(fields: Mapping[str, Any], notify_type: str) -> str:
    """Our own number in it; empty where there is none."""
    if notify_type in _PAYMENTS:
        return text(fields, "paymentRequestId") or ""
    if notify_type in _MOVEMENTS:
        return text(fields, _MOVEMENTS[notify_type][1]) or ""
    return ""


def _order_id(number: str) -> str | None:
    """The order that a number names; None for one that another system gave out under the same client."""
    try:
        return order_id_of(number)
    except InvalidOrderIdError:
        return None


def _of_a_payment(
    fields: Mapping[str, Any], result: Result, notify_type: str, identity: str, received_at: datetime
) -> WalletEvidence | None:
    number = _number(fields, notify_type)
    order_id = _order_id(number)
    is_freeze = is_request_number(number)
    if order_id is None or (is_freeze and number.rpartition("__")[2][0] != "F"):
        return None
    amount = read_amount(fields["paymentAmount"]) if "paymentAmount" in fields else None
    trade = Trade.OPEN
    # Whatever the result says: a payment that is pending is not paid.
    if notify_type != "PAYMENT_PENDING" and result.verdict is Verdict.DONE:
        trade = Trade.FROZEN if is_freeze else Trade.PAID
    elif result.status == "F":
        trade = Trade.FAILED
    payment_id = text(fields, "paymentId")
    return WalletEvidence(
        event_id=identity,
        occurred_at=parse_time(fields.get("paymentTime")) or received_at,
        source=EvidenceSource.CALLBACK,
        order_id=order_id,
        trade=trade,
        order_amount_minor=amount[0] if amount else None,
        currency=amount[1] if amount else None,
        total_frozen_minor=amount[0] if amount and trade is Trade.FROZEN else None,
        total_taken_minor=amount[0] if amount and trade is Trade.PAID else None,
        code=result.reason,
        trade_no=None if is_freeze else payment_id,
        auth_no=payment_id if is_freeze else None,
    )


def _of_a_movement(
    fields: Mapping[str, Any], result: Result, notify_type: str, identity: str, received_at: datetime
) -> WalletEvidence | None:
    """Of a capture, a refund or a void. One that the wallet made by itself has a number of its own: None.

    It names only the wallet's payment, which tells nobody here the order; the next question finds what it did.
    """
    letter, _, amount_name, time_name, status_name = _MOVEMENTS[notify_type]
    number = _number(fields, notify_type)
    order_id = _order_id(number)
    if order_id is None or not number.startswith(f"{order_id}__{letter}"):
        return None
    amount = read_amount(fields[amount_name]) if amount_name in fields else None
    return WalletEvidence(
        event_id=identity,
        occurred_at=parse_time(fields.get(time_name)) or received_at,
        source=EvidenceSource.CALLBACK,
        order_id=order_id,
        currency=amount[1] if amount else None,
        request_no=number,
        outcome=_outcome(result, fields.get(status_name)),
        request_amount_minor=amount[0] if amount else None,
        code=result.reason,
    )


def _outcome(result: Result, status: object) -> Outcome:
    """By its own status where there is one (a refund's), for a result may only say that it was accepted."""
    if status == "SUCCESS" and result.status == "F":
        return Outcome.UNKNOWN
    if status is not None:
        return _STATUSES.get(status, Outcome.PENDING) if isinstance(status, str) else Outcome.UNKNOWN
    if result.verdict is Verdict.DONE:
        return Outcome.SUCCEEDED
    return Outcome.REJECTED if result.status == "F" else Outcome.PENDING
