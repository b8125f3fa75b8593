"""One idempotent producer, made when it is first needed and thrown away when it fails."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from service.kafka.clients import PRODUCE_TIMEOUT_S, abandon, start


class KeptProducer:
    """Shared by whoever sends; `make` makes the next one."""

    def __init__(self, make: Callable[[], AIOKafkaProducer]) -> None:
        self._make = make
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def ready(self) -> AIOKafkaProducer:
        """The producer, started. Raises one of UNAVAILABLE."""
        if self._producer is not None:
            return self._producer
        async with self._starting:
            if self._producer is None:
                producer = self._make()
                try:
                    await start(producer)
                except BaseException:
                    await abandon(producer)
                    raise
                self._producer = producer
            return self._producer

    @asynccontextmanager
    async def sending(self, producer: AIOKafkaProducer) -> AsyncIterator[None]:
        """For as long as something is being sent with it. Raises TimeoutError, and what sending raises."""
        try:
            async with asyncio.timeout(PRODUCE_TIMEOUT_S):
                yield
        except BaseException:
            # It may hang for good after a lost broker, and its sequence numbers are in doubt.
            if self._producer is producer:
                self._producer = None
                await abandon(producer)
            raise

    async def close(self) -> None:
        """Stops the producer."""
        producer, self._producer = self._producer, None
        await abandon(producer)
