"""The rules of the house: small files, no clock or dice out of place, no loose ends, and true pictures."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.vocabulary import State, Trigger
from statemachine.diagram import mermaid
from statemachine.dispositions import Fate, disposition_of, matrix

ROOT = Path(__file__).parent.parent
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 60

SOURCES = [
    path.relative_to(ROOT).as_posix()
    for package in ("schemas", "statemachine", "service")
    for path in sorted((ROOT / package).rglob("*.py"))
]
PACKAGES = [
    path.parent.relative_to(ROOT).as_posix()
    for package in ("schemas", "statemachine", "service", "tests")
    for path in sorted((ROOT / package).rglob("__init__.py"))
]
EVERY_SOURCE = pytest.mark.parametrize("source", SOURCES)


def parsed(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text("utf-8"), source)


# --------------------------------------------------------------------------------------------------------- sizes


@EVERY_SOURCE
def test_a_file_fits_into_a_readers_head(source: str) -> None:
    assert len((ROOT / source).read_text("utf-8").splitlines()) <= MOST_LINES_OF_A_FILE


@EVERY_SOURCE
def test_a_function_fits_on_a_page(source: str) -> None:
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MOST_LINES_OF_A_FUNCTION, f"{node.name}, line {node.lineno}: {lines} lines"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_lives_there(package: str) -> None:
    said = ast.get_docstring(parsed(f"{package}/__init__.py"))
    assert said, package
    assert len(said.split()) >= 4, said


# ---------------------------------------------------------------------------------------------- time and chance

TIME_AND_CHANCE = re.compile(
    r"(time|random|uuid|uuid_utils|secrets)\.\w+"
    r"|os\.(urandom|getrandom)"
    r"|datetime\.(datetime|date)\.(now|utcnow|today)"
)
# Everywhere else they are arguments, so that a test or a simulation decides them.
MAY_ASK_THE_MACHINE = (
    "service/clock.py",
    "service/wiring.py",
    # For people, and to wait for processes.
    "service/cli/",
    "service/dev/",
    "service/sandbox/demo/",
    # The sandbox wallet's own wiring: its dice, from a seed where one is given.
    "service/sandbox/app.py",
)
# As the type of an argument: dice that somebody else has made.
TYPES = ("random.Random", "uuid.UUID")


def names_of(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: {"dt": "datetime.datetime"}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                whole = each.name if each.asname else each.name.partition(".")[0]
                names[each.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return names


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`clock.now` in full, or nothing when it begins with what is no import."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return f"{before}.{node.attr}" if before else ""
    return names.get(node.id, "") if isinstance(node, ast.Name) else ""


def asks_the_machine(tree: ast.Module) -> Iterator[str]:
    """Each place where time or chance is taken from the machine, called or handed on to be called."""
    names = names_of(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            whole = dotted(node, names)
            is_type = whole in TYPES and id(node) not in called
            if TIME_AND_CHANCE.fullmatch(whole) and not is_type:
                yield f"{whole}, line {node.lineno}"
        elif isinstance(node, ast.ImportFrom) and any(each.name == "*" for each in node.names):
            yield f"from {node.module} import *, line {node.lineno}"


@pytest.mark.parametrize("source", [each for each in SOURCES if not each.startswith(MAY_ASK_THE_MACHINE)])
def test_time_and_chance_are_arguments(source: str) -> None:
    assert list(asks_the_machine(parsed(source))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.monotonic()",
        "import time as t\nx = t.time",
        "from time import sleep\nsleep(1)",
        "from datetime import UTC, datetime\ndatetime.now(UTC)",
        "from datetime import datetime as dt\nfield(default_factory=dt.utcnow)",
        "import datetime\ndatetime.date.today()",
        "def f():\n    import uuid\n    return uuid.uuid4()",
        "from uuid_utils import uuid7\nids = map(uuid7, [])",
        "import random\nrandom.Random()",
        "import random\ndef f(rng: random.Random = random.Random(7)): ...",
        "import secrets\nsecrets.token_hex()",
        "import os\nos.urandom(8)",
        "from random import *",
    ],
)
def test_the_rule_about_time_and_chance_finds_what_it_forbids(code: str) -> None:
    assert len(list(asks_the_machine(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "import random\ndef roll(rng: random.Random) -> float:\n    return rng.random()",
        "def f(clock):\n    return clock.now()",
        "import asyncio\nasyncio.get_running_loop().time()",
        "from datetime import datetime\ndatetime.fromtimestamp(0)",
        "time = 7\nrecord.time + time",
    ],
)
def test_the_rule_about_time_and_chance_leaves_the_rest_alone(code: str) -> None:
    assert list(asks_the_machine(ast.parse(code))) == []


# ---------------------------------------------------------------------------------------------------- loose ends

# Written so that they do not find themselves.
SOMEBODYS_FOLDER = re.compile(r"/(?:home|Users|root)/")
PACKAGE_HOST = re.compile(r"(?<!no-emit-)index-ur[l]|pypi\.or[g]|pythonhosted\.or[g]|registry\.npmj[s]")
LEFT_FOR_LATER = re.compile(r"\b(?:TO[D]O|FIX[M]E)\b")


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """The texts that are under version control, by path."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: nothing says which files are ours")
    # Whoever owns the folder: in a container that is often somebody else.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    texts = {}
    for name in listed.rstrip("\0").split("\0"):
        path = ROOT / name
        # A file that was deleted and not yet committed is listed, too.
        content = path.read_bytes() if path.is_file() else b"\0"
        if b"\0" not in content:
            texts[name] = content.decode("utf-8", "replace")
    assert "tests/conftest.py" in texts
    return texts


def found(pattern: re.Pattern[str], texts: dict[str, str], ending: str = "") -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts.items()
        if name.endswith(ending) and pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_path_of_a_developers_machine_is_written_down(tracked: dict[str, str]) -> None:
    assert found(SOMEBODYS_FOLDER, tracked) == []


def test_any_package_index_serves(tracked: dict[str, str]) -> None:
    assert found(PACKAGE_HOST, tracked) == []


def test_nothing_is_left_for_later(tracked: dict[str, str]) -> None:
    assert found(LEFT_FOR_LATER, tracked, ".py") == []


def test_the_rules_about_loose_ends_find_what_they_forbid() -> None:
    machine, host, later = (f"x = '{'/'}home/ann/x'", f"{'index'}-url = https://a.example", f"# {'TO'}{'DO'} later")
    for pattern, line in ((SOMEBODYS_FOLDER, machine), (PACKAGE_HOST, host), (LEFT_FOR_LATER, later)):
        assert found(pattern, {"a.py": f"first\n{line}\n"}) == [f"a.py:2: {line}"]
    assert not PACKAGE_HOST.search(f"--no-emit-{'index'}-url")


# --------------------------------------------------------------------------------------------------- the runbook

RUNBOOK = (ROOT / "deploy" / "RUNBOOK.md").read_text("utf-8")
IN_PRODUCTION = [source for source in SOURCES if not source.startswith(("service/sandbox/", "service/dev/"))]
# The last one is what a level that is chosen first is called.
SAID_AS_ERROR = ("log.error", "log.exception", "log.critical", "tell")


def told_as_errors(source: str) -> set[str]:
    """The events that a module may log as errors."""
    return {
        ast.literal_eval(node.args[0])
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in SAID_AS_ERROR
    }


def test_an_operator_finds_every_error_of_the_log_in_the_runbook() -> None:
    page = RUNBOOK.partition("\n## What the log says as an error\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    listed = [event for row in rows for event in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(set[str]().union(*map(told_as_errors, IN_PRODUCTION)))


def test_every_link_into_the_runbook_leads_to_a_page() -> None:
    titles = re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    pages = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    readme = (ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\]\(#([^)]+)\)", RUNBOOK) + re.findall(r"RUNBOOK\.md#([^)]+)\)", readme)
    assert links
    assert set(links) <= pages


# ----------------------------------------------------------------------------------------------------- the table


def test_whatever_happens_in_whatever_state_has_an_answer() -> None:
    answers = matrix()
    assert answers.keys() == {(state, trigger) for state in State for trigger in Trigger}
    for (state, trigger), answer in answers.items():
        assert answer == disposition_of(state, trigger)
        assert isinstance(answer.fate, Fate), (state, trigger)
        # Where the table has a row it leads somewhere, and where it has none nowhere.
        assert (answer.fate is Fate.FIRES) is bool(answer.dests), (state, trigger)
        assert set(answer.dests) <= set(State)


def test_every_state_can_be_reached_and_every_trigger_moves_something() -> None:
    fires = {pair: answer.dests for pair, answer in matrix().items() if answer.dests}
    assert {trigger for _, trigger in fires} == set(Trigger) - {Trigger.CREATE}
    reached = {State.CREATED}
    while more := {dest for (state, _), dests in fires.items() if state in reached for dest in dests} - reached:
        reached |= more
    assert reached == set(State)


BEGIN, END = "<!-- lifecycle: made by `paystate machine graph` -->", "<!-- end of lifecycle -->"


def test_the_readmes_picture_is_the_table() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert (readme.count(BEGIN), readme.count(END)) == (1, 1)
    shown = readme.partition(f"{BEGIN}\n")[2].partition(END)[0]
    assert shown.strip() == f"```mermaid\n{mermaid()}```"
