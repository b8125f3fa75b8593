"""Orders, operations, callbacks and answers for these tests. The order is `o1`, over 500.00 CNY."""

import json
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from schemas.vocabulary import Kind, LatePayment, OperationKind
from service.wallets.adapter import RawCallback, WalletAnswer
from service.wallets.alipay.callback import sign_callback
from service.wallets.signatures import SignType, sign
from statemachine.order import Operation, Order
from tests.wallets.vectors import NOW, private_key

CAPTURE = Operation("o1__C1", OperationKind.CAPTURE, 12_000)
RELEASE = Operation("o1__R1", OperationKind.RELEASE, 38_000)
CLOSE = Operation("o1__V1", OperationKind.CLOSE, 0)
REFUND = Operation("o1__B1", OperationKind.REFUND, 2_000)


def order(kind: Kind = Kind.PAYMENT, **fields: Any) -> Order:
    given = Order(
        order_id="o1",
        kind=kind,
        profile="mall",
        currency="CNY",
        amount_minor=50_000,
        subject="充电 50% off & more",
        pay_timeout_s=890,
        pay_window_s=890 if kind is Kind.PAYMENT else 900,
        authorization_timeout_s=2_592_000,
        late_payment=LatePayment.REFUND,
        created_at=NOW,
        issued_at=NOW + timedelta(seconds=0.75),
        wallet_auth_no="2026011510002001100000000001" if kind is Kind.PREAUTH else None,
    )
    return replace(given, **fields)


def biz_of(body: bytes) -> Any:
    """The business content of a call's body."""
    return json.loads(dict(parse_qsl(body.decode("ascii"), strict_parsing=True))["biz_content"])


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, strict_parsing=True))


def common(**fields: str) -> dict[str, str]:
    return {
        "notify_id": "n1",
        "notify_time": "2026-01-15 10:21:08",
        "app_id": "2018112803019836",
        "version": "1.0",
    } | fields


def trade_callback(**fields: str) -> dict[str, str]:
    return common(
        notify_type="trade_status_sync",
        out_trade_no="o1",
        trade_no="t1",
        trade_status="TRADE_SUCCESS",
        total_amount="500.00",
        seller_id="2088202224929664",
        gmt_payment="2026-01-15 10:21:07",
    ) | fields  # fmt: skip


def freeze_callback(**fields: str) -> dict[str, str]:
    return common(
        notify_type="fund_auth_freeze",
        out_order_no="o1",
        out_request_no="o1__F1",
        auth_no="a1",
        status="SUCCESS",
        amount="500.00",
        total_freeze_amount="500.00",
        total_pay_amount="0.00",
        rest_amount="500.00",
        payee_user_id="2088202224929664",
    ) | fields  # fmt: skip


def release_callback(**fields: str) -> dict[str, str]:
    given = freeze_callback(
        notify_type="fund_auth_unfreeze", out_request_no="o1__R1", amount="380.00", rest_amount="0.00"
    )
    return given | {"total_pay_amount": "120.00"} | fields


def called_back(
    fields: dict[str, str],
    *,
    key: str = "wallet_rsa2048",
    sign_type: SignType = SignType.RSA2,
    charset: str = "utf-8",
) -> RawCallback:
    """The callback as the wallet would send it."""
    body = sign_callback(fields, private_key(key), sign_type, charset)
    return RawCallback("POST", "/wallets/mall/notify", {}, body, NOW)


@cache
def _signature(text: str) -> str:
    return sign(private_key("wallet_rsa2048"), text.encode(), SignType.RSA2)


def answered(
    method: str, node: dict[str, Any] | str, *, signed: bool = True, name: str | None = None
) -> WalletAnswer:
    """The gateway's answer to a method."""
    text = node if isinstance(node, str) else json.dumps(node)
    member = name or method.replace(".", "_") + "_response"
    end = f',"sign":"{_signature(text)}"' if signed else ""
    return WalletAnswer(200, {}, f'{{"{member}":{text}{end}}}'.encode())
