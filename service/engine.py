"""The engine: one process's share of the lanes, from start to handover."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from service.kafka import clients
from service.kafka.forwarder import Forwarder
from service.kafka.topics import check_counts
from service.lanes.lease import Leases
from service.lanes.ports import Ports
from service.store import connection as store_connection
from service.store.connection import Database
from service.store.journal import make_partitions
from service.store.lanes import NotInstalledError, lane_count

log = structlog.get_logger()

RETRY_S = 1.0
# A handover is a batch, a flush and one statement a lane; past this the leases run out by themselves.
HAND_OVER_S = 15.0
# The journal's months are made well before they come; should it fail, the default partition takes them.
HOUSEKEEPING_EVERY_S = 6 * 3_600.0
# While somebody reads the journal none can be made: it is tried for a moment, and again when they may have ended.
HOUSEKEEPING_AGAIN_S = 5 * 60.0
# So many days before a month comes, a person should know that it has no partition.
MONTH_IS_NEAR_DAYS = 7


@dataclass(slots=True)
class Engine:
    """Runs lanes until told to stop."""

    worker: str
    ports: Ports
    forwarder: Forwarder
    lease_database: Database
    lease_ttl_s: float
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Asks it to hand over and end, as SIGTERM does."""
        self._stopping.set()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT; then hands its lanes over. `on_ready` is called with the first lanes."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.stop)
        stopping = asyncio.create_task(_until(self._stopping))
        starting = asyncio.create_task(self._wait_for_servers())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await self._work(stopping, on_ready)
        finally:
            await _end(starting, stopping)
            for number in numbers:
                loop.remove_signal_handler(number)
            await self.forwarder.close()
            await self.ports.carrier.client.aclose()
            await self.ports.database.close()
            await self.lease_database.close()

    async def _work(self, stopping: asyncio.Task[None], on_ready: Callable[[], None]) -> None:
        leases = Leases(self.worker, self.ports, self.lease_database, self.lease_ttl_s, on_ready)
        housekeeping = asyncio.create_task(make_room_ahead(self.ports.database))
        intake = asyncio.create_task(self.ports.intake.run())
        keeping = asyncio.create_task(leases.run())
        try:
            await asyncio.wait({intake, keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (intake, keeping):
                if task.done():
                    task.result()
            log.info("handing_over", worker=self.worker)
            async with asyncio.timeout(HAND_OVER_S):
                # A beat under way is let finish: cancelled, it might have claimed a lane that nobody hands over.
                await leases.stop(keeping)
                await leases.hand_over_all()
        except TimeoutError:
            log.warning("handover_unfinished", after_s=HAND_OVER_S)
        finally:
            await _end(intake, keeping, housekeeping)

    async def _wait_for_servers(self) -> None:
        """Waits for Postgres and Kafka; refuses to start where they disagree with the settings."""
        while True:
            try:
                lanes = await lane_count(self.ports.database)
                if lanes != self.ports.lanes:
                    raise NotInstalledError(
                        f"this database was made for {lanes} lanes, and PAYSTATE_LANES says {self.ports.lanes}:"
                        f" set it to {lanes}"
                    )
                counts = await clients.within(self.ports.broker.partition_counts(), clients.PRODUCE_TIMEOUT_S)
                check_counts(counts, lanes)
            except store_connection.UNAVAILABLE as error:
                log.warning("waiting_for_postgres", error=repr(error))
            except clients.UNAVAILABLE as error:
                log.warning("waiting_for_kafka", broker=str(self.ports.broker), error=repr(error))
            else:
                return
            await asyncio.sleep(RETRY_S)


async def make_room_ahead(database: Database) -> None:
    """Makes the journal's partitions of the coming months, ever again, until cancelled."""
    while True:
        again_s = HOUSEKEEPING_AGAIN_S
        try:
            days_until = await make_partitions(database)
        except (*store_connection.UNAVAILABLE, store_connection.REFUSED) as error:
            log.warning("journal_partitions_not_made", error=repr(error))
        else:
            if days_until is None:
                again_s = HOUSEKEEPING_EVERY_S
            else:
                tell = log.error if days_until <= MONTH_IS_NEAR_DAYS else log.info
                tell("journal_partition_waits", days_until_month=days_until, reason="the journal is being read")
        await asyncio.sleep(again_s)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _until(event: asyncio.Event) -> None:
    await event.wait()
