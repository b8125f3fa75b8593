"""Kafka clients with the settings that matter, and the habits that keep a broken one from hanging us."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Literal, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, KafkaError

from service.kafka.access import KafkaAccess
from service.kafka.behind import behind_our_back
from service.kafka.patience import be_patient
from service.kafka.refusals import name_refusals

# The largest record that a topic takes: above the bridge's limit, below what a lane wants to hold in memory.
MAX_MESSAGE_BYTES = 4_194_304
# With a broker down, an idempotent send, a commit and even `stop` hang past their own timeouts.
PRODUCE_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 2.0
# Kafka 4 answers the first produce after a commit with a retriable error until its markers are written;
# aiokafka's default would wait 100 ms each time.
RETRY_BACKOFF_MS = 5
FETCH_MAX_WAIT_MS = 100
# So long may records go unnoticed into a partition that somebody has added to a topic.
METADATA_MAX_AGE_MS = 10_000
MAX_FETCH_BYTES = 52_428_800
# A state event is about a kilobyte: 512 of them a batch.
MAX_BATCH_BYTES = 1_048_576

UNAVAILABLE = (KafkaError, OSError, TimeoutError)

IsolationLevel = Literal["read_committed", "read_uncommitted"]
T = TypeVar("T")
Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer)


def consumer(
    access: KafkaAccess,
    group_id: str | None = None,
    *,
    isolation_level: IsolationLevel = "read_committed",
    partition_bytes: int = MAX_MESSAGE_BYTES,
    fetch_bytes: int = MAX_FETCH_BYTES,
) -> AIOKafkaConsumer:
    """A consumer with manual assignment: positions come from Postgres, never from the group."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=access.bootstrap,
        **access.security(),
        group_id=group_id,
        auto_offset_reset="none",
        enable_auto_commit=False,
        isolation_level=isolation_level,
        fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
        max_partition_fetch_bytes=partition_bytes,
        fetch_max_bytes=fetch_bytes,
        request_timeout_ms=10_000,
        retry_backoff_ms=50,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
    )
    return name_refusals(be_patient(reader), access)


# aiokafka's own, for records that are sent one by one.
_BATCH_BYTES = 16_384


def idempotent_producer(access: KafkaAccess, *, max_batch_bytes: int = _BATCH_BYTES) -> AIOKafkaProducer:
    """A producer whose sends arrive once each and in order, with acks from all replicas."""
    producer = AIOKafkaProducer(
        bootstrap_servers=access.bootstrap,
        **access.security(),
        enable_idempotence=True,
        acks="all",
        max_batch_size=max_batch_bytes,
        max_request_size=MAX_MESSAGE_BYTES,
        request_timeout_ms=8_000,
        linger_ms=0,
    )
    return name_refusals(producer, access)


def transactional_producer(access: KafkaAccess, transactional_id: str) -> AIOKafkaProducer:
    """A producer of transactions; starting it fences every earlier one of the same id (KIP-98)."""
    producer = AIOKafkaProducer(
        bootstrap_servers=access.bootstrap,
        **access.security(),
        transactional_id=transactional_id,
        acks="all",
        max_batch_size=MAX_BATCH_BYTES,
        max_request_size=MAX_MESSAGE_BYTES,
        request_timeout_ms=8_000,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        transaction_timeout_ms=15_000,
        linger_ms=0,
    )
    return name_refusals(producer, access)


async def within(awaitable: Awaitable[T], seconds: float) -> T:
    """The result, or TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        return await awaitable


async def abandon(client: AIOKafkaConsumer | AIOKafkaProducer | None) -> None:
    """Stops a client, but waits only so long for it: a broken one may never come back.

    In a task of its own: what the client's own cancelled parts raise must not be taken for our cancellation,
    nor ours for theirs.
    """
    if client is None:
        return
    stopping = behind_our_back(client.stop())
    stopping.add_done_callback(lambda _: _forget_failures(client))
    done, _ = await asyncio.wait({stopping}, timeout=STOP_TIMEOUT_S)
    if not done:
        stopping.cancel()
        await _end_sender(client)


async def _end_sender(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """A producer that is stopped first delivers what it holds, and for ever goes on trying to.

    Its sender ends at the second cancellation: the first only makes it wait for the requests under way.
    """
    sender = getattr(client, "_sender", None)
    if sender is None or sender.sender_task is None:
        return
    for _ in range(2):
        sender.sender_task.cancel()
        await asyncio.wait({sender.sender_task}, timeout=0)
    behind_our_back(client.client.close())


class _Forgiving(set[object]):
    """aiokafka takes a batch that is done out of its set, also one that waits to be sent again and is not in it."""

    def remove(self, element: object) -> None:
        self.discard(element)


def _forget_failures(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Ends what aiokafka goes on waiting for, and looks at the failures that it keeps for nobody.

    What it has not sent keeps a task of `stop` alive, which asyncio reports when it is collected. And when its
    sender fails, that of a fenced producer say, it fails the end of the transaction and the waiting for room, too:
    exceptions that nobody has retrieved.
    """
    transactions, batches = getattr(client, "_txn_manager", None), getattr(client, "_message_accumulator", None)
    kept = [] if transactions is None else [transactions.wait_for_transaction_end()]
    if batches is not None:
        batches._pending_batches = _Forgiving(batches._pending_batches)  # noqa: SLF001 - see there
        batches.fail_all(KafkaError("the producer has been given up"))
        waiting = [batch for each in batches._batches.values() for batch in each]  # noqa: SLF001 - see above
        for batch in (*waiting, *batches._pending_batches):  # noqa: SLF001 - see above
            kept += [batch.future, batch._drain_waiter, *(sent for sent, _ in batch._msg_futures)]  # noqa: SLF001
    for waiter in kept:
        if waiter is not None and waiter.done() and not waiter.cancelled():
            waiter.exception()


async def start(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Starts a client. Raises one of UNAVAILABLE; the client then has to be abandoned.

    Between two looks at a broker that is going or coming aiokafka may know of none at all, and asserts that it
    does ("Did we not perform bootstrap?"): an outage, and no bug of ours.
    """
    try:
        await within(client.start(), PRODUCE_TIMEOUT_S)
    except AssertionError as error:
        raise KafkaConnectionError(str(error)) from error


def connections(client: AIOKafkaProducer) -> list[AIOKafkaConnection]:
    """Those that a client has now; it replaces one that is closed by another when it needs it."""
    return list(client.client._conns.values())  # noqa: SLF001 - aiokafka shows them nowhere


@contextlib.asynccontextmanager
async def started(client: Client) -> AsyncIterator[Client]:
    """The client, started, for as long as the context lasts. A start that fails leaves nothing behind."""
    try:
        await start(client)
        yield client
    finally:
        await abandon(client)
