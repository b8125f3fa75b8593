"""Whether a callback is genuine: its form, its signature, and that it is meant for us. Not what it means.

Source: the wallet's rules for asynchronous notifications. Nothing of the message is believed before the
signature is, except its charset, which the signature covers too.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from schemas.wallet_callbacks import MAX_CALLBACK_BODY_BYTES
from service.wallets.adapter import CallbackRefusedError
from service.wallets.parameters import Form, MalformedFormError, encode_form, read_form
from service.wallets.profile import WalletProfile
from service.wallets.signatures import SignType, sign, verify

# V1 leaves sign_type out of what is signed, V2 keeps it; the wallet uses both, for different messages.
_V1: Final = frozenset({"sign", "sign_type"})
_V2: Final = frozenset({"sign"})

# Every field of the wallet's notifications. The base string joins raw values with `&`, so a genuine message
# could be cut elsewhere, hiding a field in the value before it, under the same signature: then its name is
# seen in there.
FIELDS: Final = (
    "amount", "app_id", "auth_app_id", "auth_no", "body", "buyer_id", "buyer_logon_id", "buyer_open_id",
    "buyer_pay_amount", "charset", "credit_amount", "extra_param", "fund_amount", "fund_bill_list", "gmt_close",
    "gmt_create", "gmt_payment", "gmt_refund", "gmt_trans", "invoice_amount", "notify_id", "notify_time",
    "notify_type", "operation_id", "operation_type", "order_title", "out_biz_no", "out_order_no",
    "out_request_no", "out_trade_no", "passback_params", "payee_logon_id", "payee_user_id", "payer_logon_id",
    "payer_open_id", "payer_user_id", "point_amount", "pre_auth_type", "receipt_amount", "refund_fee",
    "rest_amount", "rest_credit_amount", "rest_fund_amount", "seller_email", "seller_id", "settle_amount",
    "settle_currency", "sign", "sign_type", "status", "subject", "total_amount", "total_freeze_amount",
    "total_freeze_credit_amount", "total_freeze_fund_amount", "total_pay_amount", "total_pay_credit_amount",
    "total_pay_fund_amount", "total_unfreeze_amount", "total_unfreeze_credit_amount",
    "total_unfreeze_fund_amount", "trade_no", "trade_status", "trans_currency", "trans_pay_rate", "version",
    "voucher_detail_list",
)  # fmt: skip
_HIDDEN: Final = re.compile(rf"&(?:{'|'.join(FIELDS)})=")


def hides_a_field(value: str) -> bool:
    """Whether there is something in the value that could be cut out of it as a field of its own."""
    return "&" in value and _HIDDEN.search(value) is not None


def verify_callback(body: bytes, profile: WalletProfile, at: datetime) -> dict[str, str]:
    """The parameters of a genuine callback, empty ones left out. Raises CallbackRefusedError, nothing else.

    `at` is when it arrived: the keys that were valid then are tried.
    """
    if len(body) > MAX_CALLBACK_BODY_BYTES:
        raise CallbackRefusedError(f"the body has {len(body)} bytes; at most {MAX_CALLBACK_BODY_BYTES} are taken")
    try:
        form = read_form(body, profile.charset)
    except MalformedFormError as error:
        raise CallbackRefusedError(str(error)) from None
    # Pinned: the hash is ours to choose, and a message that claims another is not for this application.
    if form.text.get("sign_type", profile.sign_type) != profile.sign_type:
        raise CallbackRefusedError(
            f"its sign_type is {form.text['sign_type'][:20]}, and the profile's is {profile.sign_type}"
        )
    _check_signature(form, profile, at)
    _check_values(form.text)
    _check_addressee(form.text, profile)
    return {name: value for name, value in form.text.items() if value}


def sign_callback(
    fields: Mapping[str, str], key: RSAPrivateKey, sign_type: SignType, charset: str = "utf-8"
) -> bytes:
    """The body that a wallet with this key would send (V1); for drills and tests.

    Raises UnicodeEncodeError for a character that the charset cannot hold.
    """
    params = {**fields, "charset": charset, "sign_type": sign_type.value}
    params.pop("sign", None)
    form = read_form(encode_form(params, charset).encode("ascii"), charset)
    signature = sign(key, form.base_string(without=_V1), sign_type)
    return encode_form(params | {"sign": signature}, charset).encode("ascii")


def _check_signature(form: Form, profile: WalletProfile, at: datetime) -> None:
    # Base64 has no blanks: where one stands, somebody forgot to percent-encode the `+` of the signature.
    signature = form.text.get("sign", "").replace(" ", "+")
    if not signature:
        raise CallbackRefusedError("it is not signed")
    keys = profile.wallet_keys_at(at)
    if not keys:
        raise CallbackRefusedError("no key of the wallet was valid when it arrived")
    for message in _readings(form):
        if any(verify(key, message, signature, profile.sign_type) for key in keys):
            return
    raise CallbackRefusedError("its signature does not verify")


def _readings(form: Form) -> Iterator[bytes]:
    """What the signature may cover, the usual first: V1 or V2, empty values dropped or (old senders) kept."""
    versions = (_V1, _V2) if "sign_type" in form.raw else (_V1,)
    for without in versions:
        yield form.base_string(without=without)
    if not all(form.raw.values()):
        for without in versions:
            yield form.base_string(without=without, keep_empty=True)


def _check_values(text: Mapping[str, str]) -> None:
    for name, value in text.items():
        if "\0" in value:
            raise CallbackRefusedError(f"there is a NUL character in {name[:40]}, which no database takes")
        if hides_a_field(value):
            raise CallbackRefusedError(f"another field hides in the value of {name[:40]}")


def _check_addressee(text: Mapping[str, str], profile: WalletProfile) -> None:
    if text.get("app_id") != profile.app_id:
        raise CallbackRefusedError("its app_id is not that of the profile")
    if profile.seller_id is None:
        return
    # A trade names the seller, an authorization the payee; old messages of the latter kind leave it out.
    for name in ("seller_id", "payee_user_id"):
        if text.get(name) and text[name] != profile.seller_id:
            raise CallbackRefusedError(f"its {name} is not the seller of the profile")
