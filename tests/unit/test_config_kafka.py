"""How Kafka is reached: what fits together becomes one value, and what does not is refused by its name."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from service import config
from service.config import Config, ConfigError, shown
from service.config_kafka import KafkaSettings
from service.kafka.access import KafkaAccess
from service.kafka.broker import Kafka
from tests.certificates import Authority

LOGIN = {"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "paystate", "SASL_PASSWORD": "open sesame"}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(f"PAYSTATE_{name.upper()}", raising=False)


def loaded(monkeypatch: pytest.MonkeyPatch, **variables: str | Path) -> Config:
    """With these, whose names are here without PAYSTATE_KAFKA_."""
    for name, value in variables.items():
        monkeypatch.setenv(f"PAYSTATE_KAFKA_{name}", str(value))
    return config.load(None)


def test_without_anything_brokers_are_reached_in_the_clear_and_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    access = loaded(monkeypatch).kafka
    assert access == KafkaAccess("127.0.0.1:9092")
    assert access.security() == {"security_protocol": "PLAINTEXT", "ssl_context": None}
    assert str(access) == "127.0.0.1:9092 (PLAINTEXT)"


def test_what_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment may have a variable for each."""
    optional = [name for name, field in KafkaSettings.model_fields.items() if field.default is None]
    assert len(optional) == 6
    empty = {name.removeprefix("kafka_").upper(): "" for name in optional}
    assert loaded(monkeypatch, **empty).kafka == KafkaAccess("127.0.0.1:9092")


def test_a_login_is_what_clients_are_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    access = loaded(monkeypatch, SECURITY_PROTOCOL="SASL_PLAINTEXT", **LOGIN).kafka
    assert access.security() == {
        "security_protocol": "SASL_PLAINTEXT",
        "ssl_context": None,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "paystate",
        "sasl_plain_password": "open sesame",
    }


def test_a_password_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    made = loaded(monkeypatch, SECURITY_PROTOCOL="SASL_SSL", **LOGIN)
    document = shown(made)
    assert document["kafka_sasl_password"] == "**********"
    assert document["kafka_sasl_username"] == "paystate"
    for told in (document, made.kafka, made.settings, Kafka(made.kafka)):
        assert "sesame" not in f"{told} {told!r}"
    assert str(Kafka(made.kafka)) == "127.0.0.1:9092 (SASL_SSL as paystate)"


def test_tls_trusts_no_broker_without_a_certificate_of_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    access = loaded(monkeypatch, SECURITY_PROTOCOL="SSL", CA_FILE=Authority(tmp_path).file).kafka
    assert access.protocol == "SSL"
    assert access.tls is not None
    assert access.tls.check_hostname
    assert access.tls.verify_mode is ssl.CERT_REQUIRED
    assert access.tls.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(access.tls.get_ca_certs()) == 1


def test_without_a_file_the_systems_authorities_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    access = loaded(monkeypatch, SECURITY_PROTOCOL="SASL_SSL", **LOGIN).kafka
    assert access.tls is not None
    assert access.tls.verify_mode is ssl.CERT_REQUIRED
    assert access.tls.check_hostname


@pytest.mark.parametrize("in_one_file", [False, True])
def test_a_client_certificate_is_read_with_its_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_one_file: bool
) -> None:
    authority = Authority(tmp_path)
    signed = authority.sign("paystate")
    files = {"CERTIFICATE_FILE": signed.both if in_one_file else signed.certificate}
    if not in_one_file:
        files["KEY_FILE"] = signed.key
    assert loaded(monkeypatch, SECURITY_PROTOCOL="SSL", CA_FILE=authority.file, **files).kafka.tls is not None


def test_files_are_looked_for_beside_the_file_that_names_them(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    file = tmp_path / "paystate.toml"
    file.write_text(f'kafka_security_protocol = "SSL"\nkafka_ca_file = "{authority.file.name}"\n')
    assert config.load(file).settings.kafka_ca_file == authority.file
    file.write_text('kafka_security_protocol = "SSL"\nkafka_ca_file = 7\n')
    with pytest.raises(ConfigError, match="PAYSTATE_KAFKA_CA_FILE: "):
        config.load(file)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"SECURITY_PROTOCOL": "TLS"}, "PAYSTATE_KAFKA_SECURITY_PROTOCOL: Input should be 'PLAINTEXT', 'SSL', "),
        ({"SASL_MECHANISM": "GSSAPI"}, "PAYSTATE_KAFKA_SASL_MECHANISM: Input should be 'PLAIN', "),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", **LOGIN, "SASL_MECHANISM": ""},
            "PAYSTATE_KAFKA_SASL_MECHANISM: SASL_SSL wants one",
        ),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", **LOGIN, "SASL_USERNAME": ""},
            "PAYSTATE_KAFKA_SASL_USERNAME: SASL_SSL wants one",
        ),
        (
            {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", **LOGIN, "SASL_PASSWORD": ""},
            "PAYSTATE_KAFKA_SASL_PASSWORD: SASL_PLAINTEXT wants one",
        ),
        ({"SASL_USERNAME": "paystate"}, "PAYSTATE_KAFKA_SASL_USERNAME: does nothing with PLAINTEXT: set PAYSTATE_"),
        ({"SECURITY_PROTOCOL": "SSL", "SASL_PASSWORD": "x"}, "PAYSTATE_KAFKA_SASL_PASSWORD: does nothing with SSL"),
        ({"CA_FILE": "ca.pem"}, "PAYSTATE_KAFKA_CA_FILE: does nothing with PLAINTEXT"),
        (
            {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", **LOGIN, "CERTIFICATE_FILE": "us.pem"},
            "PAYSTATE_KAFKA_CERTIFICATE_FILE: does nothing with SASL_PLAINTEXT",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "KEY_FILE": "us.pem"},
            "PAYSTATE_KAFKA_KEY_FILE: is of no use without PAYSTATE_KAFKA_CERTIFICATE_FILE",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "CA_FILE": "nowhere.pem"},
            "PAYSTATE_KAFKA_CA_FILE: cannot read nowhere.pem: No such file or directory",
        ),
        ({"SECURITY_PROTOCOL": "SSL", "CA_FILE": "/"}, "PAYSTATE_KAFKA_CA_FILE: cannot read /: Is a directory"),
        (
            {"SECURITY_PROTOCOL": "SSL", "CERTIFICATE_FILE": "nowhere.pem"},
            "PAYSTATE_KAFKA_CERTIFICATE_FILE: cannot read nowhere.pem: No such file or directory",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(monkeypatch, **variables)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_files_that_hold_something_else_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    signed, other = authority.sign("paystate"), authority.sign("other")
    locked = authority.sign("locked", encryption=BestAvailableEncryption(b"open sesame"))
    empty = tmp_path / "empty.pem"
    empty.touch()
    refusals = [
        ({"CA_FILE": empty}, f"PAYSTATE_KAFKA_CA_FILE: {empty} holds no certificate in PEM"),
        ({"CERTIFICATE_FILE": empty}, "PAYSTATE_KAFKA_CERTIFICATE_FILE: "),
        ({"CERTIFICATE_FILE": signed.certificate}, "no certificate with its own key, in PEM"),
        ({"CERTIFICATE_FILE": signed.certificate, "KEY_FILE": other.key}, "KEY_VALUES_MISMATCH"),
        # Nobody is asked for the passphrase at a terminal.
        ({"CERTIFICATE_FILE": locked.certificate, "KEY_FILE": locked.key}, "no certificate with its own key"),
    ]
    for files, says in refusals:
        with monkeypatch.context() as patch, pytest.raises(ConfigError) as refused:
            loaded(patch, SECURITY_PROTOCOL="SSL", **files)
        assert says in str(refused.value)
        assert "\n" not in str(refused.value)
