"""Orders, callbacks and answers of the Alipay+ dialect. The order is `o1`, over 500.00 CNY."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from schemas.vocabulary import Kind
from service.wallets.adapter import RawCallback, WalletAnswer, WalletRequest
from service.wallets.alipay_plus.adapter import AlipayPlusAdapter
from service.wallets.alipay_plus.headers import RESPONSE_TIME, signed_headers
from service.wallets.profile import WalletProfile, load_profiles
from statemachine.order import Order
from tests.wallets import orders
from tests.wallets.vectors import KEYS, NOW, private_key

CLIENT_ID = "SANDBOX_5Y0566SG25J004124"
GATEWAY = "https://wallet.example/ams/api/v1"
PAID_AT = "2026-01-15T02:20:31Z"
NOTIFY_URL = "https://m.example.com/notify/alipayplus"


def table(**fields: Any) -> dict[str, Any]:
    given = {
        "dialect": "alipay_plus",
        "client_id": CLIENT_ID,
        "gateway_url": GATEWAY,
        "notify_url": NOTIFY_URL,
        "release_call": "void",
        "private_key_file": "app_rsa2048.pkcs8.pem",
        "wallet_keys": [{"public_key_file": "wallet_rsa2048.pub.pem"}],
    } | fields
    return {name: value for name, value in given.items() if value is not None}


def profile(**fields: Any) -> WalletProfile:
    return load_profiles({"plus": table(**fields)}, KEYS)["plus"]


def adapter(**fields: Any) -> AlipayPlusAdapter:
    return AlipayPlusAdapter("plus", profile(**fields))


def order(kind: Kind = Kind.PAYMENT, **fields: Any) -> Order:
    given = orders.order(kind, profile="plus", pay_window_s=890, issued_at=NOW + timedelta(seconds=0.75))
    known = {"wallet_trade_no": "p1"} if kind is Kind.PAYMENT else {"wallet_auth_no": "p1"}
    return replace(given, **known | fields)


def amount(value: str = "50000", currency: str = "CNY") -> dict[str, str]:
    return {"currency": currency, "value": value}


def result(code: str = "SUCCESS", status: str = "S") -> dict[str, str]:
    return {"resultCode": code, "resultStatus": status, "resultMessage": "in words"}


def notification(notify_type: str = "PAYMENT_RESULT", **fields: Any) -> dict[str, Any]:
    numbers = {
        "PAYMENT_RESULT": {"paymentRequestId": "o1", "paymentAmount": amount(), "paymentTime": PAID_AT},
        "PAYMENT_PENDING": {"paymentRequestId": "o1", "paymentAmount": amount()},
        "CAPTURE_RESULT": {"captureRequestId": "o1__C1", "captureAmount": amount("12000"), "captureId": "c1"},
        "REFUND_RESULT": {"refundRequestId": "o1__B1", "refundAmount": amount("2000"), "refundStatus": "SUCCESS"},
        "VOID_RESULT": {"voidRequestId": "o1__R1", "voidAmount": amount("38000")},
    }[notify_type]  # fmt: skip
    return {"notifyType": notify_type, "result": result(), "paymentId": "p1"} | numbers | fields


def called_back(fields: dict[str, Any] | bytes, *, key: str = "wallet_rsa2048", **headers: str) -> RawCallback:
    """The callback as the wallet would send it; a header given by name (`_` for `-`) takes the place of its own."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    given = signed_headers(private_key(key), CLIENT_ID, NOTIFY_URL, NOW, body)
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return RawCallback("POST", "/notify/alipayplus", given, body, NOW)


def answered(
    request: WalletRequest, fields: dict[str, Any] | bytes, *, key: str = "wallet_rsa2048", status: int = 200
) -> WalletAnswer:
    """The gateway's answer to a request."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    headers = signed_headers(private_key(key), CLIENT_ID, request.url, NOW, body, time_name=RESPONSE_TIME)
    return WalletAnswer(status, headers, body)


def standing(status: str = "SUCCESS", **fields: Any) -> dict[str, Any]:
    """An answer of inquiryPayment."""
    given = {"result": result(), "paymentStatus": status, "paymentId": "p1", "paymentAmount": amount()}
    return given | fields


def moved(kind: str, number: str, value: str, status: str = "SUCCESS") -> dict[str, Any]:
    """One of its transactions."""
    return {
        "transactionType": kind,
        "transactionRequestId": number,
        "transactionStatus": status,
        "transactionAmount": amount(value),
        "transactionResult": result() if status == "SUCCESS" else result("RISK_REJECT", "F"),
    }
