"""What brokers say that do not let us in, or that we must not trust: named, where aiokafka only cannot connect."""

import asyncio
import ssl
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from service.kafka.access import KafkaAccess
from service.kafka.bootstrap import to_its_end

Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient)

# A broker that is there refuses within a moment; Kafka itself waits 100 ms before it tells.
ASK_S: Final = 3.0
CLOSE_S: Final = 1.0


class KafkaRefusedError(KafkaConnectionError):  # type: ignore[misc]  # aiokafka ships no types
    """A broker does not let us in, or is not the one that it should be. The message is one line, and says why."""

    def __str__(self) -> str:
        return str(self.args[0])


def name_refusals(client: Client, access: KafkaAccess) -> Client:
    """The same client: its start raises KafkaRefusedError where it was refused, as KafkaConnectionError still.

    aiokafka tells its log alone why it could not connect. It offers no place for it: this is its own client's
    `bootstrap`, with which every start begins. After a failure the brokers are asked once more, and listened to.
    One that is cancelled is brought to its end first.
    """
    inner: Any = client.client if isinstance(client, AIOKafkaProducer) else client._client  # noqa: SLF001 - see above
    bootstrap = inner.bootstrap = to_its_end(inner)

    async def bootstrap_or_say_why() -> None:
        try:
            await bootstrap()
        except KafkaConnectionError as error:
            why = await refusal(access)
            raise error if why is None else why from error

    if access.protocol != "PLAINTEXT":
        inner.bootstrap = bootstrap_or_say_why
    return client


async def refusal(access: KafkaAccess) -> KafkaRefusedError | None:
    """Why the first broker that refuses us does; None when none does, as when they are away."""
    for host, port, _ in collect_hosts(access.bootstrap):
        connection = AIOKafkaConnection(host, port, request_timeout_ms=ASK_S * 1000, **access.security())
        try:
            async with asyncio.timeout(ASK_S):
                await connection.connect()
        except (KafkaError, OSError, TimeoutError) as error:
            # A client certificate is refused only after the handshake (TLS 1.3): what broke the connection tells.
            why = _in_words(error, access) or _in_words(error.__cause__, access)
            if why is not None:
                return KafkaRefusedError(f"{host}:{port} {why}")
        finally:
            await _closed(connection)
    return None


async def _closed(connection: AIOKafkaConnection) -> None:
    """Returns when it is closed: TLS has a farewell, which a loop that ends would cut short."""
    # Nothing was ever open where even the first packet found nobody.
    if connection._protocol is not None:  # noqa: SLF001 - aiokafka shows it nowhere
        await asyncio.wait({connection.close()}, timeout=CLOSE_S)


def _in_words(error: BaseException | None, access: KafkaAccess) -> str | None:
    match error:
        case ssl.SSLCertVerificationError():
            return f"has no certificate to be trusted (PAYSTATE_KAFKA_CA_FILE): {error.verify_message}"
        case ssl.SSLError():
            return f"ends TLS (PAYSTATE_KAFKA_CERTIFICATE_FILE, if it wants one): {error.reason or error}"
        case SaslAuthenticationFailed():
            said = error.args[0] if error.args else "authentication failed"
            user = access.login.username if access.login else ""
            return f"refuses {user!r} (PAYSTATE_KAFKA_SASL_USERNAME, PAYSTATE_KAFKA_SASL_PASSWORD): {said}"
        case UnsupportedSaslMechanismError() | IllegalSaslStateError():
            mechanism = access.login.mechanism if access.login else ""
            return f"does not take {mechanism} over {access.protocol} (PAYSTATE_KAFKA_SASL_MECHANISM)"
        case _:
            return None
