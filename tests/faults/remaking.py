"""A topic made anew under load: its lanes halt, and a person lets them go on."""

import asyncio
import time
from functools import partial

from aiokafka.errors import KafkaError

from schemas.vocabulary import INPUT_TOPICS, Topic
from service.dev.child import ServerFailedError
from service.kafka.access import KafkaAccess
from service.kafka.topics import WrongTopicError, administrator, create_topics
from service.wiring import run_loop
from tests.faults.breaking import RECOVERY_S, Breaking
from tests.faults.watch import LaneNow, Watch
from tests.faults.world import LANES, World, until

TRIES = 50
WAIT_S = 0.1


async def _make_anew(bootstrap: str, topic: str) -> None:
    """Until it has as many partitions as before: who publishes meanwhile can have the broker make it with one."""
    async with administrator(KafkaAccess(bootstrap)) as admin:
        for _ in range(TRIES):
            await admin.delete_topics([topic])
            try:
                while topic not in await create_topics(KafkaAccess(bootstrap), LANES):
                    await asyncio.sleep(WAIT_S)
            except (WrongTopicError, KafkaError):
                await asyncio.sleep(WAIT_S)
            else:
                return
        raise ServerFailedError(f"{topic} could not be made anew")


def _rebase_halted(world: World) -> bool:
    """What a person does who has read the page; answers whether a lane was halted."""
    halted = [row for row in world.paystate("lanes") if row["status"] == "halted"]
    for row in halted:
        world.paystate("rebase", str(row["lane"]))
    return bool(halted)


def _has_read(world: World) -> bool:
    """Whether a lane has read of the topic: it cannot know that one which it has never read was another."""
    place = INPUT_TOPICS.index(Topic.CALLBACKS)
    return any(row["offsets"][place] > 0 for row in world.paystate("lanes") if row["offsets"])


def _all_go_on(world: World, watch: Watch, before: dict[int, LaneNow]) -> bool:
    """Whether no lane is halted, and each has a commit: under a new epoch, or of records that it has read since."""
    return not _rebase_halted(world) and all(
        watch.lanes[lane].read > was.read or watch.recovered_at({lane: was}) is not None
        for lane, was in before.items()
    )


def topic_made_anew(breaking: Breaking) -> list[float]:
    """`wallet.callbacks` is deleted and made again; what nobody has read of it is gone, and the wallet is asked.

    Recovery: from the first halt to a commit on every lane, with `paystate rebase` at once.
    """
    world, watch = breaking.world, breaking.load.watch
    engines = [world.start_engine(), world.start_engine()]
    recoveries = []
    for _ in breaking.rounds():
        breaking.settled(*engines)
        until(lambda: _has_read(world), RECOVERY_S, "a lane has read callbacks")
        breaking.some_time()
        before = dict(watch.lanes)
        run_loop(_make_anew(world.broker.bootstrap, Topic.CALLBACKS))
        until(lambda: _rebase_halted(world), RECOVERY_S, "a lane halts")
        since = time.monotonic()
        breaking.go_on()
        until(partial(_all_go_on, world, watch, before), RECOVERY_S, "every lane goes on")
        recoveries.append(time.monotonic() - since)
    breaking.settled(*engines)
    return recoveries
