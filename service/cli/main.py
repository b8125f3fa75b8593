"""Puts the command together; turns what can be expected to go wrong into one line and an exit code."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import asyncpg
import typer
from typer.exceptions import TyperException

from schemas.base import VALUE_ERROR
from service import troubles
from service.cli import artifacts, events, keys, looking, repairing, running, wallet
from service.cli.context import UNANSWERED, Globals, NoError, Output, UnansweredError
from service.config import ConfigError
from service.dev.child import ServerFailedError
from service.kafka.topics import WrongTopicError
from service.store.lanes import NotInstalledError

app = typer.Typer(
    name="paystate",
    help="An event-driven payment state machine: Kafka in, Postgres between, Kafka and wallets out.",
    epilog="--config and --output may stand anywhere on the line."
    " Exit codes: 0 yes, 1 no, 2 wrong usage, 3 no answer (verify).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="A TOML file with wallet profiles and settings [env: PAYSTATE_CONFIG].", metavar="FILE"),
    ] = None,
    output: Annotated[Output, typer.Option(help="text for people, json for scripts.")] = Output.TEXT,
) -> None:
    """The options of every command."""
    context.obj = Globals(config, output)


running.add_to(app)
events.add_to(app)
looking.add_to(app)
repairing.add_to(app)
wallet.add_to(app)
keys.add_to(app)
artifacts.add_to(app)

# As a shell has it for a process that SIGINT ended.
INTERRUPTED = 130
_GLOBAL_OPTIONS = ("--config", "--output")


def _hoisted(arguments: list[str]) -> list[str]:
    """The arguments with the global options first, so that they may stand anywhere before a `--`."""
    first: list[str] = []
    rest: list[str] = []
    given = iter(arguments)
    for argument in given:
        if argument == "--":
            return [*first, *rest, argument, *given]
        if argument in _GLOBAL_OPTIONS:
            value = next(given, None)
            if value is None or value.startswith("--"):
                # Alone, so that it is said to lack its value, and not of what stands behind it that it is missing.
                return [argument]
            first += [argument, value]
        elif argument.startswith(tuple(f"{option}=" for option in _GLOBAL_OPTIONS)):
            first.append(argument)
        else:
            rest.append(argument)
    return first + rest


def main() -> NoReturn:
    """Runs the command of the process and ends it."""
    try:
        code = app(_hoisted(sys.argv[1:]), prog_name="paystate", standalone_mode=False)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except TyperException as error:
        hint = f" (see: {context.command_path} --help)" if (context := getattr(error, "ctx", None)) else ""
        # typer checks choices by pydantic, and shows its message as it is.
        _end(error.exit_code, error.format_message().replace(f": {VALUE_ERROR}", ": ") + hint)
    except ConfigError as error:
        _end(2, str(error))
    except (NoError, NotInstalledError, WrongTopicError, ServerFailedError) as error:
        _end(1, str(error))
    except UnansweredError as error:
        _end(UNANSWERED, str(error))
    except BrokenPipeError:
        # Whoever was reading has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except asyncpg.ClientConfigurationError as error:
        # What only asyncpg knows to be wrong, such as a file of certificates that is not there.
        _end(2, f"PAYSTATE_POSTGRES_DSN: {error}")
    except troubles.EXPECTED as error:
        _end(1, troubles.told(error))
    sys.exit(code if isinstance(code, int) else 0)


def _end(code: int, message: str) -> NoReturn:
    print(f"paystate: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
