"""Alipay's callbacks: forms with a signature among their parameters."""

from datetime import datetime
from typing import Final

from service.sandbox.calls import Notice
from service.sandbox.dialect import base_string, encode_form, wallet_time
from service.sandbox.identity import Identity
from service.wallets.signatures import sign

SUCCESS: Final = b"success"


class AlipayVoice:
    """Tells as Alipay's OpenAPI does."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._key = identity.wallet_private_key

    def default_url(self) -> str:
        """See Voice."""
        return self._identity.notify_url

    def signed(self, notice: Notice, url: str, number: int, now: datetime) -> tuple[bytes, dict[str, str]]:  # noqa: ARG002
        """See Voice. The notify_id is made of the number."""
        identity, fields = self._identity, notice.fields
        about_seller = "seller_id" if "trade_status" in fields else "payee_user_id"
        params = fields | {
            "notify_id": f"{fields['gmt_create'][:10].replace('-', '')}00222{number:021d}",
            "notify_time": wallet_time(now),
            "app_id": identity.app_id,
            "auth_app_id": identity.app_id,
            about_seller: identity.seller_id,
            "charset": identity.charset,
            "version": "1.0",
        }
        # Signed without sign_type (V1), which then travels beside the signature.
        signature = sign(self._key, base_string(params).encode(identity.charset), identity.sign_type)
        params |= {"sign_type": identity.sign_type.value, "sign": signature}
        headers = {"content-type": f"application/x-www-form-urlencoded; charset={identity.charset}"}
        return encode_form(params, identity.charset), headers

    def is_taken(self, status: int, body: bytes) -> bool:  # noqa: ARG002 - Alipay reads the body alone
        """See Voice."""
        return body == SUCCESS
