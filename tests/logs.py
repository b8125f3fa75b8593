"""What a module logs, whatever other tests of the same process have done with logging."""

from types import ModuleType
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture


def logs_of(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The module's log lines from now on, each with its `event` and `log_level`, at every level.

    structlog's own `capture_logs` sees nothing of a logger that is bound already, nor what a level set elsewhere
    lets out.
    """
    capture = LogCapture()
    logger = structlog.wrap_logger(None, processors=[capture], wrapper_class=structlog.stdlib.BoundLogger)
    monkeypatch.setattr(module, "log", logger)
    return capture.entries
