"""How the brokers are reached: where they are, over what, and as whom. Every client is made from this one value."""

from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Literal

from pydantic import SecretStr

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class Login:
    """Whom the brokers are told that we are, and how that is proved to them (SASL)."""

    mechanism: SaslMechanism
    username: str
    password: SecretStr


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """The brokers at an address: `host:port`, or several with commas.

    Without `tls` everything is sent in the clear; without `login` we are whom a client certificate in `tls` names,
    or nobody.
    """

    bootstrap: str
    tls: SSLContext | None = None
    login: Login | None = None

    @property
    def protocol(self) -> SecurityProtocol:
        """Kafka's name for it, `security.protocol`."""
        if self.login is None:
            return "PLAINTEXT" if self.tls is None else "SSL"
        return "SASL_PLAINTEXT" if self.tls is None else "SASL_SSL"

    def security(self) -> dict[str, Any]:
        """What every one of aiokafka's clients and connections takes, beside an address."""
        options: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self.tls}
        if self.login is not None:
            options["sasl_mechanism"] = self.login.mechanism
            options["sasl_plain_username"] = self.login.username
            options["sasl_plain_password"] = self.login.password.get_secret_value()
        return options

    def __str__(self) -> str:
        return f"{self.bootstrap} ({self.protocol}{'' if self.login is None else f' as {self.login.username}'})"
