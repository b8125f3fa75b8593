"""What the embedded servers have in common: a port, a data directory, a life."""

import contextlib
import shutil
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from service.dev.child import Child, ServerFailedError, free_port

READY_S = 60.0
# How often a start is tried again that failed for a reason which passes, and the wait between.
RESTART_TRIES = 50
RESTART_WAIT_S = 0.2


class Server(ABC):
    """A server on loopback, with a data directory that is kept (when given) or thrown away by `stop`.

    The address stays the same over `kill` and `start`. The kernel ends the server with the thread that
    started it. Everything here blocks; nothing needs an event loop or disturbs one.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, data_dir: Path | None = None, *, port: int | None = None) -> None:
        self._kept_dir = None if data_dir is None else data_dir.absolute()
        self._data_dir: Path | None = self._kept_dir
        self._port = port
        self._child: Child | None = None

    @property
    def port(self) -> int:
        """Where it listens, or will listen."""
        if self._port is None:
            self._port = free_port()
        return self._port

    @property
    def data_dir(self) -> Path:
        """Where its data is; a temporary one is made when first asked for."""
        if self._data_dir is None:
            self._data_dir = Path(tempfile.mkdtemp(prefix="paystate-"))
        return self._data_dir

    @property
    def pid(self) -> int:
        """The server's process id. Raises ServerFailedError before the start."""
        return self._running().pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._child is not None and self._child.returncode is None

    def start(self) -> Self:
        """Starts it; returns when it answers. Raises ServerFailedError, with the end of its log."""
        if self.alive:
            raise ServerFailedError(f"{self.name} is running already")
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._prepare()
            self._start_child()
        except (ServerFailedError, OSError) as error:
            self._throw_away()
            raise ServerFailedError(f"{self.name} did not start: {error}") from error
        return self

    def _start_child(self) -> None:
        for _ in range(RESTART_TRIES):
            self._child = self._launch()
            try:
                self._child.wait_ready(self._answers, READY_S)
            except ServerFailedError as error:
                if not self._passes(str(error)):
                    raise
                time.sleep(RESTART_WAIT_S)
            else:
                return
        raise ServerFailedError(self._running().log_tail())

    def stop(self) -> None:
        """Asks it to end, makes it end when it does not; a temporary data directory goes with it."""
        if self._child is not None:
            self._child.stop(self.stop_signal)
        self._throw_away()

    def kill(self) -> None:
        """SIGKILL, as a crash would; `start` recovers."""
        self._running().kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> Child:
        if self._child is None:
            raise ServerFailedError(f"{self.name} was not started")
        return self._child

    def _throw_away(self) -> None:
        if self._kept_dir is None and self._data_dir is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._data_dir)
            self._data_dir = None

    @abstractmethod
    def _prepare(self) -> None:
        """Makes the data directory ready."""

    @abstractmethod
    def _launch(self) -> Child:
        """Starts the process."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it serves clients."""

    def _passes(self, failure: str) -> bool:  # noqa: ARG002  for those who know such failures
        """Whether a failed start is worth another try."""
        return False
