"""What operators see: structured logs to standard error, and Prometheus metrics."""

import logging
import sys

import structlog
from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("paystate_records", "Input records by what became of them.", ["lane", "disposition"])
BATCHES = Histogram(
    "paystate_commit_seconds",
    "Time of one batch's commit.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
HALTED = Gauge("paystate_lane_halted", "1 for a lane that has stopped until a person has looked.", ["lane"])
OWNED = Gauge("paystate_lanes_owned", "Lanes that this worker owns.")
WAITED_FOR = Gauge(
    "paystate_lane_orders_waited_for", "Orders that are not known, and for which records are parked.", ["lane"]
)
PUBLISHED = Counter("paystate_state_events_published", "State events published.", ["lane"])
WALLET_CALLS = Counter("paystate_wallet_calls", "Calls of a wallet, by what came of them.", ["call", "outcome"])
HTTP_REQUESTS = Histogram(
    "paystate_http_request_seconds",
    "Time until a request of the order API is answered.",
    ["method", "path", "status"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)


def set_up_logging(level: str = "info", *, colours: bool | None = None) -> None:
    """Logs to standard error: for people on a terminal, as JSON lines elsewhere."""
    terminal = sys.stderr.isatty() if colours is None else colours
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # aiokafka logs every refused connection of every retry; what matters is in our own lines.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
