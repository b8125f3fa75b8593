"""Plants a bug: a module is imported with one piece of its text replaced by another."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug. `old` must stand exactly once in the module; `breaks` says what the bug is."""

    name: str
    breaks: str
    module: str
    old: str
    new: str


class _Loader(SourceFileLoader):
    """Compiles the changed text; leaves no trace on the disk."""

    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        text = self.get_data(path).decode()
        assert text.count(self.mutant.old) == 1, f"{self.mutant.name}: found {text.count(self.mutant.old)} times"
        return compile(text.replace(self.mutant.old, self.mutant.new), path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, path: Sequence[str] | None, _target: object = None) -> ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        loader = _Loader(fullname, spec.origin)
        loader.mutant = self._mutant
        spec.loader = loader
        return spec


def plant(mutant: Mutant) -> None:
    """From now on, and before the module has been imported, it has the bug."""
    assert mutant.module not in sys.modules, f"{mutant.module} has been imported already"
    sys.meta_path.insert(0, _Finder(mutant))
