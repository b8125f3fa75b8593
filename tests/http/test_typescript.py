"""The npm package of the order API: its types are those of the API, and its wrapper says what it was answered."""

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from service.http.app import create_app
from service.http.bridge import Bridge
from service.http.callers import Callers
from service.http.order_api import OrderApi
from tests.peers.environments import ROOT, node_packages

SOURCE = ROOT / "service" / "http" / "typescript"
PATIENCE_S = 120
SAMPLE = """
import { orders, OrdersError, type NewOrder, type OrderMade } from "paystate-orders";

const shop = orders({ baseUrl: "https://shop.example", request: (wish) => my.request(wish) });
declare const my: { request(wish: { url: string; method: "GET" | "POST" }): void };
const order: NewOrder = { kind: "payment", profile: "mall", amount_minor: 4500, currency: "CNY", subject: "A mug" };

export async function buy(): Promise<string | null> {
  const made: OrderMade = await shop.create(order, { idempotencyKey: "cart-7" });
  await shop.clientResult(made.order_id, "9000");
  await shop.complete(made.order_id, { amount_minor: 100, currency: "CNY" });
  await shop.refund(made.order_id, { amount_minor: 100, currency: "CNY" }).catch((error: unknown) => {
    if (error instanceof OrdersError) console.log(error.status, error.problem?.detail);
  });
  await shop.cancel(made.order_id);
  const shown = await shop.get(made.order_id, { orderStr: true });
  const minor: number = shown.taken_minor;
  console.log(minor, shown.timeline[0]?.state);
  return made.order_str;
}
"""
# Each is a mistake that the types have to find.
MISTAKES = (
    'shop.create({ ...order, amount_minor: "45.00" });',
    'shop.create({ ...order, kind: "gift" });',
    'shop.complete("o1", { amount_minor: 100 });',
    "shop.clientResult();",
)


@pytest.fixture(scope="module")
def place() -> Path:
    """The package with its tools, and the sources as they are now."""
    made = node_packages("the order API's npm package", SOURCE)
    for each in SOURCE.iterdir():
        if each.is_file():
            shutil.copy(each, made)
    return made


def document() -> dict[str, Any]:
    async def nothing(*_: object) -> None:
        raise AssertionError("nothing is called")

    bridge = Bridge({}, nothing, lambda: datetime.now(UTC))
    return create_app(bridge, cast("OrderApi", None), Callers(nothing, keys_on_loopback=True)).openapi()


def run(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def test_the_types_are_those_of_the_api(place: Path, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document()), "utf-8")
    made = place / "openapi.new.d.ts"
    ended = run(place, "npm", "run", "types", "--", str(tmp_path / "openapi.json"), "-o", str(made))
    assert ended.returncode == 0, ended.stderr
    said = f"the API has changed: cp {made.relative_to(ROOT)} {(SOURCE / 'openapi.d.ts').relative_to(ROOT)}"
    assert made.read_text("utf-8") == (SOURCE / "openapi.d.ts").read_text("utf-8"), said


@pytest.fixture
def compiled(place: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    folder = place / "usage"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "node_modules").mkdir(parents=True)
    (folder / "node_modules" / "paystate-orders").symlink_to(place)

    def tsc(text: str) -> subprocess.CompletedProcess[str]:
        (folder / "usage.ts").write_text(text, "utf-8")
        options = (
            "--noEmit",
            "--strict",
            "--module",
            "esnext",
            "--moduleResolution",
            "bundler",
            "--lib",
            "es2022,dom",
        )
        return run(place, "npx", "--no-install", "tsc", *options, "usage/usage.ts")

    return tsc


def test_a_shop_compiles(compiled: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    ended = compiled(SAMPLE)
    assert ended.returncode == 0, ended.stdout


def test_mistakes_do_not_compile(compiled: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    ended = compiled(SAMPLE + "\n".join(MISTAKES))
    first = SAMPLE.count("\n") + 1
    lines = {
        int(line.partition("(")[2].partition(",")[0]) for line in ended.stdout.splitlines() if "error TS" in line
    }
    assert lines == set(range(first, first + len(MISTAKES))), ended.stdout


def test_it_can_be_packed(place: Path) -> None:
    ended = run(place, "npm", "pack", "--dry-run", "--json", "--ignore-scripts")
    assert ended.returncode == 0, ended.stderr
    (packed,) = json.loads(ended.stdout)
    assert {each["path"] for each in packed["files"]} == {
        "README.md", "index.d.ts", "index.js", "openapi.d.ts", "package.json",
    }  # fmt: skip


WRAPPED = """
import { orders } from "paystate-orders";
const answers = JSON.parse(process.argv[2]);
const asked = [], told = [];
const shop = orders({
  baseUrl: "https://shop.example/",
  headers: { authorization: "Bearer k" },
  request: ({ success, fail, ...wish }) => {
    asked.push(wish);
    const [how, answer] = answers.shift();
    ({ success, fail })[how](answer);
  },
});
for (const call of [
  () => shop.create({ kind: "payment" }, { idempotencyKey: "k1" }),
  () => shop.get("o 1", { orderStr: true }),
  () => shop.cancel("o1"),
  () => shop.clientResult("o1", 9000),
  () => shop.refund("o1", {}),
]) {
  told.push(await call().catch(({ name, status, problem, message }) => ({ name, status, problem, message })));
}
console.log(JSON.stringify({ asked, told }));
"""


def test_the_wrapper_asks_and_tells(place: Path) -> None:
    usage = place / "usage"
    (usage / "node_modules").mkdir(parents=True, exist_ok=True)
    link = usage / "node_modules" / "paystate-orders"
    link.unlink(missing_ok=True)
    link.symlink_to(place)
    (usage / "wrapped.mjs").write_text(WRAPPED, "utf-8")
    problem = {"status": 404, "detail": "there is no such order"}
    answers = [
        ("success", {"status": 201, "data": {"order_id": "o1"}}),
        ("success", {"status": 200, "data": '{"state": "paid"}'}),
        ("fail", {"status": 404, "data": problem}),
        ("fail", {"error": 13, "errorMessage": "timeout"}),
        ("success", {"status": 502, "data": "<html>"}),
    ]
    ended = run(place, "node", "usage/wrapped.mjs", json.dumps(answers))
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    made, shown, missing, lost, broken = found["told"]
    assert (made, shown) == ({"order_id": "o1"}, {"state": "paid"})
    assert missing == {"name": "OrdersError", "status": 404, "problem": problem, "message": problem["detail"]}
    assert (lost["status"], lost["message"]) == (0, "timeout")
    assert (broken["status"], broken["message"]) == (502, "HTTP 502")
    first, second, *_ = found["asked"]
    assert (first["method"], first["url"], first["data"]) == (
        "POST", "https://shop.example/v1/orders", '{"kind":"payment"}',
    )  # fmt: skip
    assert first["headers"] == {
        "authorization": "Bearer k", "content-type": "application/json", "idempotency-key": "k1",
    }  # fmt: skip
    assert (second["method"], second["url"]) == ("GET", "https://shop.example/v1/orders/o%201?order_str=true")
    assert "data" not in second
