"""A wallet profile: who we are to a wallet, where it is, and the keys of both sides. Read once, at the start.

Only `load_profiles` touches files, and only those that the configuration names.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.functional_validators import AfterValidator, BeforeValidator

from schemas.base import in_words
from schemas.vocabulary import LatePayment
from service.wallets import dialects
from service.wallets.signatures import MAX_KEY_CHARACTERS, SignType, load_private_key, load_public_key

# The name stands in URLs (`/wallets/<name>/notify`) and in records, whose field takes 64 characters.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# Those that are valid are tried on a callback whose signature does not verify: their number bounds what a stranger
# can cost us.
MAX_WALLET_KEYS: Final = 64
# 30 days. No authoritative lifetime is known (7 to 30 days were seen), so it can be set.
DEFAULT_AUTHORIZATION_TIMEOUT_S: Final = 2_592_000
_LONGEST_AUTHORIZATION_S: Final = 366 * 86_400
# In the path of every call of Antom's.
_ANTOM: Final = "/ams/"
_CHARSETS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "GBK"}


class ProfileRefusedError(ValueError):
    """A profile that cannot be used; the message names the profile and the field, and shows no key."""


def _charset(given: object) -> object:
    return _CHARSETS.get(given.lower(), given) if isinstance(given, str) else given


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError("should be an http or https URL without a fragment")
    return text


def _bare_url(text: str) -> str:
    if urlsplit(_url(text)).query:
        raise ValueError("should have no query: each call brings its own")
    return text


def _dialect(name: str) -> str:
    dialects.find(name)
    return name


_Number = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
# That of the roots is several numbers joined.
_CertNumber = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,512}$")]
# The wallet's own limit on notify_url is 256 characters; its documents ask for printable ASCII.
_Url = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,256}$")]


class _Table(BaseModel):
    """A table of the file: a field that it does not know is a mistake in writing, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WalletKey(_Table):
    """A public key that the wallet signs with, and when. Without dates it is always valid."""

    public_key: str
    not_before: AwareDatetime | None = None
    not_after: AwareDatetime | None = None

    @model_validator(mode="after")
    def _load(self) -> Self:
        if self.not_before and self.not_after and self.not_before >= self.not_after:
            raise ValueError("not_before should be before not_after")
        # Loaded now, so that a wrong one is refused with the file.
        assert isinstance(self.rsa, RSAPublicKey)
        return self

    # Not a private attribute: pydantic takes several microseconds to find one, and each callback asks.
    @cached_property
    def rsa(self) -> RSAPublicKey:
        """The key, loaded."""
        return load_public_key(self.public_key)

    def is_valid_at(self, moment: datetime) -> bool:
        """Whether messages of that moment may be signed with it: from not_before on, until not_after."""
        if self.not_before is not None and moment < self.not_before:
            return False
        return self.not_after is None or moment < self.not_after


class WalletProfile(_Table):
    """One `[profiles.<name>]` of the configuration; see the contracts for the fields."""

    dialect: Annotated[str, AfterValidator(_dialect)]
    # Each dialect has ids of its own; those of another are taken, so that a file can hold them all.
    app_id: _Number | None = None
    seller_id: _Number | None = None
    client_id: _Number | None = None
    gateway_url: Annotated[_Url, AfterValidator(_bare_url)]
    # Without one, callbacks go where the wallet's own console sends them.
    notify_url: Annotated[_Url, AfterValidator(_url)] | None = None
    sign_type: SignType = SignType.RSA2
    charset: Annotated[Literal["utf-8", "GBK"], BeforeValidator(_charset)] = "utf-8"
    private_key: SecretStr
    app_cert_sn: _CertNumber | None = None
    alipay_root_cert_sn: _CertNumber | None = None
    # Where we act for another merchant, who has granted it to us: whoever holds it acts for them.
    app_auth_token: SecretStr | None = Field(default=None, min_length=1, max_length=128)
    late_payment: LatePayment = LatePayment.REFUND
    authorization_timeout_s: Annotated[int, Field(ge=60, le=_LONGEST_AUTHORIZATION_S)] = (
        DEFAULT_AUTHORIZATION_TIMEOUT_S
    )
    # How alipay_plus gives back what is held: `void` on mini program platforms, `cancel` at Antom, without a void.
    release_call: Literal["void", "cancel"] = Field(
        default_factory=lambda given: "cancel" if _ANTOM in given.get("gateway_url", "") else "void"
    )
    # For the adapters that other packages bring: what the fields above have no place for.
    # Not shown anywhere: nobody here knows which of them are secrets.
    options: Annotated[dict[str, str | int | bool], Field(max_length=64)] = Field(
        default_factory=dict, exclude=True, repr=False
    )
    wallet_keys: Annotated[tuple[WalletKey, ...], Field(min_length=1, max_length=MAX_WALLET_KEYS)]
    _rsa: RSAPrivateKey = PrivateAttr()

    @model_validator(mode="after")
    def _check_dialect(self) -> Self:
        if self.dialect == dialects.ALIPAY and self.app_id is None:
            raise ValueError("app_id: the dialect alipay needs it")
        if self.dialect == dialects.ALIPAY_PLUS:
            if self.client_id is None:
                raise ValueError("client_id: the dialect alipay_plus needs it")
            if self.sign_type is not SignType.RSA2 or self.charset != "utf-8":
                raise ValueError(
                    "sign_type and charset: alipay_plus always signs RSA256 over utf-8; leave them out"
                )
        return self

    @model_validator(mode="after")
    def _load(self) -> Self:
        if (self.app_cert_sn is None) != (self.alipay_root_cert_sn is None):
            raise ValueError("app_cert_sn and alipay_root_cert_sn go together (certificate mode)")
        try:
            self._rsa = load_private_key(self.private_key.get_secret_value())
        except ValueError as error:
            raise ValueError(f"private_key: {error}") from None
        return self

    @property
    def app_private_key(self) -> RSAPrivateKey:
        """What we sign with."""
        return self._rsa

    @property
    def app_public_key(self) -> RSAPublicKey:
        """Our own public half: what the wallet verifies our order strings with."""
        return self._rsa.public_key()

    def wallet_keys_at(self, moment: datetime) -> tuple[RSAPublicKey, ...]:
        """The wallet's keys that are valid then, in the order of the file."""
        return tuple([key.rsa for key in self.wallet_keys if key.is_valid_at(moment)])


def load_profiles(table: Mapping[str, Any], base: Path) -> dict[str, WalletProfile]:
    """The profiles of the `profiles` table. Key files are relative to `base`, the configuration's folder.

    Raises ProfileRefusedError.
    """
    return {name: _profile(name, given, base) for name, given in table.items()}


def _profile(name: str, given: object, base: Path) -> WalletProfile:
    if _NAME.fullmatch(name) is None:
        raise ProfileRefusedError(f"profile {name[:80]!r}: a name is 1 to 64 of A-Z a-z 0-9 _ . -")
    if not isinstance(given, Mapping):
        raise ProfileRefusedError(f"profile {name}: should be a table")
    fields = _with_key_text(name, "", given, "private_key", base)
    keys = fields.get("wallet_keys")
    if isinstance(keys, list):
        fields["wallet_keys"] = [
            _with_key_text(name, f"wallet_keys.{n}.", key, "public_key", base) if isinstance(key, Mapping) else key
            for n, key in enumerate(keys)
        ]
    try:
        return WalletProfile.model_validate(fields)
    except ValidationError as error:
        raise ProfileRefusedError(f"profile {name}: {in_words(error)}") from None


def _with_key_text(name: str, place: str, given: Mapping[str, Any], field: str, base: Path) -> dict[str, Any]:
    """The table with its `…_file` replaced by what is in the file."""
    fields = dict(given)
    file = fields.pop(f"{field}_file", None)
    if file is None:
        return fields
    where = f"profile {name}: {place}{field}_file"
    if field in fields:
        raise ProfileRefusedError(f"{where}: give it or {field}, not both")
    if not isinstance(file, str) or not file:
        raise ProfileRefusedError(f"{where}: should be a path")
    try:
        with (base / file).open(encoding="ascii") as opened:
            fields[field] = opened.read(MAX_KEY_CHARACTERS + 1)
    except OSError as error:
        raise ProfileRefusedError(f"{where}: cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise ProfileRefusedError(f"{where}: {file} is neither PEM nor one line of base64") from None
    return fields
