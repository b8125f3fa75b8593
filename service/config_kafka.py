"""The settings of Kafka: where it is, how it is reached, and as whom. What does not fit together is refused."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from service.addresses import checked_bootstrap
from service.kafka.access import KafkaAccess, Login, SaslMechanism, SecurityProtocol


def _none_if_empty(given: object) -> object:
    return None if given == "" else given


# What deploys us may have a variable for each, and nothing to put into some.
EMPTY_IS_NONE: Final = BeforeValidator(_none_if_empty)
OptionalPath = Annotated[Path | None, EMPTY_IS_NONE]
# Where a TOML file names one of these, it is looked for beside that file, as the keys of a profile are.
PATHS: Final = ("kafka_ca_file", "kafka_certificate_file", "kafka_key_file")
_OF_A_LOGIN: Final = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")


class KafkaSettings(BaseSettings):
    """Those of Kafka. `access` makes of them what clients are made from."""

    kafka_bootstrap: Annotated[str, AfterValidator(checked_bootstrap)] = Field(
        default="127.0.0.1:9092", description="Where the Kafka brokers are."
    )
    kafka_security_protocol: SecurityProtocol = Field(
        default="PLAINTEXT", description="How they are reached: with TLS (SSL), with a login (SASL), or with both."
    )
    kafka_sasl_mechanism: Annotated[SaslMechanism | None, EMPTY_IS_NONE] = Field(
        default=None, description="How the login proves itself."
    )
    kafka_sasl_username: Annotated[str | None, EMPTY_IS_NONE] = Field(default=None, description="Who logs in.")
    kafka_sasl_password: Annotated[SecretStr | None, EMPTY_IS_NONE] = Field(
        default=None, description="Its password."
    )
    kafka_ca_file: OptionalPath = Field(
        default=None,
        description="PEM: who may have signed the brokers' certificates; else those the system trusts.",
    )
    kafka_certificate_file: OptionalPath = Field(
        default=None, description="PEM: the certificate, with its chain, by which the brokers know us."
    )
    kafka_key_file: OptionalPath = Field(
        default=None, description="PEM: its key, without a passphrase; else it is in the certificate's file."
    )


def access(settings: KafkaSettings) -> KafkaAccess:
    """Reads the files. Raises ValueError, whose one line names the variable that does not fit."""
    protocol = settings.kafka_security_protocol
    has_tls, has_login = protocol.endswith("SSL"), protocol.startswith("SASL")
    _refuse_unwanted(settings, [*(() if has_tls else PATHS), *(() if has_login else _OF_A_LOGIN)])
    made = KafkaAccess(
        settings.kafka_bootstrap,
        tls=_tls(settings) if has_tls else None,
        login=_login(settings) if has_login else None,
    )
    assert made.protocol == protocol
    return made


def _refuse_unwanted(settings: KafkaSettings, names: Iterable[str]) -> None:
    # Not passed over in silence: whoever sets one believes to be known by it, or not to be overheard.
    for name in names:
        if getattr(settings, name) is not None:
            _refuse(
                name, f"does nothing with {settings.kafka_security_protocol}: set PAYSTATE_KAFKA_SECURITY_PROTOCOL"
            )


def _login(settings: KafkaSettings) -> Login:
    for name in _OF_A_LOGIN:
        if getattr(settings, name) is None:
            _refuse(name, f"{settings.kafka_security_protocol} wants one")
    mechanism, username, password = (getattr(settings, name) for name in _OF_A_LOGIN)
    return Login(mechanism, username, password)


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    """A context that trusts no broker without a certificate of just the name by which it is reached."""
    authority, certificate, key = (getattr(settings, name) for name in PATHS)
    if key is not None and certificate is None:
        _refuse("kafka_key_file", "is of no use without PAYSTATE_KAFKA_CERTIFICATE_FILE")
    for name in PATHS:
        _check_readable(name, getattr(settings, name))
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority)
    except ssl.SSLError:
        _refuse("kafka_ca_file", f"{authority} holds no certificate in PEM")
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    if certificate is not None:
        try:
            # With an empty passphrase: without one, OpenSSL would ask at the terminal.
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError as error:
            where = f"{certificate}{'' if key is None else f' and {key}'}"
            _refuse("kafka_certificate_file", f"{where}: no certificate with its own key, in PEM: {error.reason}")
    return context


def _check_readable(name: str, path: Path | None) -> None:
    if path is None:
        return
    try:
        path.open("rb").close()
    except OSError as error:
        _refuse(name, f"cannot read {path}: {error.strerror}")


def _refuse(name: str, why: str) -> NoReturn:
    raise ValueError(f"PAYSTATE_{name.upper()}: {why}") from None
