"""What aiokafka makes of a start that is cancelled, and what we do about it."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from service.kafka.access import KafkaAccess
from service.kafka.clients import transactional_producer

pytestmark = pytest.mark.integration


class Asked:
    """Notes the connections over which the metadata of the cluster are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.over: list[AIOKafkaConnection] = []
        self.now = asyncio.Event()
        send = AIOKafkaConnection.send

        def noted(connection: AIOKafkaConnection, request: Any, *more: Any, **others: Any) -> Any:
            if isinstance(request, MetadataRequest):
                self.over.append(connection)
                self.now.set()
            return send(connection, request, *more, **others)

        monkeypatch.setattr(AIOKafkaConnection, "send", noted)

    async def cancel_in_the_middle(self, producer: AIOKafkaProducer) -> None:
        """Starts the producer, and cancels that while the metadata are being asked for."""
        starting = asyncio.create_task(producer.start())
        await self.now.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await producer.stop()


async def test_aiokafka_leaves_a_connection_open(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    await asked.cancel_in_the_middle(AIOKafkaProducer(bootstrap_servers=kafka_bootstrap))
    (connection,) = asked.over
    assert connection.connected()
    await connection.close()


async def test_ours_are_closed(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    await asked.cancel_in_the_middle(transactional_producer(KafkaAccess(kafka_bootstrap), "cancelled"))
    assert asked.over
    assert not any(connection.connected() for connection in asked.over)
