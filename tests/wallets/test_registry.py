"""Dialects: the two that are built in, and those that another package brings."""

import sys
from pathlib import Path
from typing import Any

import pytest

from service.wallets import dialects
from service.wallets.alipay.adapter import AlipayAdapter
from service.wallets.alipay_plus.adapter import AlipayPlusAdapter
from service.wallets.profile import ProfileRefusedError, load_profiles
from service.wallets.registry import build_adapters
from tests.wallets import plus
from tests.wallets.vectors import KEYS, table

THIRD = """
class Adapter:
    def __init__(self, name, profile):
        self.name, self.profile = name, profile
"""


def installed(folder: Path, package: str, dialect: str) -> None:
    """A package with one adapter, as an installer leaves it."""
    (folder / f"{package}.py").write_text(THIRD, "utf-8")
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(f"[{dialects.GROUP}]\n{dialect} = {package}:Adapter\n", "utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_each_profile_gets_the_adapter_of_its_dialect() -> None:
    adapters = build_adapters(load_profiles({"mall": table(), "plus": plus.table()}, KEYS))
    assert isinstance(adapters["mall"], AlipayAdapter)
    assert isinstance(adapters["plus"], AlipayPlusAdapter)


def test_one_file_and_an_entry_point_add_a_dialect(site: Path) -> None:
    installed(site, "third_wallet", "third")
    options = {"merchant": "m1", "digits": 3, "live": True}
    given = table(dialect="third", app_id=None, options=options)
    adapter: Any = build_adapters(load_profiles({"abroad": given}, KEYS))["abroad"]
    assert type(adapter).__module__ == "third_wallet"
    assert (adapter.name, adapter.profile.options) == ("abroad", options)
    # Nobody here knows which of them are secrets.
    assert "m1" not in repr(adapter.profile)
    assert "options" not in adapter.profile.model_dump()
    sys.modules.pop("third_wallet")


def test_a_dialect_that_nobody_speaks_or_that_two_claim(site: Path) -> None:
    with pytest.raises(ProfileRefusedError, match="'third' is not one of alipay, alipay_plus"):
        load_profiles({"abroad": table(dialect="third")}, KEYS)
    installed(site, "third_wallet", "third")
    installed(site, "other_wallet", "third")
    with pytest.raises(ProfileRefusedError, match="claimed by other_wallet:Adapter and third_wallet:Adapter"):
        load_profiles({"abroad": table(dialect="third")}, KEYS)


def test_a_package_cannot_take_the_place_of_a_built_in_adapter(site: Path) -> None:
    installed(site, "sly_wallet", "alipay")
    assert isinstance(build_adapters(load_profiles({"mall": table()}, KEYS))["mall"], AlipayAdapter)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"client_id": None}, "client_id"),
        ({"client_id": "a.b"}, "client_id"),
        ({"sign_type": "RSA"}, "sign_type"),
        ({"charset": "GBK"}, "charset"),
        ({"release_call": "unfreeze"}, "release_call"),
        ({"options": {"rate": 1.5}}, "options"),
        ({"options": {str(n): n for n in range(65)}}, "options"),
    ],
)
def test_what_a_profile_of_alipay_plus_needs(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ProfileRefusedError, match=named):
        plus.profile(**fields)
