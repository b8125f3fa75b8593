"""A consumer that does not spin when its broker answers too soon.

A fetch asks the broker to wait until there is something to read (`fetch.max.wait.ms`, `fetch.min.bytes`). A
broker that answers at once with nothing, as the embedded one does, would be asked some 650 times a second for
nothing, which takes a quarter of a core on each side. A broker that waits, or has records, is not delayed.
"""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.fetch import FetchRequest

# An empty answer that comes sooner than this was not waited for.
SOON_S = 0.02


def be_patient(reader: AIOKafkaConsumer) -> AIOKafkaConsumer:
    """The same consumer; an empty answer that comes at once reaches it after SOON_S.

    aiokafka offers no place for it: this is its own client's `send`, through which all fetches go.
    """
    client = reader._client  # noqa: SLF001 - see above
    send = client.send

    async def send_and_wait(node_id: int, request: Any, **options: Any) -> Any:  # noqa: ANN401 - aiokafka's own
        if not isinstance(request, FetchRequest):
            return await send(node_id, request, **options)
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        response = await send(node_id, request, **options)
        left_s = SOON_S - (loop.time() - asked_at)
        if left_s > 0 and _is_empty(response):
            await asyncio.sleep(left_s)
        return response

    client.send = send_and_wait
    return reader


def _is_empty(response: Any) -> bool:  # noqa: ANN401 - one of aiokafka's structs, by version
    # The records are the last field of each partition, in every version.
    return not any(partition[-1] for _, partitions in response.topics for partition in partitions)
