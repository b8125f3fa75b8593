"""JSON Schema for every record and AsyncAPI for all of them, from the models that the service itself uses."""

import json
from pathlib import Path
from typing import Any

from schemas.asyncapi import asyncapi
from schemas.records import RECORDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one record, named `topic/type` as in RECORDS."""
    model = RECORDS[name]
    schema = model.model_json_schema()
    return {"$schema": DIALECT, "$id": f"urn:paystate:{name.replace('/', ':')}", **schema}


def export(folder: Path, version: str) -> list[Path]:
    """Writes `<folder>/<topic>/<type>.schema.json` for every record, and `<folder>/asyncapi.json`.

    `version` is paystate's own. Answers the paths written.
    """
    documents = {f"{name}.schema.json": json_schema(name) for name in RECORDS}
    documents["asyncapi.json"] = asyncapi(version)
    written = []
    for name, document in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return written
