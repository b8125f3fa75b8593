"""What people are told of a server that cannot be used: whose trouble it is, which setting names it, and why.

For commands, which end with it, in one line. What goes on trying logs the error as it is.
"""

import re
from collections.abc import Iterator
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError

from service.kafka.refusals import KafkaRefusedError
from service.store import connection

# What may come of a server that cannot be used; an OSError also of anything else.
EXPECTED: Final = (KafkaError, connection.REFUSED, *connection.UNAVAILABLE)

_POSTGRES: Final = "Postgres cannot be used (PAYSTATE_POSTGRES_DSN)"
_KAFKA: Final = "Kafka cannot be used (PAYSTATE_KAFKA_BOOTSTRAP)"
# The modules that speak to each, by the beginnings of their names.
_SPEAKERS: Final = {
    _POSTGRES: ("asyncpg", "sqlalchemy", "service.store"),
    _KAFKA: ("aiokafka", "service.kafka"),
}
# Those that roles.sql makes; any other is somebody's own.
_ROLES: Final = ("paystate_owner", "paystate_service", "paystate_reader")
# ('127.0.0.1', 9092, <AddressFamily.AF_INET: 2>), as aiokafka shows the brokers that it has tried.
_TRIED: Final = re.compile(r"\('([^']*)', ([0-9]+), <[^>]*>\)")


def told(error: Exception) -> str:
    """One of EXPECTED in one line: the setting that may have to be mended, and why."""
    if (not_set_up := missing_setup(error)) is not None:
        return not_set_up
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return f"Postgres: {error}: create it, or point PAYSTATE_POSTGRES_DSN elsewhere"
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {error.filename}: {error.strerror}"
    if isinstance(error, KafkaRefusedError):
        # It names the settings itself, and the address is none of them: somebody has answered there.
        return f"Kafka: {error}"
    whose = _whose(error)
    return reason(error) if whose is None else f"{whose}: {reason(error)}"


def missing_setup(error: Exception) -> str | None:
    """What to do about an error that comes of a server which `paystate migrate` has never seen; None of any other.

    The roles belong to the server, and every connection takes one on: without them it says no to each.
    """
    if isinstance(error, asyncpg.InvalidParameterValueError):
        for role in _ROLES:
            if f'"{role}"' in str(error):
                return f"the database is not set up (there is no role {role}): run `paystate migrate`"
    return None


def reason(error: Exception) -> str:
    """Why, in words and without Python's own ways of writing them."""
    if isinstance(error, KafkaError):
        tried = _TRIED.findall(str(error))
        return f"no broker answers at {', '.join(map(':'.join, tried))}" if tried else str(error)
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer within the time allowed"
    # gaierror has words of its own, and a number that says nothing.
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _whose(error: Exception) -> str | None:
    """The server whose trouble it is, by the code that it comes from: an OSError does not say whom it is about."""
    if isinstance(error, KafkaError):
        return _KAFKA
    if isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        return _POSTGRES
    # The innermost that speaks to a server: a command calls both.
    for module in _modules(error):
        for server, speakers in _SPEAKERS.items():
            if any(module == speaker or module.startswith(f"{speaker}.") for speaker in speakers):
                return server
    return None


def _modules(error: Exception) -> Iterator[str]:
    """The modules that the error has come through, the innermost first."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    return (str(frame.f_globals.get("__name__", "")) for frame in reversed(frames))
