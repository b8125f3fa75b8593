"""`make mutants`: plants each bug, and says which seed found it. A bug that none finds fails the run.

Run as `python -m tests.simulation.hunt [--within 2000] [NAME …]`. Each bug has a process of its own, because it
has to be planted before anything is imported: that one is `python -m tests.simulation.hunt --one NAME`.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.simulation.mutants import ALL
from tests.simulation.planting import Mutant, plant

WITHIN = 2_000
# A mutant that hangs has been found, too, but nobody should have to wait for it.
PATIENCE_S = 900


def find(mutant: Mutant, within: int) -> int:
    """Plants the bug in this process and runs seeds; answers 0 when one has found it."""
    plant(mutant)
    from tests.simulation.plan import plan_of  # noqa: PLC0415 - after planting
    from tests.simulation.run import failure_of  # noqa: PLC0415

    for seed in range(within):
        _, error = failure_of(plan_of(seed))
        if error is not None:
            print(f"seed {seed}: {type(error).__name__}: {error}".partition("\n")[0][:150])
            return 0
    print(f"not within {within} seeds")
    return 1


def hunt(mutant: Mutant, within: int) -> tuple[bool, str]:
    """Does so in a process of its own; whether it was found, and what was said of it."""
    command = [sys.executable, "-m", "tests.simulation.hunt", "--within", str(within), "--one", mutant.name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return True, f"hangs for {PATIENCE_S} s"
    lines = done.stdout.strip() or done.stderr.strip()[-300:]
    return done.returncode == 0 and lines.startswith("seed "), lines


def main() -> int:
    """Answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--within", type=int, default=WITHIN)
    parser.add_argument("--one", help="plant this one here")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    if given.one:
        return find(next(mutant for mutant in ALL if mutant.name == given.one), given.within)
    wanted = [mutant for mutant in ALL if not given.names or mutant.name in given.names]
    alive = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hunts = pool.map(lambda mutant: hunt(mutant, given.within), wanted)
        for mutant, (is_found, said) in zip(wanted, hunts, strict=True):
            alive += not is_found
            print(f"{'found' if is_found else 'ALIVE'}  {mutant.name}: {mutant.breaks}\n       {said}", flush=True)
    print(f"{len(wanted) - alive} of {len(wanted)} planted bugs were found")
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main())
