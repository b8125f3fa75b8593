"""`wallet.callbacks`: a wallet's HTTP callback as it came, for the lane to verify.

Who can write to Kafka still cannot move money: the signature is checked where it is used.
"""

import binascii
from base64 import b64decode
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter, field_validator

from schemas.base import Record, Time

# The bridge takes bodies of up to 64 KiB; base64 makes four bytes of three.
MAX_CALLBACK_BODY_BYTES = 65_536
MAX_CALLBACK_HEADERS = 64


class WalletCallbackRecord(Record):
    """One callback. Its identity is the wallet's own, found after the signature has been verified."""

    type: Literal["wallet.callback"]
    profile: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    received_at: Time
    method: Annotated[str, StringConstraints(pattern="^[A-Z]{3,10}$")] = "POST"
    path: Annotated[str, StringConstraints(max_length=2048)] = Field(description="With its query.")
    headers: Annotated[dict[str, str], Field(max_length=MAX_CALLBACK_HEADERS)] = Field(
        default_factory=dict, description="Names in lower case."
    )
    body_base64: Annotated[str, StringConstraints(max_length=4 * MAX_CALLBACK_BODY_BYTES // 3 + 4)] = Field(
        description="The body exactly as the wallet sent it."
    )

    @field_validator("body_base64")
    @classmethod
    def _is_base64(cls, text: str) -> str:
        try:
            b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("not base64") from None
        return text

    @property
    def body(self) -> bytes:
        """The body's bytes."""
        return b64decode(self.body_base64)


WALLET_CALLBACK: TypeAdapter[WalletCallbackRecord] = TypeAdapter(WalletCallbackRecord)
