"""The order strings of Alipay+ that buyers bring: a signed `pay` call, as one form."""

from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from schemas.identifiers import InvalidOrderIdError, is_request_number, order_id_of
from schemas.strict_json import MalformedRecordError, loads_object
from service.sandbox.calls import Terms
from service.sandbox.dialect import Fields, MalformedError, RefusedError, optional, required
from service.sandbox.identity import PLUS_PREFIX
from service.sandbox.plus.dialect import DIALECT, covered, parse_iso, read_money
from service.wallets.signatures import SignType, verify

PAY_PATH: Final = f"{PLUS_PREFIX}/payments/pay"
_MEMBERS: Final = frozenset({"body", "client_id", "path", "request_time", "signature"})


def is_plus(params: Fields) -> bool:
    """Whether the form is of this dialect."""
    return "client_id" in params


def read_order_string(params: Fields, key: RSAPublicKey, client_id: str) -> Terms:
    """The terms of an order string of this client; raises MalformedError."""
    if params.keys() != _MEMBERS:
        raise MalformedError(f"the order string has not exactly {', '.join(sorted(_MEMBERS))}")
    if params["client_id"] != client_id:
        raise MalformedError("the order string is not of this client")
    if params["path"] != PAY_PATH:
        raise MalformedError("the order string is not a call of pay")
    parse_iso(params["request_time"])
    body = params["body"].encode()
    if not verify(
        key, covered(PAY_PATH, client_id, params["request_time"], body), params["signature"], SignType.RSA2
    ):
        raise MalformedError("the order string's signature does not verify")
    try:
        return terms_of(loads_object(body))
    except (MalformedRecordError, RefusedError, InvalidOrderIdError) as error:
        raise MalformedError(str(error)) from None


def terms_of(fields: dict[str, Any]) -> Terms:
    """What a `pay` call offers the buyer. Raises RefusedError, MalformedError or InvalidOrderIdError."""
    number = required(fields, "paymentRequestId")
    order, factor = fields.get("order"), fields.get("paymentFactor", {})
    if not isinstance(order, dict) or not isinstance(factor, dict):
        raise RefusedError("PARAM_ILLEGAL", "order or paymentFactor is not an object")
    is_freeze = factor.get("isAuthorization") is True
    if is_freeze is not is_request_number(number):
        raise RefusedError("PARAM_ILLEGAL", "in this sandbox an authorization has the number of a freeze")
    amount_minor, currency = read_money(fields, "paymentAmount")
    return Terms(
        kind="preauth" if is_freeze else "payment",
        order_id=order_id_of(number),
        request_no=number if is_freeze else "",
        currency=currency,
        amount_minor=amount_minor,
        title=required(order, "orderDescription"),
        notify_url=optional(fields, "paymentNotifyUrl"),
        deadline=parse_iso(required(fields, "paymentExpiryTime")),
        dialect=DIALECT,
    )
