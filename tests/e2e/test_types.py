"""The demo's `my.*` and its mini program against the wallet's own types, @mini-types/alipay."""

import shutil
import subprocess
from pathlib import Path

import pytest

TYPES = Path(__file__).parent / "types"
PATIENCE_S = 120


@pytest.fixture
def tsc() -> list[str]:
    """TypeScript's compiler, as a command."""
    compiler = TYPES / "node_modules" / "typescript" / "bin" / "tsc"
    node = shutil.which("node")
    if node is None or not compiler.exists():
        pytest.skip("no types to check with: install Node.js, then run `npm ci` in tests/e2e/types")
    return [node, str(compiler), "-p"]


def test_the_shim_and_the_mini_program_agree_with_the_wallets_types(tsc: list[str]) -> None:
    checked = subprocess.run([*tsc, str(TYPES)], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_types_find_wrong_calls(tsc: list[str], tmp_path: Path) -> None:
    wrong = "my.tradePay({ orderString: 'x' });\nmy.tradePay({ orderStr: 'x', success: (res) => res.code });\n"
    (tmp_path / "wrong.js").write_text(wrong, "utf-8")
    settings = f'{{"extends": "{TYPES}/tsconfig.json", "include": ["wrong.js"]}}'
    (tmp_path / "tsconfig.json").write_text(settings, "utf-8")
    checked = subprocess.run([*tsc, str(tmp_path)], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert checked.returncode != 0
    assert "'orderString' does not exist" in checked.stdout
    assert "'code' does not exist" in checked.stdout
