"""A disk that is small enough to be filled."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from service.dev.child import ServerFailedError

SIZE_MB = 400


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """A file system of its own at `folder`. Raises ServerFailedError where nobody may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=755", "paystate", str(folder)]
    done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerFailedError(f"a full disk needs one that can be mounted, as root can: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
