"""Apache Kafka as one meets it elsewhere: TLS, logins, client certificates, and nothing that is not allowed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aiokafka.protocol.admin import CreateAclsRequest

from service.dev.apache_kafka import ApacheKafka
from service.dev.child import free_port
from service.kafka.access import KafkaAccess
from service.kafka.topics import administrator
from tests.certificates import Authority

MECHANISM = "SCRAM-SHA-512"
# The numbers of Kafka's protocol: org.apache.kafka.common.acl.AclOperation, and resource.ResourceType.
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8}
RESOURCES = {"Topic": 2, "Group": 3, "TransactionalId": 5}
LITERAL, PREFIXED = 3, 4
ALLOW = 3


@dataclass(frozen=True)
class Acl:
    """What somebody may do. A name that ends in * stands for all that begin so."""

    who: str
    operation: str
    resource: str
    name: str


class SecuredKafka(ApacheKafka):
    """Three listeners: one for logins, one for client certificates, and a plain one whose users may do all.

    It makes the users that are given; they may do nothing yet.
    """

    def __init__(self, data_dir: Path, authority: Authority, passwords: dict[str, str]) -> None:
        super().__init__(data_dir)
        self._authority = authority
        self._passwords = passwords

    @cached_property
    def login_port(self) -> int:
        """Where one logs in, over TLS."""
        return free_port()

    @cached_property
    def certificate_port(self) -> int:
        """Where one shows a certificate."""
        return free_port()

    def _settings(self) -> dict[str, str]:
        settings = super()._settings()
        more = f",SASL_SSL://127.0.0.1:{self.login_port},SSL://127.0.0.1:{self.certificate_port}"
        protocols = settings["listener.security.protocol.map"]
        return settings | {
            "listener.security.protocol.map": f"{protocols},SASL_SSL:SASL_SSL,SSL:SSL",
            "listeners": settings["listeners"] + more,
            "advertised.listeners": settings["advertised.listeners"] + more,
            "sasl.enabled.mechanisms": MECHANISM,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "listener.name.ssl.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._authority.sign("broker").both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._authority.file),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def _users(self) -> list[str]:
        made = (f"{MECHANISM}=[name={name},password={word}]" for name, word in self._passwords.items())
        return [option for user in made for option in ("--add-scram", user)]

    async def allow(self, acls: Iterable[Acl]) -> None:
        """Allows what these say."""
        async with administrator(KafkaAccess(self.bootstrap)) as admin:
            for acl in acls:
                # aiokafka's client has no call for it, and knows the request.
                answer = await admin._send_to_controller(
                    CreateAclsRequest(
                        RESOURCES[acl.resource], acl.name.removesuffix("*"),
                        PREFIXED if acl.name.endswith("*") else LITERAL,
                        f"User:{acl.who}", "*", OPERATIONS[acl.operation], ALLOW,
                    )
                )  # fmt: skip
                assert [code for code, _ in answer.creation_responses] == [0], answer


def acls(who: str, table: Sequence[tuple[str, str, str]]) -> list[Acl]:
    """Of one user: ("Read Write", "Topic", "orders.events") is two."""
    return [Acl(who, each, resource, name) for operations, resource, name in table for each in operations.split()]
