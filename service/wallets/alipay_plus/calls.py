"""What we send: the order string and the calls of an order, and their signing.

Pure and deterministic: the same order, operation and time give the same bytes, and a call that is made again
differs from the first only in its time. `gateway_url` of the profile is all that comes before `/payments`:
`https://…/ams/api/v1` at Antom, `https://…/v2` at a mini program platform.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from schemas.identifiers import request_number
from schemas.vocabulary import Kind, OperationKind
from service.wallets.adapter import BuilderRefusedError
from service.wallets.alipay_plus import terms
from service.wallets.alipay_plus.headers import path_of, request_time, signed_headers, signed_text
from service.wallets.profile import WalletProfile
from service.wallets.signatures import SignType, sign
from statemachine.order import Operation, Order

PAY: Final = "pay"
CAPTURE: Final = "capture"
VOID: Final = "void"
CANCEL: Final = "cancel"
REFUND: Final = "refund"
INQUIRE_PAYMENT: Final = "inquiryPayment"
INQUIRE_REFUND: Final = "inquiryRefund"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the gateway by its last name, with its members."""

    name: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A call as it goes over HTTP: a POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def url_of(profile: WalletProfile, name: str) -> str:
    """Where the call goes."""
    return f"{profile.gateway_url.rstrip('/')}/payments/{name}"


def signed_call(profile: WalletProfile, call: Call, at: datetime) -> SignedCall:
    """The call as an HTTP request."""
    url, body = url_of(profile, call.name), terms.body_of(call.fields)
    assert profile.client_id is not None, "the profile has been checked"
    return SignedCall(url, signed_headers(profile.app_private_key, profile.client_id, url, at, body), body)


# ------------------------------------------------------------------------------------------------ order string


def payment_number(order_id: str, kind: Kind) -> str:
    """The paymentRequestId: the order's own id, or the freeze's number.

    So a callback tells by its number alone whether money was taken or only frozen.
    """
    return order_id if kind is Kind.PAYMENT else request_number(order_id, "F", 1)


def pay_call(order: Order, issued_at: datetime, profile: WalletProfile) -> Call:
    """What the buyer is offered; raises BuilderRefusedError."""
    if not 0 < order.pay_window_s <= terms.LONGEST_WINDOW_S:
        raise BuilderRefusedError("pay_timeout_s: the wallet waits 15 days at most")
    amount = terms.amount(order.amount_minor, order.currency)
    # MANUAL: nothing is taken until we capture.
    factor = {"isAuthorization": True, "captureMode": "MANUAL"} if order.kind is Kind.PREAUTH else None
    return Call(
        PAY,
        {
            "paymentRequestId": payment_number(order.order_id, order.kind),
            "paymentAmount": amount,
            "order": {
                "referenceOrderId": order.order_id,
                "orderDescription": terms.description(order.subject),
                "orderAmount": amount,
            },
            "paymentFactor": factor,
            # Absolute, so that the deadline is the same whenever the string is made and the buyer opens it.
            "paymentExpiryTime": request_time(issued_at + timedelta(seconds=order.pay_window_s)),
            "paymentNotifyUrl": profile.notify_url,
        },
    )


def order_string(profile: WalletProfile, call: Call, at: datetime) -> str:
    """The pay call, signed, as one form: `body`, `client_id`, `path`, `request_time`, `signature`.

    In this dialect only the wallet can make what `my.tradePay` opens: `pay` is answered with a `paymentUrl`.
    An order string is a pure function, so it is that call, ready to be posted: whoever hands it to a buyer posts
    `body` to `path` under the three headers, and gives the `paymentUrl` of the answer to `my.tradePay`. However
    often it is posted, it is one payment, by its paymentRequestId. The sandbox's cashier takes the string as it
    is. RSA PKCS#1 v1.5 has no randomness, so the same order gives the same string.
    """
    path, time, body = path_of(url_of(profile, call.name)), request_time(at), terms.body_of(call.fields)
    client_id = profile.client_id or ""
    signature = sign(profile.app_private_key, signed_text(path, client_id, time, body), SignType.RSA2)
    return urlencode(
        {"body": body, "client_id": client_id, "path": path, "request_time": time, "signature": signature}
    )


# -------------------------------------------------------------------------------------------------- operations


def operation_call(order: Order, operation: Operation, profile: WalletProfile) -> Call:
    """The call that carries the operation out; raises BuilderRefusedError."""
    match operation.kind:
        case OperationKind.CLOSE:
            return Call(CANCEL, _payment(order))
        case OperationKind.CAPTURE:
            return Call(
                CAPTURE,
                {
                    "captureRequestId": operation.id,
                    "paymentId": _payment_id(order),
                    "captureAmount": terms.amount(operation.amount_minor, order.currency),
                    "isLastCapture": operation.complete,
                },
            )
        case OperationKind.RELEASE:
            return _release(order, operation, profile)
        case OperationKind.REFUND:
            return Call(
                REFUND,
                {
                    "refundRequestId": operation.id,
                    "paymentId": _payment_id(order),
                    "refundAmount": terms.amount(operation.amount_minor, order.currency),
                },
            )


def query_call(order: Order, operation: Operation | None) -> Call:
    """The question about the operation, or about the order. Only refunds have one of their own."""
    if operation is not None and operation.kind is OperationKind.REFUND:
        return Call(INQUIRE_REFUND, {"refundRequestId": operation.id})
    return Call(INQUIRE_PAYMENT, _payment(order))


def _release(order: Order, operation: Operation, profile: WalletProfile) -> Call:
    if profile.release_call == VOID:
        return Call(
            VOID,
            {
                "voidRequestId": operation.id,
                "paymentId": _payment_id(order),
                "voidAmount": terms.amount(operation.amount_minor, order.currency),
            },
        )
    if order.taken_minor:
        # Antom's cancel gives back all of a payment, also what was captured. What is left of an authorization
        # there goes with its last capture, or when it runs out.
        raise BuilderRefusedError("release: `cancel` would give back what was captured, too")
    return Call(CANCEL, _payment(order))


def _payment(order: Order) -> dict[str, str]:
    return {"paymentRequestId": payment_number(order.order_id, order.kind)}


def _payment_id(order: Order) -> str:
    known = order.wallet_trade_no if order.kind is Kind.PAYMENT else order.wallet_auth_no
    if not known:
        raise BuilderRefusedError("paymentId: the wallet has not told us the payment's number")
    return known
