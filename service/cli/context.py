"""What the commands share: the configuration, how answers are printed, how a coroutine is run."""

import json
import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from service import config
from service.observability import set_up_logging


class Output(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


@dataclass(slots=True)
class Globals:
    """The options that stand before, or anywhere among, those of a command."""

    config_path: Path | None
    output: Output


def of(context: typer.Context) -> Globals:
    """The options given, of this command's context."""
    found = context.find_object(Globals)
    assert found is not None
    return found


def settings(context: typer.Context) -> config.Config:
    """The configuration: the file of `--config` or PAYSTATE_CONFIG, and the environment. Sets logging up."""
    path = of(context).config_path
    if path is None and (named := os.environ.get("PAYSTATE_CONFIG")):
        path = Path(named)
    loaded = config.load(path)
    set_up_logging(loaded.settings.log_level)
    return loaded


def wants_json(context: typer.Context) -> bool:
    """Whether the answer is for a program."""
    return of(context).output is Output.JSON


def print_json(document: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """One JSON document on standard output."""
    print(json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


# Of a question to which a server that is away leaves no answer, where "no" is an answer of its own.
UNANSWERED = 3


class NoError(Exception):
    """The answer is no: exit code 1, with one line that says why."""


class UnansweredError(Exception):
    """There is neither yes nor no: exit code UNANSWERED, with one line that says why."""
