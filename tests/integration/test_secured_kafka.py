"""A Kafka that lets in whom it knows, and lets each do what it is allowed: the road, and every refusal by name."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaConnectionError, TopicAuthorizationFailedError

from schemas.vocabulary import INPUT_TOPICS, State, Topic
from service import config, wiring
from service.clock import RandomIds, SystemClock
from service.config import Config
from service.dev.apache_kafka import LIBRARIES
from service.dev.child import Child
from service.doctor import examine
from service.kafka.access import KafkaAccess
from service.kafka.batches import Batches
from service.kafka.clients import consumer, idempotent_producer, started, transactional_producer
from service.kafka.refusals import KafkaRefusedError
from service.kafka.topics import administrator, check_counts, partition_counts
from service.sandbox.demo.shop import open_shop
from service.sandbox.demo.world import SETTINGS, World, running_processes
from service.verify import verify
from tests.certificates import Authority
from tests.conftest import make_database
from tests.integration.secured_kafka import MECHANISM, SecuredKafka, acls
from tests.world import run_paystate

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("java") is None, reason="Apache Kafka needs Java 17: install it"),
    pytest.mark.skipif(not LIBRARIES.exists(), reason="Apache Kafka is not fetched: `make kafka` does it"),
]

# What deploy/RUNBOOK.md says that each wants; more is given to none of them.
ADMIN = [("Create Describe", "Topic", topic) for topic in Topic]
SERVICE = [
    ("Read Write", "Topic", "orders.events"),
    ("Read Write", "Topic", "wallet.callbacks"),
    ("Read Write", "Topic", "service.completions"),
    ("Read Write", "Topic", "payment.state-events"),
    ("Write", "Topic", "payment.order-strings"),
    ("Read", "Group", "paystate"),
    ("Write", "TransactionalId", "paystate-lane-*"),
]
# `paystate serve` alone.
BRIDGE = [
    ("Write", "Topic", "orders.events"),
    ("Write", "Topic", "wallet.callbacks"),
    ("Write", "Topic", "service.completions"),
    ("Describe", "Topic", "payment.state-events"),
    ("Describe", "Topic", "payment.order-strings"),
]
SHOP = [
    ("Write", "Topic", "orders.events"),
    ("Write", "Topic", "service.completions"),
    ("Read", "Topic", "payment.state-events"),
    ("Read", "Topic", "payment.order-strings"),
]
REPORTS = [("Read", "Topic", "payment.state-events"), ("Describe", "Topic", "payment.order-strings")]
PASSWORDS = {name: f"only {name} knows" for name in ("admin", "paystate", "bridge", "shop", "reports")}
PATIENCE_S = 20.0
LANES = int(SETTINGS["PAYSTATE_LANES"])


@dataclass
class Secured:
    """The broker, and the environments of those who come to it."""

    kafka: SecuredKafka
    authority: Authority
    folder: Path

    def login(self, name: str, **more: str) -> dict[str, str]:
        return {
            "PAYSTATE_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.kafka.login_port}",
            "PAYSTATE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "PAYSTATE_KAFKA_SASL_MECHANISM": MECHANISM,
            "PAYSTATE_KAFKA_SASL_USERNAME": name,
            "PAYSTATE_KAFKA_SASL_PASSWORD": PASSWORDS[name],
            "PAYSTATE_KAFKA_CA_FILE": str(self.authority.file),
            "PAYSTATE_LANES": SETTINGS["PAYSTATE_LANES"],
            **more,
        }

    def certificate(self) -> dict[str, str]:
        return {
            "PAYSTATE_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.kafka.certificate_port}",
            "PAYSTATE_KAFKA_SECURITY_PROTOCOL": "SSL",
            "PAYSTATE_KAFKA_CA_FILE": str(self.authority.file),
        }


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Not uvloop, which takes 30 s to close a TLS connection when a refused fetch is under way in it.

    What it has not closed when it ends is a warning, here an error, and with that it never ends. The commands, the
    engine and the bridge run on it all the same.
    """
    return "asyncio"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    with SecuredKafka(folder / "kafka", authority, PASSWORDS) as kafka:
        rights = {"admin": ADMIN, "paystate": SERVICE, "bridge": BRIDGE, "shop": SHOP, "reports": REPORTS}
        rights["CN=paystate"] = SERVICE
        wiring.run_loop(kafka.allow([acl for who, table in rights.items() for acl in acls(who, table)]))
        secured = Secured(kafka, authority, folder)
        made = run_paystate("topics", "create", environment=secured.login("admin"))
        assert made.returncode == 0, made.stderr
        yield secured


@pytest.fixture(scope="module")
def own_world(secured: Secured, postgres_dsn: str) -> Iterator[World]:
    """Sandbox, bridge and engine, that are `paystate`."""
    login = secured.login("paystate")
    with (
        make_database(postgres_dsn) as dsn,
        running_processes(dsn, login["PAYSTATE_KAFKA_BOOTSTRAP"], secured.folder, SETTINGS | login) as running,
    ):
        yield running


def loaded(environment: dict[str, str]) -> Config:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return config.load(None)


async def test_the_road_with_a_login_over_tls_and_just_these_rights(secured: Secured, own_world: World) -> None:
    merchant = replace(own_world, config=loaded(own_world.environment | secured.login("shop")))
    async with open_shop(merchant, SystemClock(), RandomIds(), lambda _event: None) as shop:
        order_str = await shop.create("secured1", "payment", 1_000, "a mug")
        await shop.buyer_confirms(order_str)
        await shop.state("secured1", State.PAID)
        await shop.order("secured2", "payment", 500, "a mug")
    database = wiring.database(own_world.config)
    try:
        report = await verify(database, own_world.config.kafka, PATIENCE_S)
    finally:
        await database.close()
    assert [check for check in report.checks if not check.ok] == []
    findings = await examine(own_world.config, wiring.database(own_world.config))
    assert [finding for finding in findings if not finding.ok] == []


async def test_whoever_may_read_one_topic_reads_no_other_and_writes_none(secured: Secured) -> None:
    access = loaded(secured.login("reports")).kafka
    async with started(consumer(access)) as reader:
        seen = await reader.topics()
        assert seen == {Topic.STATE_EVENTS, Topic.ORDER_STRINGS}
        partitions = [TopicPartition(topic, 0) for topic in seen]
        assert set(await reader.end_offsets(partitions)) == set(partitions)
        reader.assign(partitions)
        await reader.seek_to_beginning()
        with pytest.raises(TopicAuthorizationFailedError) as refused:
            await reader.getmany(TopicPartition(Topic.ORDER_STRINGS, 0), timeout_ms=int(PATIENCE_S * 1000))
        assert Topic.ORDER_STRINGS in str(refused.value)
    # With the right to write nowhere, not even a producer's number is given out.
    with pytest.raises(ClusterAuthorizationFailedError):
        async with started(idempotent_producer(access)):
            pass


async def test_whoever_makes_orders_writes_no_callbacks(secured: Secured) -> None:
    async with started(idempotent_producer(loaded(secured.login("shop")).kafka)) as producer:
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(Topic.CALLBACKS, b"{}", key=b"o1", partition=0)


async def test_a_bridge_of_its_own_reads_nothing(secured: Secured) -> None:
    access = loaded(secured.login("bridge")).kafka
    check_counts(await partition_counts(access), LANES)
    batches = Batches(access, LANES, PATIENCE_S)
    try:
        for topic in INPUT_TOPICS:
            await batches.publish(topic, "secured9", b"no record of ours")
    finally:
        await batches.close()
    async with started(consumer(access)) as reader:
        reader.assign([TopicPartition(Topic.CALLBACKS, 0)])
        await reader.seek_to_beginning()
        with pytest.raises(TopicAuthorizationFailedError):
            await reader.getmany(timeout_ms=int(PATIENCE_S * 1000))


async def test_a_client_certificate_is_a_login_too(secured: Secured) -> None:
    signed = secured.authority.sign("paystate")
    files = {
        "PAYSTATE_KAFKA_CERTIFICATE_FILE": str(signed.certificate),
        "PAYSTATE_KAFKA_KEY_FILE": str(signed.key),
    }
    async with administrator(loaded(secured.certificate() | files).kafka) as admin:
        assert set(Topic) <= set(await admin.list_topics())
    with pytest.raises(KafkaRefusedError, match="PAYSTATE_KAFKA_CERTIFICATE_FILE"):
        async with administrator(loaded(secured.certificate()).kafka):
            pass


REFUSALS = [
    ({"PAYSTATE_KAFKA_SASL_PASSWORD": "wrong"}, "refuses 'paystate' (PAYSTATE_KAFKA_SASL_USERNAME, "),
    ({"PAYSTATE_KAFKA_SASL_USERNAME": "nobody"}, "refuses 'nobody' (PAYSTATE_KAFKA_SASL_USERNAME, "),
    (
        {"PAYSTATE_KAFKA_SASL_MECHANISM": "PLAIN"},
        "does not take PLAIN over SASL_SSL (PAYSTATE_KAFKA_SASL_MECHANISM)",
    ),
    ({"PAYSTATE_KAFKA_CA_FILE": ""}, "has no certificate to be trusted (PAYSTATE_KAFKA_CA_FILE): "),
]


@pytest.mark.parametrize(("wrong", "says"), REFUSALS)
def test_a_refusal_is_one_line_that_names_what_to_set(secured: Secured, wrong: dict[str, str], says: str) -> None:
    environment = secured.login("paystate") | wrong
    told = run_paystate("events", "tail", "--count", "1", environment=environment)
    assert told.returncode == 1
    assert told.stderr.startswith("paystate: Kafka: 127.0.0.1:")
    assert says in told.stderr
    assert told.stderr.count("\n") == 1


async def test_every_client_is_told_why(secured: Secured) -> None:
    access = loaded(secured.login("paystate") | {"PAYSTATE_KAFKA_SASL_PASSWORD": "wrong"}).kafka
    for client in (
        consumer(access),
        idempotent_producer(access),
        transactional_producer(access, "paystate-lane-x"),
    ):
        with pytest.raises(KafkaRefusedError, match="refuses 'paystate'"):
            async with started(client):
                pass


async def test_a_certificate_of_another_name_is_not_trusted(secured: Secured) -> None:
    elsewhere = loaded(secured.login("paystate")).kafka
    by_name = replace(elsewhere, bootstrap=f"localhost:{secured.kafka.login_port}")
    with pytest.raises(KafkaRefusedError, match=r"Hostname mismatch, certificate is not valid for 'localhost'"):
        async with administrator(by_name):
            pass


async def test_a_plain_client_is_not_told_more_than_that_it_cannot_connect(secured: Secured) -> None:
    with pytest.raises(KafkaConnectionError, match="Unable to bootstrap"):
        async with administrator(KafkaAccess(f"127.0.0.1:{secured.kafka.login_port}")):
            pass


async def test_the_doctor_says_who_is_refused(secured: Secured, own_world: World) -> None:
    wrong = loaded(own_world.environment | {"PAYSTATE_KAFKA_SASL_PASSWORD": "wrong"})
    findings = {finding.name: finding for finding in await examine(wrong, wiring.database(wrong))}
    assert not findings["topics"].ok
    assert "refuses 'paystate'" in findings["topics"].detail
    assert "in brackets" in findings["topics"].advice


def test_an_engine_that_is_refused_goes_on_saying_so(secured: Secured, own_world: World, tmp_path: Path) -> None:
    wrong = {"PAYSTATE_KAFKA_SASL_PASSWORD": "wrong, and secret"}
    command = [sys.executable, "-c", "from service.cli import main; main()", "run"]
    log = tmp_path / "engine.log"
    engine = Child(command, log, environment=os.environ | own_world.environment | wrong)
    try:
        until = time.monotonic() + PATIENCE_S
        while (told := log.read_text()).count("refuses 'paystate'") < 2:
            assert time.monotonic() < until, told
            time.sleep(0.1)
    finally:
        engine.stop(signal.SIGTERM)
    assert "waiting_for_kafka" in told
    assert "SASL_SSL as paystate" in told
    assert "secret" not in told
