"""What ends behind our back: nobody waits for it, and it may fail as it likes."""

import asyncio
from collections.abc import Coroutine
from typing import Any

# Whoever waits for nothing holds a task only weakly.
_under_way: set[asyncio.Task[None]] = set()


def behind_our_back(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that goes on although nobody holds it, and whose failure nobody is told of."""
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[None]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        # Looked at, so that nobody complains.
        task.exception()
