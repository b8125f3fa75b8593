"""The command `paystate`: one file for each kind of question that people and scripts ask."""

from service.cli.main import main

__all__ = ["main"]
