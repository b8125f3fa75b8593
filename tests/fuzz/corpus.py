"""The inputs that are kept: for each target a file, with one input a line, in base64.

Files of one input each would be hundreds, of which nobody can read one either.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def kept(name: str) -> list[bytes]:
    """The inputs that are kept for a target; none where it has no file."""
    file = FOLDER / f"{name}.txt"
    return (
        [b64decode(line, validate=True) for line in file.read_text("ascii").splitlines()] if file.exists() else []
    )


def keep(name: str, inputs: Iterable[bytes]) -> None:
    """Puts them in the place of those that were kept; the shortest first, so that a difference can be read."""
    FOLDER.mkdir(exist_ok=True)
    lines = [b64encode(each).decode("ascii") for each in sorted(set(inputs), key=lambda raw: (len(raw), raw))]
    (FOLDER / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), "ascii")
