"""What we send: the order strings and calls of an order, as method and business content, and their signing.

Pure and deterministic: the same order, operation and time give the same bytes, and a call that is made again
differs from the first only in its timestamp.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.identifiers import request_number
from schemas.vocabulary import Kind, OperationKind
from service.wallets.adapter import BuilderRefusedError
from service.wallets.alipay import terms
from service.wallets.order_string import build_order_string, sign_parameters
from service.wallets.parameters import encode_form, wallet_time
from service.wallets.profile import WalletProfile
from statemachine.order import Operation, Order

PRE_AUTH_ONLINE: Final = "PRE_AUTH_ONLINE"
QUICK_MSECURITY_PAY: Final = "QUICK_MSECURITY_PAY"
# `remark` is required of a release; the buyer sees it.
RELEASE_REMARK: Final = "release"


@dataclass(frozen=True, slots=True)
class Call:
    """A method of the gateway with its business content."""

    method: str
    biz: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A call as it goes over HTTP: a POST, with the common parameters in the query."""

    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def common_parameters(
    profile: WalletProfile, method: str, at: datetime, *, with_notify_url: bool
) -> dict[str, str]:
    """The parameters that every message of ours has, in the order of the wallet's own SDK."""
    return {
        "timestamp": wallet_time(at),
        "app_id": profile.app_id or "",
        "method": method,
        "charset": profile.charset,
        "format": "json",
        "version": "1.0",
        "sign_type": profile.sign_type.value,
        "notify_url": (profile.notify_url if with_notify_url else None) or "",
        "app_auth_token": profile.app_auth_token.get_secret_value() if profile.app_auth_token else "",
        "app_cert_sn": profile.app_cert_sn or "",
        "alipay_root_cert_sn": profile.alipay_root_cert_sn or "",
    }


def signed_order_string(profile: WalletProfile, call: Call, at: datetime) -> str:
    """The orderStr of a call; raises BuilderRefusedError for what the wallet would refuse."""
    params = common_parameters(profile, call.method, at, with_notify_url=True)
    params["biz_content"] = terms.biz_content(call.method, call.biz, profile.charset)
    return build_order_string(params, profile.app_private_key, profile.sign_type, profile.charset)


def signed_call(profile: WalletProfile, call: Call, at: datetime, *, with_notify_url: bool = False) -> SignedCall:
    """The call as an HTTP request; raises BuilderRefusedError for what the wallet would refuse."""
    params = common_parameters(profile, call.method, at, with_notify_url=with_notify_url)
    return sign_call(profile, params, terms.biz_content(call.method, call.biz, profile.charset))


def sign_call(profile: WalletProfile, params: Mapping[str, str], biz_content: str) -> SignedCall:
    """Signs parameters and a business content that are ready; the content goes into the body."""
    whole = {**params, "biz_content": biz_content}
    signed = sign_parameters(whole, profile.app_private_key, profile.sign_type, profile.charset)
    body = encode_form({"biz_content": signed.pop("biz_content")}, profile.charset)
    query = encode_form(signed, profile.charset)
    headers = {"content-type": f"application/x-www-form-urlencoded;charset={profile.charset}"}
    return SignedCall(f"{profile.gateway_url}?{query}", query, headers, body.encode("ascii"))


# ---------------------------------------------------------------------------------------------- order strings


def pay_window_s(kind: Kind, pay_timeout_s: int) -> int:
    """As asked for a payment (`time_expire` counts seconds); the next whole minute for a freeze."""
    if kind is Kind.PAYMENT:
        return pay_timeout_s
    return -(-pay_timeout_s // terms.MINUTE_S) * terms.MINUTE_S


def offer(order: Order, issued_at: datetime, profile: WalletProfile) -> Call:
    """What the order string offers the buyer."""
    if not 0 < order.pay_window_s <= terms.LONGEST_TIMEOUT_S:
        raise BuilderRefusedError("pay_timeout_s: the wallet waits 15 days at most")
    amount = terms.amount_text(order.amount_minor, order.currency)
    # Without a word of it the wallet takes an amount for yuan.
    currency = "" if order.currency == terms.DEFAULT_CURRENCY else order.currency
    if order.kind is Kind.PAYMENT:
        # Absolute, so that the deadline is the same whenever the string is made and the buyer opens it.
        expires_at = issued_at + timedelta(seconds=order.pay_window_s)
        return Call(
            terms.APP_PAY,
            {
                "out_trade_no": order.order_id,
                "total_amount": amount,
                "trans_currency": currency,
                "subject": order.subject,
                "product_code": QUICK_MSECURITY_PAY,
                "time_expire": wallet_time(expires_at),
            },
        )
    return Call(
        terms.APP_FREEZE,
        {
            "out_order_no": order.order_id,
            "out_request_no": freeze_number(order),
            # What the buyer sees; the wallet takes less of it than of a payment's subject.
            "order_title": order.subject[: terms.LENGTHS["order_title"]],
            "amount": amount,
            "trans_currency": currency,
            "product_code": PRE_AUTH_ONLINE,
            "pay_timeout": f"{-(-order.pay_window_s // terms.MINUTE_S)}m",
            "payee_user_id": profile.seller_id,
        },
    )


def freeze_number(order: Order) -> str:
    """The request number of the freeze; there is one in an order."""
    return request_number(order.order_id, "F", 1)


# ------------------------------------------------------------------------------------------------- operations


def operation_call(order: Order, operation: Operation, profile: WalletProfile) -> Call:
    """The call that carries the operation out; raises BuilderRefusedError."""
    match operation.kind:
        case OperationKind.CAPTURE:
            return _capture(order, operation, profile)
        case OperationKind.RELEASE:
            return Call(
                terms.UNFREEZE,
                {
                    "auth_no": _auth_no(order),
                    "out_request_no": operation.id,
                    "amount": terms.amount_text(operation.amount_minor, order.currency),
                    "remark": RELEASE_REMARK,
                },
            )
        case OperationKind.CLOSE:
            if order.kind is Kind.PAYMENT:
                return Call(terms.TRADE_CLOSE, {"out_trade_no": order.order_id})
            return Call(terms.CANCEL, _freeze(order) | {"remark": "cancel"})
        case OperationKind.REFUND:
            amount = terms.amount_text(operation.amount_minor, order.currency)
            return Call(
                terms.REFUND, _paid_trade(order) | {"refund_amount": amount, "out_request_no": operation.id}
            )


def query_call(order: Order, operation: Operation | None) -> Call:
    """The question about the operation, or about the order; a close is asked about as the order is."""
    if operation is None or operation.kind is OperationKind.CLOSE:
        if order.kind is Kind.PAYMENT:
            return Call(terms.TRADE_QUERY, {"out_trade_no": order.order_id})
        return Call(terms.DETAIL_QUERY, _freeze(order) | {"operation_type": "FREEZE"})
    if operation.kind is OperationKind.CAPTURE:
        return Call(terms.TRADE_QUERY, {"out_trade_no": operation.id})
    if operation.kind is OperationKind.RELEASE:
        named = {"out_order_no": order.order_id, "out_request_no": operation.id, "operation_type": "UNFREEZE"}
        return Call(terms.DETAIL_QUERY, named)
    return Call(terms.REFUND_QUERY, _paid_trade(order) | {"out_request_no": operation.id})


def _capture(order: Order, operation: Operation, profile: WalletProfile) -> Call:
    return Call(
        terms.TRADE_PAY,
        {
            "out_trade_no": operation.id,
            "auth_no": _auth_no(order),
            "product_code": PRE_AUTH_ONLINE,
            # NOT_COMPLETE is the wallet's default, and would keep the rest frozen.
            "auth_confirm_mode": "COMPLETE" if operation.complete else "NOT_COMPLETE",
            "subject": order.subject,
            "total_amount": terms.amount_text(operation.amount_minor, order.currency),
            "trans_currency": "" if order.currency == terms.DEFAULT_CURRENCY else order.currency,
            "seller_id": profile.seller_id,
        },
    )


def _auth_no(order: Order) -> str:
    if not order.wallet_auth_no:
        raise BuilderRefusedError("auth_no: the wallet has not told us the authorization's number")
    return order.wallet_auth_no


def _freeze(order: Order) -> dict[str, str]:
    return {"out_order_no": order.order_id, "out_request_no": freeze_number(order)}


def _paid_trade(order: Order) -> dict[str, str]:
    """The trade that a refund takes from: the payment, or what was captured of an authorization.

    A refund names one trade. After several captures nothing here knows which of them has room, so it is the
    one that the wallet has told us of; should it be too small for the refund, the wallet refuses and a
    person decides.
    """
    if order.kind is Kind.PAYMENT:
        return {"out_trade_no": order.order_id}
    if order.request_counts.get("C", 0) > 1 and order.wallet_trade_no:
        return {"trade_no": order.wallet_trade_no}
    return {"out_trade_no": request_number(order.order_id, "C", 1)}
