"""A certificate authority of the tests' own, and what it signs. All in PEM."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"
AS_IT_IS = serialization.NoEncryption()
A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Signed:
    """A key and the certificate of it, each in a file, and both in one."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs for others. `file` is what has to be trusted."""

    def __init__(self, folder: Path, name: str = "an authority") -> None:
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        rights = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        own = self._begin(self._name, self._key, is_authority=True).add_extension(rights, critical=True)
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(_pem(own.sign(self._key, hashes.SHA256())))

    def sign(self, name: str, *, encryption: serialization.KeySerializationEncryption = AS_IT_IS) -> Signed:
        """For whoever is called so: a server that is reached as 127.0.0.1, or a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        where = x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))])
        builder = self._begin(_named(name), key, is_authority=False).add_extension(where, critical=False)
        of_authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(of_authority, critical=False)
        certificate = _pem(builder.sign(self._key, hashes.SHA256()))
        written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        signed = Signed(*(self._folder / f"{name}.{end}" for end in ("crt.pem", "key.pem", "pem")))
        signed.certificate.write_bytes(certificate)
        signed.key.write_bytes(written)
        signed.both.write_bytes(written + certificate)
        return signed

    def _begin(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - A_DAY)
            .not_valid_after(now + A_DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
