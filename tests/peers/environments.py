"""The peers' environments in `.peers/`: made at the first use from their locks, and anew when a lock changes."""

import fcntl
import os
import shutil
import subprocess
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FOLDER = ROOT / ".peers"
PATIENCE_S = 240


def python_peer(name: str) -> list[str]:
    """The command that runs the driver of a peer in its environment."""
    lock = HERE / f"{name}.txt"
    place = FOLDER / name
    uv = find_uv_bin()
    # What is built from source is built with our own setuptools, which the lock of the project holds.
    install = ("--require-hashes", "--build-constraint", str(ROOT / "requirements-dev.txt"), "-r", str(lock))
    _want(
        name,
        place,
        lock,
        (uv, "venv", "--quiet", "--python", sys.executable, str(place)),
        (uv, "pip", "install", "--quiet", "--python", str(place), *install),
    )
    driver = HERE / "drivers" / f"{name.replace('-', '_')}.py"
    return [*in_zone("CST-8"), str(place / "bin" / "python"), str(driver)]


def node_peer(name: str) -> list[str]:
    """The same of a peer that runs on node."""
    place = node_packages(name, HERE / "npm")
    # Beside its packages: node looks for them from where the driver is.
    driver = Path(shutil.copy(HERE / "npm" / f"{name.replace('-', '_')}.js", place))
    return [*in_zone("Asia/Shanghai"), "node", str(driver)]


def node_packages(name: str, source: Path) -> Path:
    """A copy of the folder with what its package-lock.json names installed; skips where there is no node."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(f"{name} needs node and npm, and they are not installed")
    place = FOLDER / source.name
    _want(
        name,
        place,
        source / "package-lock.json",
        ("cp", "-R", str(source), str(place)),
        (npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(place)),
    )
    return place


def in_zone(name: str) -> list[str]:
    """What puts a command into a time zone: the peers write the host's time where the wallet reads Beijing's."""
    return ["env", f"TZ={name}"]


def _want(*making: Any) -> None:
    """Without a network a developer goes on without the peer; CI has one, and may not."""
    problem = _problem(*making)
    if problem and os.environ.get("CI") == "true":
        pytest.fail(problem)
    elif problem:
        pytest.skip(problem)


# Once a run: what cannot be fetched now will not be for the next test, and finding out may take long.
@cache
def _problem(name: str, place: Path, lock: Path, *commands: tuple[str, ...]) -> str:
    """Makes the environment, if it is not there as the lock has it; says why it cannot be made."""
    FOLDER.mkdir(exist_ok=True)
    # Tests that run side by side want the same environments.
    with (FOLDER / ".lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        return _made(name, place, lock, commands)


def _made(name: str, place: Path, lock: Path, commands: tuple[tuple[str, ...], ...]) -> str:
    stamp = place / ".stamp"
    digest = sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text("ascii") == digest:
        return ""
    shutil.rmtree(place, ignore_errors=True)
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace")
            return f"the environment of {name} cannot be made: {said[-500:]}"
        except subprocess.TimeoutExpired:
            return f"the environment of {name} was not made within {PATIENCE_S} s"
    stamp.write_text(digest, "ascii")
    return ""
