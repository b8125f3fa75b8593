"""Alipay+'s callbacks: JSON, signed in the headers, of what was paid, captured, refunded or voided."""

import json
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from service.sandbox.calls import Event, Notice
from service.sandbox.identity import Identity
from service.sandbox.plus.dialect import iso_of, money, sign_message

# By the event's kind: notifyType, and the names of number, amount and time.
_NAMES: Final = {
    "payment": ("PAYMENT_RESULT", "paymentRequestId", "paymentAmount", "paymentTime"),
    "capture": ("CAPTURE_RESULT", "captureRequestId", "captureAmount", "captureTime"),
    "refund": ("REFUND_RESULT", "refundRequestId", "refundAmount", "refundTime"),
    "release": ("VOID_RESULT", "voidRequestId", "voidAmount", "voidTime"),
}


def notification(event: Event) -> dict[str, Any]:
    """The members of the callback. It names the movement and the payment; totals it does not tell."""
    notify_type, number, amount, time = _NAMES[event.kind]
    told: dict[str, Any] = {
        "notifyType": notify_type,
        "result": {"resultCode": "SUCCESS", "resultStatus": "S", "resultMessage": "success"},
        "paymentId": event.wallet_no,
        number: event.payment_no if event.kind == "payment" else event.request_no,
        amount: money(event.amount_minor, event.currency),
        time: iso_of(event.at),
    }
    return told | ({"refundStatus": "SUCCESS"} if event.kind == "refund" else {})


class PlusVoice:
    """Tells as Antom does."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._key = identity.wallet_private_key

    def default_url(self) -> str:
        """See Voice."""
        return self._identity.plus_notify_url

    def signed(self, notice: Notice, url: str, number: int, now: datetime) -> tuple[bytes, dict[str, str]]:  # noqa: ARG002
        """See Voice. Only the headers are new in a resend; nothing here numbers a notification."""
        body = json.dumps(notification(notice.event), separators=(",", ":")).encode()
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        client_id = self._identity.client_id
        return body, sign_message(self._key, client_id, path, body, time_name="request-time", now=now)

    def is_taken(self, status: int, body: bytes) -> bool:
        """See Voice."""
        try:
            told = json.loads(body)["result"]
            return status == 200 and (told["resultCode"], told["resultStatus"]) == ("SUCCESS", "S")  # noqa: PLR2004
        except (ValueError, KeyError, TypeError):
            return False
