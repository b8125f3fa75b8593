"""Sends the records of many requests together: whatever waits for a lane goes as one batch.

A lane has one batch on its way, and what comes meanwhile waits for the next. So a quiet bridge sends each record
at once, and a busy one sends fewer and larger batches, at a fifth of what single records cost.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from service.kafka.access import KafkaAccess
from service.kafka.clients import MAX_BATCH_BYTES, idempotent_producer
from service.kafka.kept_producer import KeptProducer
from service.kafka.partition import lane_of

# How often those are looked for whose deadline has passed: a timer for each record would cost as much as it does.
SWEEP_EVERY_S: Final = 0.5
_Place = tuple[str, int]


@dataclass(slots=True)
class _Waiting:
    """A record, and who waits until all replicas have it."""

    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    durable: asyncio.Future[None]


class Batches:
    """Gathers the records of each lane, and sends what has come together."""

    def __init__(self, access: KafkaAccess, lanes: int, deadline_s: float) -> None:
        """`deadline_s`: past it whoever waits is told that nobody knows, whatever becomes of the record."""
        self._deadline_s = deadline_s
        # In the order of their deadlines, which is that of their coming.
        self._due: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._sweeping: asyncio.TimerHandle | None = None
        self._lanes = lanes
        self._kept = KeptProducer(partial(idempotent_producer, access, max_batch_bytes=MAX_BATCH_BYTES))
        self._waiting: defaultdict[_Place, deque[_Waiting]] = defaultdict(deque)
        self._sending: dict[_Place, asyncio.Task[None]] = {}

    async def publish(
        self, topic: str, order_id: str, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Publishes a record, keyed by its order. Returns when all replicas have it.

        Raises what went wrong, and TimeoutError when it takes too long.
        """
        place = (topic, lane_of(order_id, self._lanes))
        loop = asyncio.get_running_loop()
        durable = loop.create_future()
        self._due.append((loop.time() + self._deadline_s, durable))
        if self._sweeping is None:
            self._sweeping = loop.call_later(SWEEP_EVERY_S, self._sweep, loop)
        self._waiting[place].append(_Waiting(order_id.encode(), value, headers, durable))
        if place not in self._sending:
            self._sending[place] = asyncio.create_task(self._send(*place))
        await durable

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._due and (self._due[0][1].done() or self._due[0][0] <= loop.time()):
            _, durable = self._due.popleft()
            if not durable.done():
                durable.set_exception(TimeoutError(f"not durable within {self._deadline_s:g} s"))
        self._sweeping = loop.call_later(SWEEP_EVERY_S, self._sweep, loop) if self._due else None

    async def close(self) -> None:
        """Gives up what still waits, and stops the producer."""
        sending = list(self._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        # A task that was cancelled before it began has told nobody.
        self._sending.clear()
        for waiting in self._waiting.values():
            _tell(waiting, ConnectionError("closing"))
            waiting.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._kept.close()

    async def _send(self, topic: str, lane: int) -> None:
        waiting, taken = self._waiting[topic, lane], list[_Waiting]()
        try:
            while waiting:
                producer = await self._kept.ready()
                batch = producer.create_batch()
                # The first one is taken whatever its size.
                while waiting and batch.append(
                    key=waiting[0].key, value=waiting[0].value, timestamp=None, headers=list(waiting[0].headers)
                ):
                    taken.append(waiting.popleft())
                async with self._kept.sending(producer):
                    await (await producer.send_batch(batch, topic, partition=lane))
                _tell(taken, None)
                taken.clear()
        # Everyone who waits is told, whatever it was; each answers for itself.
        except BaseException as error:
            _tell([*taken, *waiting], error if isinstance(error, Exception) else ConnectionError("closing"))
            waiting.clear()
            if not isinstance(error, Exception):
                raise
        finally:
            del self._sending[topic, lane]


def _tell(those: Iterable[_Waiting], error: Exception | None) -> None:
    for each in those:
        # One whose request has ended waits no more.
        if each.durable.done():
            continue
        if error is None:
            each.durable.set_result(None)
        else:
            each.durable.set_exception(error)
