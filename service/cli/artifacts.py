"""What is generated from the code: JSON Schema, AsyncAPI, and pictures of the lifecycle."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service.cli.context import print_json, wants_json
from statemachine.diagram import matrix_markdown, mermaid


class GraphFormat(StrEnum):
    """How the lifecycle is drawn."""

    MERMAID = "mermaid"
    MATRIX = "matrix"


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    schema = typer.Typer(help="The records' JSON Schema, and AsyncAPI.", no_args_is_help=True)
    machine = typer.Typer(help="The lifecycle.", no_args_is_help=True)
    app.add_typer(schema, name="schema")
    app.add_typer(machine, name="machine")

    @schema.command("export")
    def schema_export(
        context: typer.Context, folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made if missing.")]
    ) -> None:
        """Write JSON Schema for every record, in a folder for each topic, and all as one AsyncAPI 3.0 document."""
        from importlib.metadata import version

        from schemas.export import export

        try:
            written = [str(path) for path in export(folder, version("paystate"))]
        except OSError as error:
            raise typer.BadParameter(f"cannot write to {folder}: {error.strerror}", param_hint="DIR") from None
        if wants_json(context):
            print_json({"written": written})
        else:
            print(*written, sep="\n")

    @machine.command("graph")
    def machine_graph(
        context: typer.Context,
        format: Annotated[  # noqa: A002 - the option's name
            GraphFormat, typer.Option(help="mermaid: a state diagram; matrix: every trigger in every state.")
        ] = GraphFormat.MERMAID,
    ) -> None:
        """Draw the lifecycle from its table."""
        graph = mermaid() if format is GraphFormat.MERMAID else matrix_markdown()
        if wants_json(context):
            print_json({"format": format, "graph": graph})
        else:
            print(graph, end="")
