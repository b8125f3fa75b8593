"""The commands that people and scripts use: their answers, their exit codes, and what they say when it is no."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest

from schemas.vocabulary import State, Topic
from service.dev.child import free_port
from service.kafka.partition import lane_of
from service.sandbox.demo.shop import Shop
from service.sandbox.demo.world import World
from tests.integration.conftest import Paystate, answer, run_paystate

pytestmark = pytest.mark.integration

PAYSTATE = [sys.executable, "-c", "from service.cli import main; main()"]
NOWHERE = {"PAYSTATE_POSTGRES_DSN": "postgresql://u:hush@127.0.0.1:9/x", "PAYSTATE_KAFKA_BOOTSTRAP": "127.0.0.1:9"}


def _line(order_id: str, **changes: object) -> str:
    value = {
        "type": "order.created",
        "event_id": f"{order_id}-1",
        "order_id": order_id,
        "occurred_at": "2026-11-24T08:00:00Z",
        "kind": "payment",
        "amount_minor": 100,
        "currency": "CNY",
        "profile": "sandbox",
        "subject": "A mug",
    }
    return json.dumps({"topic": Topic.ORDERS, "value": value | changes}) + "\n"


async def test_events_are_emitted_from_a_file_and_seen_in_the_tail(
    world: World, shop: Shop, paystate: Paystate, tmp_path: Path
) -> None:
    file = tmp_path / "orders.ndjson"
    file.write_text(_line("emitted_1") + "\n" + _line("emitted_2"), encoding="utf-8")
    assert answer(paystate("--output", "json", "events", "emit", str(file))) == {"produced": 2}
    await shop.seen("emitted_1", "issue")
    await shop.seen("emitted_2", "issue")
    tail = paystate("events", "tail", "--from", "beginning", "--count", "3")
    assert len([json.loads(line)["lane_seq"] for line in tail.stdout.splitlines()]) == 3

    shown = answer(paystate("orders", "show", "emitted_1", "--output=json"))
    assert shown["order"]["state"] == "paying"
    assert shown["order"]["amount_minor"] == 100
    assert shown["operations"] == []
    assert shown["timeline"][0]["cause_event_id"] == "emitted_1-1"
    text = paystate("orders", "show", "emitted_1")
    assert "Order emitted_1 (payment of 1.00 CNY) is waiting for the buyer." in text.stdout


async def test_an_order_with_operations_is_shown_with_them(shop: Shop, paystate: Paystate) -> None:
    order_str = await shop.create("shown", "preauth", 1_000, "A bicycle")
    await shop.buyer_confirms(order_str)
    await shop.complete("shown", 300)
    await shop.state("shown", State.CAPTURED)
    shown = answer(paystate("orders", "show", "shown", "--output", "json"))
    assert shown["operations"][0] | {"began_at": "", "changed_at": ""} == {
        "id": "shown__C1",
        "kind": "capture",
        "amount_minor": 300,
        "state": "succeeded",
        "attempts": 1,
        "complete": True,
        "reason": "",
        "began_at": "",
        "changed_at": "",
    }
    text = paystate("orders", "show", "shown").stdout
    assert "shown__C1  capture 3.00  succeeded, 1 call(s)" in text


def test_events_can_come_from_standard_input_and_name_their_own_key(world: World, paystate: Paystate) -> None:
    callback = json.dumps({"topic": Topic.CALLBACKS, "key": "stdin_1", "value": {"type": "wallet.callback"}})
    done = paystate("events", "emit", "-", stdin=callback)
    assert (done.returncode, done.stdout) == (0, "1 produced\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "standard input, line 1: not JSON"),
        ('{"topic": "orders.event", "value": {}}', "topic should be one of orders.events"),
        ('{"topic": "orders.events", "value": 1}', "value should be a JSON object"),
        ('{"topic": "orders.events", "value": {}}', "has no order_id to key it by"),
        ('{"topic": "orders.events", "topic": "x", "value": {}}', "the key 'topic' is repeated"),
    ],
)
def test_a_file_with_a_bad_line_is_not_sent_at_all(paystate: Paystate, line: str, says: str) -> None:
    done = paystate("events", "emit", "-", stdin=f"{line}\n{_line('never')}")
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_lanes_are_listed_with_their_owner_and_lag(world: World, paystate: Paystate) -> None:
    rows = answer(paystate("lanes", "--output", "json"))
    assert [row["lane"] for row in rows] == [0, 1, 2, 3]
    assert {row["status"] for row in rows} == {"owned"}
    assert len({row["owner"] for row in rows}) == 1
    assert all(sum(row["counters"].values()) <= sum(row["offsets"]) for row in rows)
    assert all(row["lag"] >= 0 for row in rows)
    assert "owned" in paystate("lanes").stdout


def test_the_doctor_finds_a_running_installation_well(world: World, paystate: Paystate) -> None:
    document = answer(paystate("doctor", "--output", "json"))
    assert {check["name"] for check in document["checks"]} == {
        "settings",
        "postgres",
        "clocks",
        "schema",
        "lanes",
        "topics",
        "wallet sandbox",
        "wallet sandbox_plus",
    }
    assert document["ok"]


def test_the_doctor_says_what_to_do(world: World, paystate: Paystate) -> None:
    done = paystate("doctor", PAYSTATE_LANES="5", PAYSTATE_KAFKA_BOOTSTRAP="127.0.0.1:9")
    assert done.returncode == 1
    assert "-> set PAYSTATE_LANES to 4" in done.stdout
    assert "-> start Kafka" in done.stdout
    done = paystate("doctor", **NOWHERE, PAYSTATE_LEASE_TTL="9")
    assert "-> start Postgres" in done.stdout
    assert "-> is PAYSTATE_LEASE_TTL_S meant?" in done.stdout


def test_the_configuration_is_shown_without_its_secrets(world: World, paystate: Paystate) -> None:
    secret = tomllib.loads((world.logs / "paystate.toml").read_text())["profiles"]["sandbox"]["private_key"]
    done = paystate("config", "show", PAYSTATE_POSTGRES_DSN="postgresql://me:hush@127.0.0.1/db?password=hush2")
    assert done.returncode == 0
    assert "postgres_dsn = 'postgresql://me:***@127.0.0.1/db?password=***'" in done.stdout
    assert "hush" not in done.stdout
    assert secret[:40] not in done.stdout
    document = answer(paystate("config", "show", "--output", "json"))
    assert document["profiles"]["sandbox"]["private_key"] == "**********"
    assert document["lanes"] == 4


def test_verify_says_no_when_something_is_missing(world: World, paystate: Paystate) -> None:
    assert answer(paystate("verify", "--output", "json"))["ok"]
    done = paystate("verify", "--wait-s", "1", PAYSTATE_KAFKA_BOOTSTRAP="127.0.0.1:9")
    assert done.returncode == 3
    assert "NO  consumers_see_every_entry_once: Kafka cannot be read" in done.stdout
    document = json.loads(paystate("verify", "--output", "json", PAYSTATE_KAFKA_BOOTSTRAP="127.0.0.1:9").stdout)
    assert [check["name"] for check in document["checks"] if not check["ok"]] == ["consumers_see_every_entry_once"]


def test_what_is_made_already_is_left_alone(world: World, paystate: Paystate) -> None:
    assert answer(paystate("migrate", "--output", "json")) == {"migrated": True, "lanes": 4}
    assert answer(paystate("topics", "create", "--output", "json")) == {"created": []}
    assert paystate("topics", "create").stdout == "all topics are there already\n"


@pytest.mark.parametrize(
    ("arguments", "settings", "says", "code"),
    [
        (["migrate"], {"PAYSTATE_LANES": "5"}, "made for 4 lanes, and PAYSTATE_LANES says 5: set it to 4", 1),
        (["topics", "create"], {"PAYSTATE_LANES": "5"}, "has 4 partitions, and there are 5 lanes", 1),
        (["run"], {"PAYSTATE_LANES": "5"}, "set it to 4", 1),
        (["lanes"], NOWHERE, "Postgres cannot be used (PAYSTATE_POSTGRES_DSN)", 1),
        (["orders", "show", "o1"], NOWHERE, "Postgres cannot be used", 1),
        (["verify"], NOWHERE, "Postgres cannot be used (PAYSTATE_POSTGRES_DSN)", 3),
        (["verify"], {"PAYSTATE_POSTGRES_DSN": "postgresql://h/x?sslmode=ever"}, "PAYSTATE_POSTGRES_DSN", 2),
        (["events", "tail"], NOWHERE, "Kafka cannot be used (PAYSTATE_KAFKA_BOOTSTRAP)", 1),
        (["serve", "--port", "0"], NOWHERE, "Kafka cannot be used", 1),
        (["orders", "show", "no_such"], {}, "order no_such is not known", 1),
        (["orders", "show", "a__b"], {}, "is not an order id", 2),
        (["orders", "show"], {}, "Missing argument 'ID'. (see: paystate orders show --help)", 2),
        (["nonsense"], {}, "No such command 'nonsense'", 2),
        (["lanes"], {"PAYSTATE_LANES": "many"}, "PAYSTATE_LANES: ", 2),
        (["lanes", "--config", "/nowhere.toml"], {}, "cannot read /nowhere.toml", 2),
        (["events", "emit", "/nowhere"], {}, "cannot read /nowhere", 2),
        (["lanes"], {"PAYSTATE_POSTGRES_ROLE": "nobody_such"}, 'role "nobody_such" does not exist', 1),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_done_is_said_in_one_line(
    world: World, paystate: Paystate, arguments: list[str], settings: dict[str, str], says: str, code: int
) -> None:
    done = paystate(*arguments, **settings)
    assert done.returncode == code, done.stderr
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_schemas_and_pictures_are_written(tmp_path: Path) -> None:
    written = answer(run_paystate("schema", "export", str(tmp_path), "--output", "json", environment={}))
    assert str(tmp_path / "orders.events" / "order.created.schema.json") in written["written"]
    assert run_paystate("schema", "export", str(tmp_path), environment={}).stdout.count("\n") == 11
    described = json.loads((tmp_path / "asyncapi.json").read_text("utf-8"))
    assert (described["info"]["title"], described["info"]["version"]) == ("paystate", version("paystate"))
    graph = run_paystate("machine", "graph", "--format", "mermaid", environment={}).stdout
    assert graph.startswith("stateDiagram-v2\n")
    assert "| trigger |" in run_paystate("machine", "graph", "--format", "matrix", environment={}).stdout
    document = answer(run_paystate("machine", "graph", "--output", "json", environment={}))
    assert document == {"format": "mermaid", "graph": graph}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A sandbox wallet of its own, by the command."""
    command = [*PAYSTATE, "sandbox", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, ready = process.stdout.readline().strip(), process.stdout.readline()
        assert ready == "READY\n"
        yield url, tmp_path
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_sandbox_command_writes_a_profile_that_the_others_can_use(sandbox: tuple[str, Path]) -> None:
    url, folder = sandbox
    assert httpx2.get(f"{url}/sandbox/ledger", trust_env=False).json() == []
    document = answer(
        run_paystate(
            "--config", str(folder / "paystate.toml"), "config", "show", "--output", "json", environment={}
        )
    )
    assert document["profiles"]["sandbox"]["gateway_url"] == f"{url}/gateway.do"


def test_a_port_that_is_taken_is_named(sandbox: tuple[str, Path], world: World, paystate: Paystate) -> None:
    port = sandbox[0].rpartition(":")[2]
    assert f"cannot run on port {port}: Address already in use" in paystate("sandbox", "--port", port).stderr
    assert f"cannot listen on 127.0.0.1:{port}" in paystate("serve", "--port", port).stderr
    assert f"cannot listen on {port}" in paystate("run", PAYSTATE_METRICS_PORT=port).stderr


def test_an_engine_shows_its_metrics(world: World) -> None:
    port = free_port()
    command = [*PAYSTATE, "run"]
    environment = (
        os.environ | world.environment | {"PAYSTATE_METRICS_PORT": str(port), "PAYSTATE_LOG_LEVEL": "error"}
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        # It gets its share of the lanes from the engine that has them.
        assert process.stdout.readline() == "READY\n"
        text = httpx2.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        assert "paystate_lanes_owned 2.0" in text or "paystate_lanes_owned 1.0" in text
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


async def test_the_lane_of_an_order_can_be_worked_out_by_anyone(shop: Shop, world: World) -> None:
    await shop.create("which_lane", "payment", 100, "A mug")
    assert shop.events["which_lane"][0]["lane"] == lane_of("which_lane", world.config.settings.lanes)


def test_the_demo_ends_well(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PAYSTATE, "demo", "--once"],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verified: 7 orders" in done.stdout
    assert "the wallet's ledger agrees" in done.stdout
    assert list(tmp_path.iterdir()) == []
