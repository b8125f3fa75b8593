"""A consumer that bears with a broker that breaks two promises of a fetch. The embedded one does.

A fetch asks the broker to wait until there is something to read (`fetch.max.wait.ms`, `fetch.min.bytes`). A
broker that answers at once with nothing would be asked some 650 times a second for nothing, which takes a
quarter of a core on each side. And it is to name the aborted transactions that the records touch, not all:
see `stale_aborts`. A broker that keeps its promises is neither delayed nor corrected.
"""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.fetch import FetchRequest

from service.kafka.stale_aborts import without_stale

# An empty answer that comes sooner than this was not waited for.
SOON_S = 0.02
# The first versions of an answer that have aborted transactions, and that have another field behind them.
_WITH_ABORTED = 4
_WITH_REPLICA = 11


def be_patient(reader: AIOKafkaConsumer) -> AIOKafkaConsumer:
    """The same consumer: an empty answer that comes at once reaches it after SOON_S, and without stale aborts.

    aiokafka offers no place for it: this is its own client's `send`, through which all fetches go.
    """
    client = reader._client  # noqa: SLF001 - see above
    send = client.send

    async def send_patiently(node_id: int, request: Any, **options: Any) -> Any:  # noqa: ANN401 - aiokafka's own
        if not isinstance(request, FetchRequest):
            return await send(node_id, request, **options)
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        response = await send(node_id, request, **options)
        left_s = SOON_S - (loop.time() - asked_at)
        # The records are the last field of each partition, in every version.
        if any(partition[-1] for _, partitions in response.topics for partition in partitions):
            _correct(request, response)
        elif left_s > 0:
            await asyncio.sleep(left_s)
        return response

    client.send = send_patiently
    return reader


def _correct(request: FetchRequest, response: Any) -> None:  # noqa: ANN401 - one of aiokafka's structs, by version
    if response.API_VERSION < _WITH_ABORTED:
        return
    place = -3 if response.API_VERSION >= _WITH_REPLICA else -2
    fetched_from = {
        (topic, partition): offset for topic, partitions in request.topics for partition, offset, _ in partitions
    }
    response.topics = [
        (topic, [_corrected(each, place, fetched_from[topic, each[0]]) for each in partitions])
        for topic, partitions in response.topics
    ]


def _corrected(partition: tuple[Any, ...], place: int, fetched_from: int) -> tuple[Any, ...]:
    aborted = partition[place]
    if not aborted or all(first_offset >= fetched_from for _, first_offset in aborted):
        return partition
    fields = list(partition)
    fields[place] = without_stale(aborted, fetched_from, partition[-1])
    return tuple(fields)
