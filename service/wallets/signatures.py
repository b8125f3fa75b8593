"""RSA signatures as wallets make them, and the forms in which their keys are handed around.

Sources: Alipay's OpenAPI signing rules (RSA2 is SHA256withRSA, RSA is SHA1withRSA, both PKCS#1 v1.5, RFC 8017
section 8.2). Which hash is used comes from our own configuration, never from a message: verifiers that read
it out of the signature accept a downgrade.
"""

import base64
import binascii
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

# Alipay's old applications still hold 1024-bit keys; anything shorter can be factored at home.
MIN_KEY_BITS: Final = 1024
# An 8192-bit private key in PEM has about 6,500 characters. A longer text is not a key.
MAX_KEY_CHARACTERS: Final = 16_384
# A signature is as long as its key. Keys come in multiples of this.
_KEY_STEP_BYTES: Final = 64


class KeyRefusedError(ValueError):
    """A text that is not a usable RSA key. The message says why and never holds any part of the text."""


class SignType(StrEnum):
    """How an application signs, fixed in its profile."""

    RSA2 = "RSA2"
    RSA = "RSA"


# SHA-1 is broken for collisions, not for what the wallet does with it; who chose `RSA` at the wallet needs
# it.
_HASHES: Final[dict[SignType, HashAlgorithm]] = {SignType.RSA2: SHA256(), SignType.RSA: SHA1()}  # noqa: S303
_PADDING: Final = PKCS1v15()


def load_private_key(text: str) -> RSAPrivateKey:
    """The key in a PEM text (PKCS#1 or PKCS#8) or in one line of bare base64 of either.

    Raises KeyRefusedError, also for a key behind a passphrase, of another algorithm or too short.
    """
    raw, is_pem = _bytes_of(text, "private key")
    try:
        load = load_pem_private_key if is_pem else load_der_private_key
        key = load(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own words may quote what it read, so they are left out, and so is the chain.
        raise KeyRefusedError("the text is not a PKCS#1 or PKCS#8 private key without a passphrase") from None
    if not isinstance(key, RSAPrivateKey):
        raise KeyRefusedError("the private key is not an RSA key")
    _check_size(key.key_size)
    return key


def load_public_key(text: str) -> RSAPublicKey:
    """The key in a PEM text (PKCS#1 or SubjectPublicKeyInfo) or in one line of bare base64 of either.

    Raises KeyRefusedError, also for a key of another algorithm or too short.
    """
    raw, is_pem = _bytes_of(text, "public key")
    try:
        load = load_pem_public_key if is_pem else load_der_public_key
        key = load(raw)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefusedError("the text is not a PKCS#1 or SubjectPublicKeyInfo public key") from None
    if not isinstance(key, RSAPublicKey):
        raise KeyRefusedError("the public key is not an RSA key")
    _check_size(key.key_size)
    return key


def sign(key: RSAPrivateKey, message: bytes, sign_type: SignType) -> str:
    """The signature in base64. PKCS#1 v1.5 has no randomness: the same message always gives the same text."""
    return base64.b64encode(key.sign(message, _PADDING, _HASHES[sign_type])).decode("ascii")


def wrong_form(signature: str) -> str | None:
    """Why the text can be the signature of no RSA key, as when its end was cut off; None where it can be one."""
    try:
        length = len(base64.b64decode(signature, validate=True))
    except (binascii.Error, ValueError):
        return f"is not base64: its {len(signature)} characters may have been cut off"
    if length * 8 < MIN_KEY_BITS or length % _KEY_STEP_BYTES:
        return f"has {length} bytes, as no RSA signature has: it may have been cut off"
    return None


def verify(key: RSAPublicKey, message: bytes, signature: str, sign_type: SignType) -> bool:
    """Whether the base64 text signs the message with the hash that *we* expect. Never raises for any text."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    # base64 has several spellings of the same bytes (its unused bits); only the one that a signer writes is
    # taken.
    if base64.b64encode(raw) != signature.encode("ascii"):
        return False
    try:
        key.verify(raw, message, _PADDING, _HASHES[sign_type])
    except InvalidSignature:
        return False
    return True


def _bytes_of(text: str, what: str) -> tuple[bytes, bool]:
    """The bytes to load, and whether they are PEM rather than DER."""
    text = text.strip()
    if not text or len(text) > MAX_KEY_CHARACTERS:
        raise KeyRefusedError(f"the {what} is empty or longer than {MAX_KEY_CHARACTERS} characters")
    if text.startswith("-----BEGIN "):
        try:
            return text.encode("ascii"), True
        except UnicodeEncodeError:
            raise KeyRefusedError(f"the {what} has characters that no PEM text has") from None
    try:
        # A copied line is often folded; whitespace means nothing in base64.
        return base64.b64decode("".join(text.split()), validate=True), False
    except (binascii.Error, ValueError):
        raise KeyRefusedError(f"the {what} is neither PEM nor one line of base64") from None


def _check_size(bits: int) -> None:
    if bits < MIN_KEY_BITS:
        raise KeyRefusedError(f"the key has {bits} bits; at least {MIN_KEY_BITS} are wanted")
