"""What Alipay would refuse in a business content, refused before it is signed; and its text on the wire.

Source: the parameter tables of `alipay.trade.*` and `alipay.fund.auth.*`. What is not known to be refused
passes.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.money import InvalidMoneyError, exponent, from_decimal, to_decimal
from service.wallets.adapter import BuilderRefusedError
from service.wallets.alipay.callback import hides_a_field
from service.wallets.parameters import codec_of, parse_wallet_time

APP_PAY: Final = "alipay.trade.app.pay"
APP_FREEZE: Final = "alipay.fund.auth.order.app.freeze"
TRADE_PAY: Final = "alipay.trade.pay"
TRADE_QUERY: Final = "alipay.trade.query"
TRADE_CLOSE: Final = "alipay.trade.close"
REFUND: Final = "alipay.trade.refund"
REFUND_QUERY: Final = "alipay.trade.fastpay.refund.query"
UNFREEZE: Final = "alipay.fund.auth.order.unfreeze"
CANCEL: Final = "alipay.fund.auth.operation.cancel"
DETAIL_QUERY: Final = "alipay.fund.auth.operation.detail.query"
# What a server calls; the others are for a buyer to act on.
SERVER_METHODS: Final = frozenset(
    {TRADE_PAY, TRADE_QUERY, TRADE_CLOSE, REFUND, REFUND_QUERY, UNFREEZE, CANCEL, DETAIL_QUERY}
)

# The wallet prints amounts with two decimals and mostly without their currency, so only such currencies can
# be read back from a callback.
PLACES: Final = 2
DEFAULT_CURRENCY: Final = "CNY"
# 100,000,000.00, the wallet's limit on one trade.
MAX_AMOUNT_MINOR: Final = 10_000_000_000
# 1 minute to 15 days, as the timeouts of the wallet.
LONGEST_TIMEOUT_S: Final = 15 * 86_400
MINUTE_S: Final = 60
MAX_BIZ_CONTENT_CHARACTERS: Final = 16_384
# The longest text of each field.
LENGTHS: Final = {
    "subject": 256, "order_title": 100, "out_trade_no": 64, "out_order_no": 64, "out_request_no": 64,
    "remark": 100, "refund_reason": 256,
}  # fmt: skip

_REQUIRED: Final = {
    APP_PAY: ("out_trade_no", "total_amount", "subject"),
    APP_FREEZE: ("out_order_no", "out_request_no", "order_title", "amount", "product_code"),
    TRADE_PAY: ("out_trade_no", "total_amount", "subject"),
    UNFREEZE: ("auth_no", "out_request_no", "amount", "remark"),
    REFUND: ("refund_amount",),
    REFUND_QUERY: ("out_request_no",),
}
# Of each of these, one at least: what the call is about.
_ONE_OF: Final = {
    TRADE_QUERY: (("out_trade_no", "trade_no"),),
    TRADE_CLOSE: (("out_trade_no", "trade_no"),),
    REFUND: (("out_trade_no", "trade_no"),),
    REFUND_QUERY: (("out_trade_no", "trade_no"),),
    CANCEL: (("auth_no", "out_order_no"), ("operation_id", "out_request_no")),
    DETAIL_QUERY: (("auth_no", "out_order_no"), ("operation_id", "out_request_no")),
}
# The words that a field may have.
_WORDS: Final = {
    (APP_PAY, "product_code"): ("QUICK_MSECURITY_PAY",),
    (APP_FREEZE, "product_code"): ("PRE_AUTH_ONLINE",),
    (TRADE_PAY, "auth_confirm_mode"): ("COMPLETE", "NOT_COMPLETE"),
    (DETAIL_QUERY, "operation_type"): ("FREEZE", "UNFREEZE", "PAY"),
}
_NUMBERS: Final = ("out_trade_no", "out_order_no", "out_request_no")
_AMOUNTS: Final = ("total_amount", "amount", "refund_amount")
_TIMEOUTS: Final = ("timeout_express", "pay_timeout")
_NUMBER: Final = re.compile(r"[A-Za-z0-9_]+")
_TIMEOUT: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_UNITS_S: Final = {"m": MINUTE_S, "h": 3_600, "d": 86_400}
# Of these nothing is known but that they are strings; `extra_param` holds JSON, as a string of its own.
_STRINGS: Final = (
    "auth_confirm_mode", "auth_no", "body", "extra_param", "operation_id", "passback_params", "payee_user_id",
    "product_code", "store_id", "trade_no", "trans_currency",
)  # fmt: skip
_AMOUNT_NAME: Final = re.compile(r"(?:.*[._])?(?:amount|fee|price)")
_DECIMAL: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,2})?")
# As Python and the wallet write it: without parts of a second.
_TIME_CHARACTERS: Final = len("2026-01-15 10:20:30")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False)
_METHOD: Final = re.compile(r"[A-Za-z0-9_.]{1,128}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def amount_text(amount_minor: int, currency: str) -> str:
    """The amount as the wallet takes it, in a currency of two decimal places; raises BuilderRefusedError."""
    try:
        if exponent(currency) != PLACES:
            raise BuilderRefusedError(f"currency: {currency} has not two decimal places, as Alipay's amounts have")
    except InvalidMoneyError as error:
        raise BuilderRefusedError(f"currency: {error}") from None
    if not 1 <= amount_minor <= MAX_AMOUNT_MINOR:
        raise BuilderRefusedError("the amount is not between 0.01 and 100000000.00")
    return to_decimal(amount_minor, currency)


def check(method: str, biz: Mapping[str, Any], charset: str) -> dict[str, Any]:
    """The fields that say something, none of which the wallet would refuse; raises BuilderRefusedError."""
    fields = _without_empty(biz)
    _check_presence(method, fields)
    codec = codec_of(charset)
    for name, value in fields.items():
        _check_field(name, value, charset, codec)
    return fields


def biz_content(method: str, biz: Mapping[str, Any], charset: str) -> str:
    """The business content as it is signed: compact JSON in ASCII, without empty fields.

    ASCII escapes make the base string the same in every charset. Raises BuilderRefusedError for what the
    wallet would refuse, with the field's name.
    """
    text = _ENCODER.encode(check(method, biz, charset))
    if len(text) > MAX_BIZ_CONTENT_CHARACTERS:
        raise BuilderRefusedError(f"the business content is longer than {MAX_BIZ_CONTENT_CHARACTERS} characters")
    return text


def _without_empty(biz: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something, also inside objects (`extend_params`)."""
    return {
        # Most are strings, and asking an abstract class costs more than all else here.
        name: value if isinstance(value, str) else _without_empty_inside(value)
        for name, value in biz.items()
        if value not in (None, "", {}, [])
    }


def _without_empty_inside(value: object) -> object:
    if isinstance(value, Mapping):
        return _without_empty(value)
    if isinstance(value, (list, tuple)):
        return [_without_empty_inside(each) for each in value]
    return value


def _check_presence(method: str, fields: Mapping[str, Any]) -> None:
    if _METHOD.fullmatch(method) is None:
        raise BuilderRefusedError("method: should be 1 to 128 of A-Z a-z 0-9 _ .")
    for name in _REQUIRED.get(method, ()):
        if name not in fields:
            raise BuilderRefusedError(f"{name}: is required by {method}")
    for names in _ONE_OF.get(method, ()):
        if not any(name in fields for name in names):
            raise BuilderRefusedError(f"{' or '.join(names)}: is required by {method}")
    for (of, name), words in _WORDS.items():
        if of == method and fields.get(name, words[0]) not in words:
            raise BuilderRefusedError(f"{name}: should be {' or '.join(words)} for {method}")
    if method == TRADE_PAY and "auth_no" in fields and fields.get("product_code") != "PRE_AUTH_ONLINE":
        raise BuilderRefusedError("product_code: should be PRE_AUTH_ONLINE where auth_no is")
    if method == TRADE_PAY and "auth_no" not in fields and fields.get("product_code") == "PRE_AUTH_ONLINE":
        raise BuilderRefusedError("auth_no: is required where product_code is PRE_AUTH_ONLINE")


def _check_field(name: str, value: object, charset: str, codec: str) -> None:
    _check_value(name, value, charset, codec)
    if name in _STRINGS and not isinstance(value, str):
        raise BuilderRefusedError(f"{name}: should be a string")
    if name in LENGTHS or name in _AMOUNTS or name in _TIMEOUTS or name == "time_expire":
        if not isinstance(value, str):
            raise BuilderRefusedError(f"{name}: should be a string")
        if len(value) > LENGTHS.get(name, 64):
            raise BuilderRefusedError(f"{name}: is longer than {LENGTHS.get(name, 64)} characters")
        _check_text(name, value)


def _check_value(name: str, value: object, charset: str, codec: str) -> None:
    """Whatever its field: no float (money would be rounded), and nothing that the charset cannot hold."""
    if isinstance(value, str):
        _check_string(name, value, charset, codec)
    elif isinstance(value, float):
        raise BuilderRefusedError(f"{name}: a float is not exact; write the amount as a string")
    elif isinstance(value, Mapping):
        for inner_name, inner in value.items():
            if not inner_name.isascii():
                _check_characters(name, inner_name, charset, codec)
            _check_value(f"{name}.{inner_name}", inner, charset, codec)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check_value(name, inner, charset, codec)
    elif not isinstance(value, (bool, int)):
        raise BuilderRefusedError(f"{name}: is no JSON value")
    elif _AMOUNT_NAME.fullmatch(name):
        raise BuilderRefusedError(f"{name}: should be a string")


def _check_string(name: str, value: str, charset: str, codec: str) -> None:
    # Every charset of the wallet's holds ASCII.
    if not value.isascii():
        _check_characters(name, value, charset, codec)
    # A text of ours comes back in a signed callback, whose base string does not escape: someone in between could
    # cut a field out of it, and the signature would still hold.
    if hides_a_field(value):
        raise BuilderRefusedError(f"{name}: has a field's name like '&amount=' in it, where callbacks could be cut")
    if name not in _AMOUNTS and _AMOUNT_NAME.fullmatch(name) and _DECIMAL.fullmatch(value) is None:
        raise BuilderRefusedError(f"{name}: {value[:40]} is not an amount with at most two decimal places")


def _check_characters(name: str, value: str, charset: str, codec: str) -> None:
    try:
        value.encode(codec)
    except UnicodeEncodeError as error:
        character = value[error.start]
        raise BuilderRefusedError(f"{name}: {charset} cannot hold U+{ord(character):04X}") from None


def _check_text(name: str, value: str) -> None:
    if _CONTROL.search(value) or not value.strip():
        raise BuilderRefusedError(f"{name}: is blank or has a control character")
    if name in _NUMBERS and _NUMBER.fullmatch(value) is None:
        raise BuilderRefusedError(f"{name}: should be of A-Z a-z 0-9 _")
    if name in _AMOUNTS:
        try:
            amount_minor = from_decimal(value, DEFAULT_CURRENCY)
        except InvalidMoneyError as error:
            raise BuilderRefusedError(f"{name}: {error}") from None
        if len(value.partition(".")[2]) > PLACES or not 1 <= amount_minor <= MAX_AMOUNT_MINOR:
            raise BuilderRefusedError(f"{name}: {value} is not an amount between 0.01 and 100000000.00")
    if name in _TIMEOUTS:
        _check_timeout(name, value)
    if name == "time_expire" and (len(value) != _TIME_CHARACTERS or parse_wallet_time(value) is None):
        raise BuilderRefusedError("time_expire: should be yyyy-MM-dd HH:mm:ss")


def _check_timeout(name: str, value: str) -> None:
    """`1m` to `15d`; a payment also knows `1c`, until midnight."""
    if name == "timeout_express" and value == "1c":
        return
    match = _TIMEOUT.fullmatch(value)
    if match is None or int(match[1]) * _UNITS_S[match[2]] > LONGEST_TIMEOUT_S:
        raise BuilderRefusedError(f"{name}: should be 1m to 15d")
