"""`make fuzz`: each target, or one, under the fuzzer for some seconds, and a line for each.

Run as `python -m tests.fuzz.run [TARGET …] --seconds 60`. The fuzzer is atheris, which is in no requirements file:
`pip install atheris` by hand. What is found is gone
afterwards, but for crashes; with `--keep` the corpus in `corpus/` is made anew, of the fewest inputs that reach all
that was reached (libFuzzer's merge), and is to be committed.
"""

import argparse
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from tests.fuzz.corpus import keep, kept

# Longer inputs only make it slow: no rule begins to hold behind so many bytes, but those about length.
MAX_INPUT_BYTES = 4_096
# A single input that takes so long is a bug, too.
TIMEOUT_S = 5
MEMORY_MB = 1_024
MERGE_S = 90
SHOWN_LINES = 60
MISSING = "fuzzing wants atheris, which is in no requirements file: pip install atheris (CPython 3.11 has a wheel)"


def engine(name: str, scratch: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs libFuzzer over a target, to its end. `scratch` is a folder for the script by which it starts itself."""
    script = scratch / "engine"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.fuzz.engine {name} "$@"\n', "ascii")
    script.chmod(0o700)
    limits = [f"-max_len={MAX_INPUT_BYTES}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MB}"]
    return subprocess.run(
        [script, *limits, *arguments],
        capture_output=True,
        env={**os.environ, "PAYSTATE_FUZZ_SCRIPT": str(script)},
        text=True,
        errors="replace",
        check=False,
    )


def fuzz(name: str, seeds: list[bytes], seconds: int, *, keeps: bool) -> bool:
    """Fuzzes a target and prints its line. False when something crashed; the input is then printed, too."""
    with tempfile.TemporaryDirectory() as scratch:
        at = Path(scratch)
        found, merged, crashes = at / "found", at / "merged", at / "crashes"
        for folder in (found, merged, crashes):
            folder.mkdir()
        for each in (*seeds, *kept(name)):
            (found / sha256(each).hexdigest()).write_bytes(each)
        began = time.monotonic()
        done = engine(
            name,
            at,
            f"-max_total_time={seconds}",
            "-print_final_stats=1",
            f"-artifact_prefix={crashes}/",
            str(found),
        )
        line = in_words(done.stderr, time.monotonic() - began)
        crashed = sorted(crashes.iterdir())
        print(f"{name:<26}{line}, {len(crashed)} crashes, {len(list(found.iterdir()))} inputs", flush=True)
        for crash in crashed:
            print(f"  {crash.name} {crash.read_bytes()!r}")
        if crashed or done.returncode:
            # atheris prints the traceback to standard output, and libFuzzer its own words to the other.
            told = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if "Instrumenting" not in line]
            print("\n".join(told[:SHOWN_LINES]))
            return False
        if keeps:
            engine(name, at, "-merge=1", f"-max_total_time={MERGE_S}", str(merged), str(found))
            fewest = [each.read_bytes() for each in merged.iterdir()]
            assert fewest, "libFuzzer has not merged"
            keep(name, fewest)
    return True


def in_words(said: str, seconds: float) -> str:
    """LibFuzzer's last figures. Of an interrupted run it has told fewer."""
    runs = re.findall(r"stat::number_of_executed_units: (\d+)", said) or re.findall(r"^#(\d+)", said, re.MULTILINE)
    covered = re.findall(r"cov: (\d+) ft: (\d+)", said)
    edges, features = covered[-1] if covered else ("?", "?")
    executions = int(runs[-1]) if runs else 0
    per_s = executions / seconds
    return f"{seconds:6.1f} s {executions:>9} executions {per_s:>8.0f}/s cov {edges:>5} ft {features:>6}"


def main() -> int:
    """Runs them all, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--keep", action="store_true", help="write down the smallest corpus that reaches as much")
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit(MISSING)
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - takes seconds, and is for nothing without atheris

    if unknown := set(given.targets) - TARGETS.keys():
        parser.error(f"no target is named {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    names = given.targets or list(TARGETS)
    results = [fuzz(each, list(TARGETS[each].seeds), given.seconds, keeps=given.keep) for each in names]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
