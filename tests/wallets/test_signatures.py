"""Keys in the forms in which they are handed around, and signatures under the hash that we expect."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from service.wallets.signatures import (
    KeyRefusedError,
    SignType,
    load_private_key,
    load_public_key,
    sign,
    verify,
)
from tests.wallets.vectors import key_files, private_key, public_key

PRIVATE = list(key_files(".pkcs1.pem", ".pkcs8.pem", ".pkcs1.oneline.txt", ".pkcs8.oneline.txt"))
PUBLIC = list(key_files(".pub.pem", ".pub_pkcs1.pem", ".pub.oneline.txt"))


@pytest.mark.parametrize("path", PRIVATE, ids=lambda path: path.name)
def test_a_private_key_in_any_form(path: object) -> None:
    key = load_private_key(path.read_text("ascii"))  # type: ignore[attr-defined]
    same = private_key(path.name.split(".")[0])  # type: ignore[attr-defined]
    assert key.private_numbers() == same.private_numbers()


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.name)
def test_a_public_key_in_any_form(path: object) -> None:
    key = load_public_key(path.read_text("ascii"))  # type: ignore[attr-defined]
    same = private_key(path.name.split(".")[0]).public_key()  # type: ignore[attr-defined]
    assert key.public_numbers() == same.public_numbers()


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def _public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


CURVE = ec.generate_private_key(ec.SECP256R1())
REFUSED = [
    "",
    "  ",
    "nonsense!",
    "a2V5",
    "ключ",
    "-----BEGIN ключ",
    "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n",
    "A" * 20_000,
]


@pytest.mark.parametrize("text", [*REFUSED, _pem(CURVE), _pem(private_key("app_rsa2048"), b"secret")])
def test_what_is_no_private_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(KeyRefusedError) as refused:
        load_private_key(text)
    _shows_nothing_of(text, refused.value)


@pytest.mark.parametrize("text", [*REFUSED, _public_pem(CURVE), _pem(private_key("app_rsa2048"))])
def test_what_is_no_public_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(KeyRefusedError) as refused:
        load_public_key(text)
    _shows_nothing_of(text, refused.value)


def _shows_nothing_of(text: str, refused: KeyRefusedError) -> None:
    assert refused.__cause__ is None
    assert refused.__suppress_context__ or refused.__context__ is None
    for line in text.split():
        if len(line) >= 12 and not line.startswith("-----"):
            assert line not in str(refused)


def test_a_short_key_is_refused() -> None:
    short = rsa.generate_private_key(65537, 1024)
    assert load_private_key(_pem(short)).key_size == 1024
    # Nobody makes shorter ones any more, so it is written down by its numbers: 768 bits.
    tiny = rsa.RSAPublicNumbers(65537, (1 << 767) + 7).public_key()
    der = tiny.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyRefusedError, match="at least 1024"):
        load_public_key(base64.b64encode(der).decode())


def test_the_hash_is_ours_to_choose() -> None:
    key, public = private_key("wallet_rsa2048"), public_key("wallet_rsa2048")
    for mine in SignType:
        for theirs in SignType:
            assert verify(public, b"message", sign(key, b"message", theirs), mine) is (mine is theirs)


def test_only_the_one_spelling_of_a_signature_is_taken() -> None:
    public = public_key("wallet_rsa2048")
    good = sign(private_key("wallet_rsa2048"), b"message", SignType.RSA2)
    assert verify(public, b"message", good, SignType.RSA2)
    raw = base64.b64decode(good)
    last = good[-3]
    other_bits = good[:-3] + chr(ord(last) + 1) + good[-2:]
    spellings = [
        good.rstrip("="), good + "\n", f" {good}", good[:10] + "\n" + good[10:], good + "====",
        base64.urlsafe_b64encode(raw).decode() + "-", raw.hex(), "", "é", "\ud800", "\0",
    ]  # fmt: skip
    for spelling in spellings:
        assert not verify(public, b"message", spelling, SignType.RSA2), spelling
    assert not verify(public, b"message", other_bits, SignType.RSA2)


@given(text=st.text(st.characters()), message=st.binary(max_size=40))
def test_verify_never_raises(text: str, message: bytes) -> None:
    assert not verify(public_key("wallet_rsa1024"), message, text, SignType.RSA)
