"""An answer looked at by hand, without the order that it is about."""

import pytest

from schemas.vocabulary import Outcome
from service.wallets.alipay.answer import Node
from service.wallets.alipay.answer_outcome import outcome_of
from tests.wallets.test_answers import BUSINESS, OK, PENDING, REJECTED, UNKNOWN

ALONE = [
    ("alipay.trade.query", {"trade_status": "TRADE_SUCCESS"}, Outcome.SUCCEEDED),
    ("alipay.trade.query", {"trade_status": "TRADE_CLOSED"}, REJECTED),
    ("alipay.trade.query", {"trade_status": "TRADE_CLOSED", "refund_fee": "1.00"}, Outcome.SUCCEEDED),
    ("alipay.trade.query", {"trade_status": "WAIT_BUYER_PAY", "refund_fee": "x"}, PENDING),
    ("alipay.trade.query", {}, UNKNOWN),
    ("alipay.trade.pay", {}, Outcome.SUCCEEDED),
    ("alipay.trade.pay", {"trade_status": "WAIT_BUYER_PAY"}, PENDING),
    ("alipay.fund.auth.order.unfreeze", {"status": "INIT"}, PENDING),
    ("alipay.trade.refund", {"fund_change": "Y"}, Outcome.SUCCEEDED),
    ("alipay.trade.refund", {"fund_change": "N", "refund_fee": "1.00"}, Outcome.SUCCEEDED),
    ("alipay.trade.refund", {}, PENDING),
    ("alipay.trade.fastpay.refund.query", {}, PENDING),
    ("alipay.trade.fastpay.refund.query", {"refund_amount": "1.00"}, Outcome.SUCCEEDED),
    ("alipay.fund.auth.operation.cancel", {"action": "close"}, Outcome.SUCCEEDED),
    ("alipay.fund.auth.operation.cancel", {"action": "unfreeze"}, PENDING),
    ("alipay.fund.auth.operation.cancel", {}, UNKNOWN),
    ("alipay.fund.auth.operation.cancel", {"action": "thaw"}, UNKNOWN),
    ("alipay.trade.cancel", {"action": "refund"}, Outcome.SUCCEEDED),
    ("alipay.trade.cancel", {"retry_flag": "Y"}, UNKNOWN),
    ("alipay.trade.precreate", {}, Outcome.SUCCEEDED),
    ("alipay.user.certify.open.query", {}, UNKNOWN),
    ("alipay.trade.close", {"code": BUSINESS, "sub_code": "ACQ.TRADE_NOT_EXIST"}, PENDING),
    ("alipay.trade.refund", {"code": BUSINESS, "sub_code": "ACQ.TRADE_NOT_EXIST"}, REJECTED),
    ("alipay.trade.refund", {"code": BUSINESS, "sub_code": "ACQ.INVALID_PARAMETER"}, REJECTED),
    ("alipay.trade.query", {"code": BUSINESS, "sub_code": "ACQ.INVALID_PARAMETER"}, UNKNOWN),
    ("alipay.trade.query", {"code": "40005"}, PENDING),
]


@pytest.mark.parametrize(("method", "fields", "outcome"), ALONE)
def test_an_answer_by_itself(method: str, fields: dict[str, str], outcome: Outcome) -> None:
    assert outcome_of(method, Node(OK | fields)) is outcome
