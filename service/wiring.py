"""The only place that builds things: settings in, a running part out."""

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
import uuid_utils

from schemas.vocabulary import Topic
from service.clock import RandomIds, SystemClock
from service.config import Config
from service.dispatch.carrier import carrier
from service.dispatch.dispatcher import RetrySchedule
from service.engine import Engine
from service.kafka import clients
from service.kafka.access import KafkaAccess
from service.kafka.batches import Batches
from service.kafka.broker import Kafka
from service.kafka.forwarder import Forwarder
from service.kafka.topics import check_counts, partition_counts
from service.lanes import rebase as lane_rebase
from service.lanes.inbox import Inbox
from service.lanes.intake import Intake
from service.lanes.ports import Ports
from service.lanes.rebase import Rebased
from service.store import api_keys
from service.store.connection import STATEMENT_TIMEOUT_S, UNAVAILABLE, Database
from service.store.following import OrderRows
from service.store.idempotency import IdempotencyKeys
from service.store.lanes import lane_count
from service.wallets.adapter import WalletAdapter
from service.wallets.registry import build_adapters
from statemachine.decision import Policy

if TYPE_CHECKING:
    from service.http.order_api import OrderApi

T = TypeVar("T")

# Net allocations before the young are looked through, and how many such looks before each of the older ages.
GARBAGE_THRESHOLDS = (50_000, 20, 20)
OWNER = "paystate_owner"
# A bridge that starts while Postgres hangs takes callbacks no later than this.
LOOK_S = 2.0

log = structlog.get_logger()


def worker_name() -> str:
    """Names this process in the lease table: where it runs, and which start of it this is."""
    return f"{socket.gethostname()}-{os.getpid()}-{str(uuid_utils.uuid7())[-8:]}"


def database(config: Config, patience_s: float = STATEMENT_TIMEOUT_S) -> Database:
    """The database, in the service's role."""
    return Database(config.settings.postgres_dsn, config.settings.postgres_role or None, patience_s)


def owned_database(config: Config) -> Database:
    """The database, in the role that owns the schema: for what services may not do."""
    return Database(config.settings.postgres_dsn, OWNER)


def engine(config: Config) -> Engine:
    """An engine, ready to run inside a running loop."""
    settings = config.settings
    adapters = build_adapters(config.profiles)
    broker = Kafka(config.kafka)
    forwarder = Forwarder(broker, settings.lanes)
    ports = Ports(
        database=database(config),
        broker=broker,
        intake=Intake(broker, settings.group_id, settings.lanes),
        inbox=Inbox(adapters),
        adapters=adapters,
        carrier=carrier(),
        forward=forwarder.forward,
        ids=RandomIds(),
        policy=policy(config),
        retry_schedule=RetrySchedule(first_s=settings.retry_first_s, tries=settings.retry_tries),
        lanes=settings.lanes,
        transactional_prefix=settings.transactional_prefix,
    )
    leases = database(config, min(settings.lease_ttl_s, STATEMENT_TIMEOUT_S))
    return Engine(worker_name(), ports, forwarder, leases, settings.lease_ttl_s)


async def rebase(config: Config, lane: int) -> Rebased:
    """Makes a halted lane fit its topics. Raises NotRebasedError, having changed nothing."""
    opened, broker = owned_database(config), Kafka(config.kafka)
    # It sends to the lane it is told, whatever their number.
    forwarder = Forwarder(broker, config.settings.lanes)
    tools = lane_rebase.Tools(
        database=opened,
        broker=broker,
        inbox=Inbox(build_adapters(config.profiles)),
        policy=policy(config),
        forward=forwarder.forward,
        transactional_prefix=config.settings.transactional_prefix,
    )
    try:
        return await lane_rebase.rebase(tools, lane)
    finally:
        await forwarder.close()
        await opened.close()


def policy(config: Config) -> Policy:
    """The times by which the lifecycle goes."""
    return Policy(pay_grace_s=config.settings.pay_grace_s, first_query_s=config.settings.first_query_s)


async def serve_http(config: Config, bound: socket.socket, on_ready: Callable[[], None]) -> None:
    """Runs what others reach over HTTP, until SIGTERM or SIGINT.

    Raises WrongTopicError or NotInstalledError, and what Kafka says when it cannot be used.
    """
    # An engine has no need of them, and they take a third of a second.
    from service.http.app import create_app  # noqa: PLC0415
    from service.http.bridge import PUBLISH_DEADLINE_S, Bridge, BridgeFirst  # noqa: PLC0415
    from service.http.callers import Callers  # noqa: PLC0415
    from service.http.serving import serve  # noqa: PLC0415

    lanes = await _lanes_of_topics(config.kafka)
    await _see_that_it_is_set_up(database(config))
    adapters = build_adapters(config.profiles)
    publisher = Forwarder(Kafka(config.kafka), lanes)
    opened = database(config)
    api = _order_api(opened, lanes, adapters, publisher)
    callers = Callers(partial(api_keys.owner_of, opened), keys_on_loopback=config.api_keys_on_loopback)
    batches = Batches(config.kafka, lanes, PUBLISH_DEADLINE_S)
    wallets = Bridge(adapters, batches.publish, SystemClock().now, publish_deadline_s=None)
    app = create_app(wallets, api, callers)
    collect_garbage_rarely()
    try:
        await serve(BridgeFirst(app, wallets), bound, on_ready, on_stop=api.streams.end)
    finally:
        await batches.close()
        await publisher.close()
        await opened.close()


def _order_api(
    opened: Database, lanes: int, adapters: Mapping[str, WalletAdapter], publisher: Forwarder
) -> "OrderApi":
    from service.http.event_stream import EventStreams  # noqa: PLC0415
    from service.http.order_api import OrderApi  # noqa: PLC0415
    from service.http.ordering import Ordering  # noqa: PLC0415

    rows = OrderRows(opened, lanes)
    return OrderApi(
        database=opened,
        ordering=Ordering(rows, adapters, publisher.publish, Inbox(adapters).refusal),
        keys=IdempotencyKeys(opened, lanes),
        streams=EventStreams(rows),
        now=SystemClock().now,
        new_id=RandomIds().uuid7,
    )


async def _see_that_it_is_set_up(opened: Database) -> None:
    """Raises NotInstalledError, or what Postgres says when it lets nobody in. One that is away is not waited for.

    As an engine does at its start, but for the waiting: callbacks only need Kafka, and the order API answers 503
    for as long as Postgres is away.
    """
    try:
        await clients.within(lane_count(opened), LOOK_S)
    except UNAVAILABLE as error:
        log.warning("serving_without_postgres", error=repr(error))
    finally:
        await opened.close()


async def _lanes_of_topics(access: KafkaAccess) -> int:
    """How many lanes the topics were made for: what is published must land in its own."""
    counts = await clients.within(partition_counts(access), clients.PRODUCE_TIMEOUT_S)
    lanes = counts.get(Topic.CALLBACKS, 0)
    check_counts(counts, lanes)
    return lanes


def collect_garbage_rarely() -> None:
    """For a process that lives long, with many orders or requests in memory.

    An order and its events are no cycles: counting references frees them. By default Python looks for cycles
    700 allocations apart, which is every tenth event, and again and again through all orders that are cached.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end; on uvloop, where there is one: it halves the cost of a round trip."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
