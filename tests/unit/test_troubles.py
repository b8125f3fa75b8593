"""What is told of a server that cannot be used: the right server's setting, in one plain line."""

import asyncio
import errno
from pathlib import Path

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from service import troubles
from service.kafka import clients
from service.kafka.access import KafkaAccess
from service.kafka.topics import partition_counts
from service.store.connection import Database
from service.store.lanes import lane_count

NOBODY = "127.0.0.1:9"


async def _of_postgres() -> None:
    database = Database(f"postgresql://u:hush@{NOBODY}/z", None)
    try:
        await lane_count(database)
    finally:
        await database.close()


async def _of_kafka() -> None:
    await partition_counts(KafkaAccess(NOBODY))


async def _of_a_kafka_that_hangs() -> None:
    await clients.within(asyncio.sleep(60), 0.01)


async def _of_a_file() -> None:
    await asyncio.to_thread(Path("/dev/null/x").read_text, "utf-8")


async def _of_a_full_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (_of_postgres, "Postgres cannot be used (PAYSTATE_POSTGRES_DSN): Connection refused"),
        (_of_kafka, f"Kafka cannot be used (PAYSTATE_KAFKA_BOOTSTRAP): no broker answers at {NOBODY}"),
        (
            _of_a_kafka_that_hangs,
            "Kafka cannot be used (PAYSTATE_KAFKA_BOOTSTRAP): no answer within the time allowed",
        ),
        (_of_a_file, "cannot use /dev/null/x: Not a directory"),
        (_of_a_full_disk, "No space left on device"),
    ],
)
async def test_each_trouble_is_told_of_what_it_comes_from(trouble: object, told: str) -> None:
    assert callable(trouble)
    with pytest.raises(troubles.EXPECTED) as caught:
        await trouble()
    assert troubles.told(caught.value) == told


def test_brokers_are_named_as_the_setting_has_them() -> None:
    error = KafkaConnectionError(
        "Unable to bootstrap from [('a', 1, <AddressFamily.AF_UNSPEC: 0>), ('b', 2, <X: 0>)]"
    )
    assert troubles.reason(error) == "no broker answers at a:1, b:2"
    assert troubles.reason(KafkaTimeoutError()) == "KafkaTimeoutError"


def test_only_roles_of_ours_are_made_by_migrating() -> None:
    missing = asyncpg.InvalidParameterValueError('role "paystate_service" does not exist')
    assert troubles.told(missing).endswith("(there is no role paystate_service): run `paystate migrate`")
    somebodys = asyncpg.InvalidParameterValueError('role "nobody_such" does not exist')
    assert troubles.told(somebodys).endswith('(PAYSTATE_POSTGRES_DSN): role "nobody_such" does not exist')
