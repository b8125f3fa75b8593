"""The first look at a cluster, which leaves no connection open, even where whoever takes it is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from service.kafka.behind import behind_our_back

# A cancelled start waits only so long for what it has begun; the rest ends behind its back.
END_S: Final = 2.0


def to_its_end(inner: Any) -> Callable[[], Awaitable[None]]:  # noqa: ANN401 - aiokafka's own client, without types
    """That client's `bootstrap`, which is not cut short: its connection is closed where it alone knows of it.

    aiokafka forgets the connection over which it asks for the metadata when it is cancelled just then.
    """
    bootstrap = inner.bootstrap

    async def bootstrap_to_its_end() -> None:
        bootstrapping = asyncio.ensure_future(bootstrap())
        try:
            await asyncio.shield(bootstrapping)
        except asyncio.CancelledError:
            await asyncio.wait({behind_our_back(_close_after(bootstrapping, inner))}, timeout=END_S)
            raise

    return bootstrap_to_its_end


async def _close_after(bootstrapping: asyncio.Future[None], inner: Any) -> None:  # noqa: ANN401 - see above
    await asyncio.wait({bootstrapping})
    if not bootstrapping.cancelled():
        # Looked at, so that nobody complains: nobody waits for it any more.
        bootstrapping.exception()
    # The look has begun tasks of its own, and may have kept its connection.
    await inner.close()
