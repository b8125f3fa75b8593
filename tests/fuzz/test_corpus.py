"""Every target over its seeds and over what the fuzzer has found: without atheris, in every run."""

import sys

import pytest

from tests.fuzz.corpus import FOLDER, kept
from tests.fuzz.run import main
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

MOST_BYTES = 1_000_000


def run_over(target: Target, inputs: list[bytes]) -> None:
    """Fails with the input that the parser did not bear."""
    for raw in (*target.seeds, *inputs):
        try:
            target.run(raw)
        except Exception as error:
            error.add_note(f"the input: {raw!r}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_refuses_or_takes_and_nothing_else(name: str) -> None:
    assert TARGETS[name].seeds
    run_over(TARGETS[name], kept(name))


def test_an_exception_that_is_no_refusal_fails() -> None:
    def raises(raw: bytes) -> None:
        raw.decode()

    run_over(Target(raises, []), [b"a"])
    with pytest.raises(UnicodeDecodeError) as raised:
        run_over(Target(raises, []), [b"a", b"\xff"])
    assert raised.value.__notes__ == [r"the input: b'\xff'"]


def test_the_corpus_is_of_targets_that_there_are_and_small() -> None:
    files = list(FOLDER.iterdir())
    assert files
    assert {file.stem for file in files} <= set(TARGETS)
    assert sum(file.stat().st_size for file in files) < MOST_BYTES


def test_who_has_no_atheris_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # What Python takes for a module that is not there, also where it is.
    monkeypatch.setitem(sys.modules, "atheris", None)
    monkeypatch.setattr(sys, "argv", ["run", "money"])
    with pytest.raises(SystemExit, match="pip install atheris"):
        main()
