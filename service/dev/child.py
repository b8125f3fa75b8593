"""A child process that ends with its parent, and what is needed to wait for it."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from service.dev import unprivileged

# Longer than `paystate serve` waits for its requests.
STOP_S = 20.0
PREDECESSOR_S = 10.0
POLL_S = 0.05
LOG_TAIL_LINES = 15
LOG_TAIL_BYTES = 16_384

# Below the range from which Linux picks ports for outgoing connections: a client that tries again and again
# to reach a server that is down could otherwise be given the server's own port.
PORTS = range(18_000, 30_000)
# Processes that begin together have numbers that follow on one another; their ports are to lie far apart.
_next_port = itertools.count(os.getpid() * 7_417)


class ServerFailedError(Exception):
    """A server did not come up; the message says why and holds the end of its log."""


class Child:
    """A server process: started, waited for, stopped, killed.

    The kernel ends it (`death_signal`) with the *thread* that started it: let that one live long enough.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        uid: int | None = None,
    ) -> None:
        self.log = log
        shim = [sys.executable, "-I", "-S", unprivileged.__file__, str(os.getpid()), str(int(death_signal))]
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                [*shim, unprivileged.NO_CHANGE if uid is None else str(uid), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                # A Ctrl-C at the terminal is for us; we stop our children in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The server's own process id: the shim has become the server."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.poll()

    def wait_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Returns when `ready` says so. Raises ServerFailedError, with the end of the log."""
        until = time.monotonic() + seconds
        while True:
            is_ready = ready()
            # Asked second: a server that could not get its port has ended while another answers there.
            if self.returncode is not None:
                raise ServerFailedError(f"it ended with {self.returncode}:\n{self.log_tail()}")
            if is_ready:
                return
            if time.monotonic() > until:
                self.kill()
                raise ServerFailedError(f"it was not ready after {seconds:.0f} s:\n{self.log_tail()}")
            time.sleep(POLL_S)

    def wait_end(self, seconds: float) -> int:
        """Returns the exit code of a program that ends by itself. Raises ServerFailedError if it does not."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            message = f"it did not end within {seconds:.0f} s:\n{self.log_tail()}"
            raise ServerFailedError(message) from None

    def log_tail(self) -> str:
        """The last lines that this process wrote."""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(line for line in lines[-LOG_TAIL_LINES:] if "weak version" not in line)

    def stop(self, number: signal.Signals) -> None:
        """Asks it to end, and makes it end when it does not."""
        if self.returncode is None:
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would; returns when it is gone."""
        if self.returncode is None:
            self._process.kill()
        self._process.wait()


def free_port() -> int:
    """A port on loopback that nobody uses now; another one each time."""
    for _ in PORTS:
        port = PORTS[next(_next_port) % len(PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerFailedError("no free port on loopback")


def answers(port: int) -> bool:
    """Whether something accepts connections on this port of loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def await_end_of_predecessor(pid_file: Path, path: Path) -> None:
    """Returns when no process with the number in `pid_file` serves `path`.

    One whose parent was killed ends too, but not in the same moment. Raises ServerFailedError when it is
    somebody's and stays.
    """
    until = time.monotonic() + PREDECESSOR_S
    while (pid := _serving(pid_file, path)) is not None:
        if time.monotonic() > until:
            raise ServerFailedError(f"process {pid} is serving {path} already: stop it, or use another folder")
        time.sleep(POLL_S)


def _serving(pid_file: Path, path: Path) -> int | None:
    # The number may be another process's by now: its command line says what it serves.
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int(pid_file.read_text().split()[0])
        if os.fsencode(path) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return pid
    return None
