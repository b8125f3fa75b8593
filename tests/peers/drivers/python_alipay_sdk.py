"""Drives python-alipay-sdk. It has calls of its own for trades; those for freezes go through its general one."""

from collections.abc import Mapping
from typing import Any

from alipay import AliPay
from conversation import Ask, converse


def begin(*, app_id: str, app_key: str, wallet_key: str, gateway: str, notify_url: str) -> Mapping[str, Ask]:
    client = AliPay(
        appid=app_id,
        app_notify_url=notify_url,
        app_private_key_string=app_key,
        alipay_public_key_string=wallet_key,
    )
    # It knows two gateways, and no setting for another.
    client._gateway = gateway

    def call(method: str, biz: dict[str, Any]) -> Any:
        by_method = {
            "alipay.trade.query": client.api_alipay_trade_query,
            "alipay.trade.close": client.api_alipay_trade_close,
            "alipay.trade.refund": client.api_alipay_trade_refund,
            "alipay.trade.fastpay.refund.query": client.api_alipay_trade_fastpay_refund_query,
        }
        if method in by_method:
            return by_method[method](**biz)
        # `api_alipay_trade_pay` insists on a bar code, which a capture of frozen money does not have.
        return client.server_api(method, biz, notify_url=notify_url)

    def order_string(method: str, biz: dict[str, Any]) -> str:
        return client.client_api(method, biz, notify_url=notify_url)

    def verifies(params: dict[str, str]) -> bool:
        """A callback's parameters; as its documentation has it, the signature is taken out first."""
        return client.verify(params, params.pop("sign"))

    def verifies_order_string(params: dict[str, str]) -> bool:
        """Its `verify` leaves sign_type out, which an orderStr signs: so what stands under it."""
        signature = params.pop("sign")
        return client._verify("&".join(f"{k}={v}" for k, v in sorted(params.items())), signature)

    return {
        "call": call,
        "order_string": order_string,
        "verifies": verifies,
        "verifies_order_string": verifies_order_string,
    }


if __name__ == "__main__":
    converse(begin)
