"""The calls of the gateway: what each operation and question sends."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from schemas.vocabulary import Kind, OperationKind
from service.wallets.adapter import BuilderRefusedError
from service.wallets.parameters import base_string
from service.wallets.signatures import SignType, verify
from statemachine.order import Operation, Order
from tests.wallets.orders import CAPTURE, CLOSE, REFUND, RELEASE, biz_of, order, query_of
from tests.wallets.vectors import NOTIFY_URL, NOW, adapter, public_key

MALL = adapter()
PAYMENT, PREAUTH = order(Kind.PAYMENT), order(Kind.PREAUTH)
AUTH_NO = "2026011510002001100000000001"
TWICE_CAPTURED = order(Kind.PREAUTH, request_counts={"C": 2}, wallet_trade_no="t2")
REFUND_QUERY = "alipay.trade.fastpay.refund.query"
FREEZE = {"out_order_no": "o1", "out_request_no": "o1__F1"}

OPERATIONS: list[tuple[Order, Operation, str, dict[str, Any]]] = [
    (PAYMENT, CLOSE, "alipay.trade.close", {"out_trade_no": "o1"}),
    (PREAUTH, CLOSE, "alipay.fund.auth.operation.cancel", FREEZE | {"remark": "cancel"}),
    (
        PREAUTH, CAPTURE, "alipay.trade.pay",
        {
            "out_trade_no": "o1__C1", "auth_no": AUTH_NO, "product_code": "PRE_AUTH_ONLINE",
            "auth_confirm_mode": "NOT_COMPLETE", "subject": "充电 50% off & more", "total_amount": "120.00",
            "seller_id": "2088202224929664",
        },
    ),
    (
        PREAUTH, RELEASE, "alipay.fund.auth.order.unfreeze",
        {"auth_no": AUTH_NO, "out_request_no": "o1__R1", "amount": "380.00", "remark": "release"},
    ),
    (
        PAYMENT, REFUND, "alipay.trade.refund",
        {"out_trade_no": "o1", "refund_amount": "20.00", "out_request_no": "o1__B1"},
    ),
    (
        PREAUTH, REFUND, "alipay.trade.refund",
        {"out_trade_no": "o1__C1", "refund_amount": "20.00", "out_request_no": "o1__B1"},
    ),
    (
        TWICE_CAPTURED, REFUND, "alipay.trade.refund",
        {"trade_no": "t2", "refund_amount": "20.00", "out_request_no": "o1__B1"},
    ),
]  # fmt: skip
QUESTIONS: list[tuple[Order, Operation | None, str, dict[str, Any]]] = [
    (PAYMENT, None, "alipay.trade.query", {"out_trade_no": "o1"}),
    (PAYMENT, CLOSE, "alipay.trade.query", {"out_trade_no": "o1"}),
    (PREAUTH, None, "alipay.fund.auth.operation.detail.query", FREEZE | {"operation_type": "FREEZE"}),
    (PREAUTH, CLOSE, "alipay.fund.auth.operation.detail.query", FREEZE | {"operation_type": "FREEZE"}),
    (PREAUTH, CAPTURE, "alipay.trade.query", {"out_trade_no": "o1__C1"}),
    (
        PREAUTH, RELEASE, "alipay.fund.auth.operation.detail.query",
        {"out_order_no": "o1", "out_request_no": "o1__R1", "operation_type": "UNFREEZE"},
    ),
    (PAYMENT, REFUND, REFUND_QUERY, {"out_trade_no": "o1", "out_request_no": "o1__B1"}),
    (PREAUTH, REFUND, REFUND_QUERY, {"out_trade_no": "o1__C1", "out_request_no": "o1__B1"}),
]  # fmt: skip


@pytest.mark.parametrize(("about", "operation", "method", "biz"), OPERATIONS)
def test_an_operation(about: Order, operation: Operation, method: str, biz: dict[str, Any]) -> None:
    request = MALL.operation_request(about, operation, NOW)
    assert (request.call, request.order_id, request.operation, request.is_query) == (
        method,
        "o1",
        operation,
        False,
    )
    assert biz_of(request.body) == biz
    query = query_of(request.url)
    assert query["notify_url"] == NOTIFY_URL
    assert query["method"] == method
    assert query["timestamp"] == "2026-01-15 10:20:30"


@pytest.mark.parametrize(("about", "operation", "method", "biz"), QUESTIONS)
def test_a_question(about: Order, operation: Operation | None, method: str, biz: dict[str, Any]) -> None:
    request = MALL.query_request(about, operation, NOW)
    assert (request.call, request.order_id, request.operation, request.is_query) == (
        method,
        "o1",
        operation,
        True,
    )
    assert biz_of(request.body) == biz
    assert "notify_url" not in query_of(request.url)


def test_how_it_is_signed_and_sent() -> None:
    request = MALL.operation_request(PREAUTH, CAPTURE, NOW)
    assert request.url.startswith("https://openapi.alipay.com/gateway.do?timestamp=2026-01-15+10%3A20%3A30&app_id=")
    assert request.headers == {"content-type": "application/x-www-form-urlencoded;charset=utf-8"}
    query = query_of(request.url)
    signature = query.pop("sign")
    whole = query | dict(parse_qsl(request.body.decode()))
    assert verify(public_key("app_rsa2048"), base_string(whole, "utf-8"), signature, SignType.RSA2)


def test_the_same_again_differs_only_in_its_time() -> None:
    first = MALL.operation_request(PREAUTH, CAPTURE, NOW)
    again = MALL.operation_request(PREAUTH, CAPTURE, NOW + timedelta(minutes=3))
    assert first.body == again.body
    assert first.url != again.url
    assert MALL.operation_request(PREAUTH, CAPTURE, NOW).url == first.url


def test_a_final_capture_gives_the_rest_back() -> None:
    final = Operation("o1__C1", OperationKind.CAPTURE, 12_000, complete=True)
    assert biz_of(MALL.operation_request(PREAUTH, final, NOW).body)["auth_confirm_mode"] == "COMPLETE"


@pytest.mark.parametrize("operation", [CAPTURE, RELEASE])
def test_without_the_authorizations_number_nothing_is_sent(operation: Operation) -> None:
    with pytest.raises(BuilderRefusedError, match="auth_no"):
        MALL.operation_request(order(Kind.PREAUTH, wallet_auth_no=None), operation, NOW)
