"""Signs callbacks and sends them until they are taken, or are lost as the faults will have it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import httpx2
import structlog

from service.clock import Clock
from service.sandbox.calls import Notice
from service.sandbox.faults import Dice

log = structlog.get_logger()

# Alipay resends over 25 hours (4 m, 10 m, 10 m, 1 h, 2 h, 6 h, 15 h); nobody waits so long for a sandbox.
RESEND_AFTER_S = (0.5, 1.0, 2.0, 5.0, 10.0)
CALLBACK_TIMEOUT_S = 10.0
# Bounds memory when the receiver is down: what is beyond is lost, as everything is after a day.
MAX_WAITING = 20_000
MAX_SENDING = 64


class Fate(StrEnum):
    """What becomes of one payment's callback, whatever the rates say."""

    SEND = "send"
    LOSE = "lose"
    TWICE = "twice"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Plan:
    """When a callback goes out, and whether once more after it was taken."""

    lost: bool
    repeated: bool
    wait_s: float


class Voice(Protocol):
    """How a dialect tells of something."""

    def default_url(self) -> str:
        """Where a callback goes whose order string named no address."""
        ...

    def signed(self, notice: Notice, url: str, number: int, now: datetime) -> tuple[bytes, dict[str, str]]:
        """Body and headers. `number` is the notice's own, the same over its resends."""
        ...

    def is_taken(self, status: int, body: bytes) -> bool:
        """Whether the merchant's answer says that it need not be sent again."""
        ...


class Callbacks:
    """The callbacks under way. Kept in memory only: a restart loses them, and the merchant has to ask."""

    def __init__(
        self,
        voices: Mapping[str, Voice],
        clock: Clock,
        dice: Dice,
        resend_after_s: tuple[float, ...] = RESEND_AFTER_S,
    ) -> None:
        """`voices` by dialect."""
        self._voices = voices
        self._clock = clock
        self._dice = dice
        self._resend_after_s = resend_after_s
        limits = httpx2.Limits(max_connections=MAX_SENDING, max_keepalive_connections=MAX_SENDING)
        self._client = httpx2.AsyncClient(
            timeout=CALLBACK_TIMEOUT_S, limits=limits, follow_redirects=False, trust_env=False
        )
        self._slots = asyncio.Semaphore(MAX_SENDING)
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, notice: Notice, number: int, fate: Fate = Fate.SEND, delay_s: float | None = None) -> None:
        """Begins to send; returns at once. `number` makes the notify_id, constant over resends.

        `delay_s` is how long it waits at first, where that is not for the fate and the faults to say.
        """
        plan = self._plan(fate)
        if delay_s is not None:
            plan = replace(plan, wait_s=delay_s)
        if plan.lost or len(self._tasks) >= MAX_WAITING:
            log.info("sandbox_callback_lost", order_id=notice.order_id, meant=plan.lost)
            return
        task = asyncio.create_task(self._deliver(notice, number, plan))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Drops what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    @property
    def waiting(self) -> int:
        """How many have not been taken yet."""
        return len(self._tasks)

    def _plan(self, fate: Fate) -> Plan:
        faults = self._dice.faults
        match fate:
            case Fate.LOSE:
                return Plan(lost=True, repeated=False, wait_s=0.0)
            case Fate.TWICE:
                return Plan(lost=False, repeated=True, wait_s=0.0)
            case Fate.LATE:
                return Plan(lost=False, repeated=False, wait_s=faults.delay_s)
        return Plan(
            lost=self._dice.hit(faults.lose_callbacks),
            repeated=self._dice.hit(faults.repeat_callbacks),
            wait_s=self._dice.delay_s() if self._dice.hit(faults.delay_callbacks) else 0.0,
        )

    async def _deliver(self, notice: Notice, number: int, plan: Plan) -> None:
        await asyncio.sleep(plan.wait_s)
        url = notice.url or self._voices[notice.dialect].default_url()
        for wait_s in (*self._resend_after_s, None):
            if await self._taken(notice, url, number):
                break
            if wait_s is None:
                log.warning("sandbox_callback_given_up", order_id=notice.order_id)
                return
            await asyncio.sleep(wait_s)
        if plan.repeated:
            await self._deliver(notice, number, replace(plan, repeated=False, wait_s=self._dice.delay_s() / 4))

    async def _taken(self, notice: Notice, url: str, number: int) -> bool:
        voice = self._voices[notice.dialect]
        async with self._slots:
            # The time of sending is signed, so each resend is signed anew.
            body, headers = await asyncio.to_thread(voice.signed, notice, url, number, self._clock.now())
            try:
                reply = await self._client.post(url, content=body, headers=headers)
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
                log.info("sandbox_callback_not_taken", order_id=notice.order_id, error=repr(error))
                return False
        return voice.is_taken(reply.status_code, reply.content)
