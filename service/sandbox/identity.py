"""Who the wallet and its one merchant are: their keys, and the profile file that the merchant is given."""

import json
import os
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from service.wallets.signatures import SignType, load_private_key

APP_ID: Final = "2021000000000001"
SELLER_ID: Final = "2088202224929664"
# Whom the buyer is told that the money goes to.
PAYEE: Final = "Harbour Goods 港湾小铺"
CLIENT_ID: Final = "SANDBOX_5Y0566SG25J004124"
# All that comes before /payments, at Antom and here.
PLUS_PREFIX: Final = "/ams/api/v1"
PLUS_SANDBOX_PREFIX: Final = "/ams/sandbox/api/v1"
KEY_BITS: Final = 2048
DEFAULT_NOTIFY_URL: Final = "http://127.0.0.1:8000/wallets/sandbox/notify"
PROFILE_FILE: Final = "paystate.toml"


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys, as PEM texts, and the ids. The merchant's private key is here only to be handed out."""

    app_private_pem: str
    wallet_private_pem: str
    notify_url: str = DEFAULT_NOTIFY_URL
    app_id: str = APP_ID
    seller_id: str = SELLER_ID
    client_id: str = CLIENT_ID
    payee: str = PAYEE
    charset: str = "utf-8"
    sign_type: SignType = SignType.RSA2

    @property
    def plus_notify_url(self) -> str:
        """Where the callbacks of Alipay+ go: to the bridge's other profile, or where the others go."""
        return self.notify_url.replace("/sandbox/", "/sandbox_plus/")

    @property
    def app_public_key(self) -> rsa.RSAPublicKey:
        """What the merchant's messages are verified with."""
        return _loaded(self.app_private_pem).public_key()

    @property
    def wallet_private_key(self) -> rsa.RSAPrivateKey:
        """What this wallet signs with."""
        return _loaded(self.wallet_private_pem)

    @property
    def wallet_public_pem(self) -> str:
        """What the merchant verifies this wallet's messages with."""
        public = self.wallet_private_key.public_key()
        return public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()


@lru_cache(maxsize=8)
def _loaded(pem: str) -> rsa.RSAPrivateKey:
    """Loading proves the primes, which takes a tenth of a second; each dialect asks for the keys anew."""
    return load_private_key(pem)


def fresh_identity(notify_url: str | None = None) -> Identity:
    """An identity with new keys, which nothing keeps."""
    return Identity(_fresh_key(), _fresh_key(), notify_url or DEFAULT_NOTIFY_URL)


def kept_identity(folder: Path, notify_url: str | None = None) -> Identity:
    """The identity of this folder: the same keys at every start."""
    folder.mkdir(parents=True, exist_ok=True)
    return Identity(
        _kept_key(folder / "app.pem"), _kept_key(folder / "wallet.pem"), notify_url or DEFAULT_NOTIFY_URL
    )


def profile_toml(identity: Identity, url: str) -> str:
    """The file for `--config`: the profiles `sandbox` and `sandbox_plus`, whole in themselves."""
    profiles = {
        "sandbox": {
            "dialect": "alipay",
            "app_id": identity.app_id,
            "seller_id": identity.seller_id,
            "gateway_url": f"{url}/gateway.do",
            "notify_url": identity.notify_url,
            "sign_type": identity.sign_type.value,
            "charset": identity.charset,
        },
        "sandbox_plus": {
            "dialect": "alipay_plus",
            "client_id": identity.client_id,
            "gateway_url": f"{url}{PLUS_PREFIX}",
            "notify_url": identity.plus_notify_url,
            "release_call": "void",
        },
    }
    lines = [
        "# The sandbox wallet's profiles, one a dialect. `paystate sandbox` writes them anew at every start.",
        "# The keys are play keys; no real wallet knows them.",
    ]
    for name, values in profiles.items():
        lines += [
            f"[profiles.{name}]",
            # A JSON string is a TOML basic string.
            *(f"{field} = {json.dumps(value)}" for field, value in values.items()),
            f"private_key = {json.dumps(_one_line(identity.app_private_pem))}",
            f"[[profiles.{name}.wallet_keys]]",
            f"public_key = {json.dumps(_one_line(identity.wallet_public_pem))}",
        ]
    return "\n".join(lines) + "\n"


def write_profile(folder: Path, identity: Identity, url: str) -> Path:
    """Writes `paystate.toml` for its owner's eyes only, whole or not at all."""
    path = folder / PROFILE_FILE
    scratch = folder / f".{PROFILE_FILE}.new"
    scratch.unlink(missing_ok=True)
    _write_private(scratch, profile_toml(identity, url))
    scratch.replace(path)
    return path


def last_port(folder: Path) -> int | None:
    """The port of the last start: programs that read the profile then still find the wallet there."""
    try:
        table = tomllib.loads((folder / PROFILE_FILE).read_text(encoding="utf-8"))
        return urlsplit(str(table["profiles"]["sandbox"]["gateway_url"])).port
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError):
        return None


def _fresh_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _kept_key(path: Path) -> str:
    if not path.exists():
        _write_private(path, _fresh_key())
    return path.read_text(encoding="ascii")


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _one_line(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))
