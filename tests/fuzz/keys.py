"""What operators are handed by others, and write into a configuration: keys, and profiles with them."""

import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Final

from service.wallets.profile import ProfileRefusedError, load_profiles
from service.wallets.signatures import KeyRefusedError, load_private_key, load_public_key
from tests.fuzz.target import Target
from tests.wallets import vectors
from tests.wallets.vectors import key_files


def key(raw: bytes) -> None:
    """A key's text; the refusal never quotes it."""
    text = raw.decode("utf-8", "replace")
    for load in (load_private_key, load_public_key):
        with suppress(KeyRefusedError):
            load(text)


def profiles(raw: bytes) -> None:
    """A configuration's profiles. Files are left out: they are the operator's own, and anything may be one."""
    try:
        table = tomllib.loads(raw.decode("utf-8", "replace"))
    # The library gives up on deep nesting so; `config.load` reads what the operator has written.
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    with suppress(ProfileRefusedError):
        for profile in load_profiles(_without_files(table), Path()).values():
            assert "PRIVATE" not in repr(profile)


def _without_files(given: object) -> dict[str, object]:
    if not isinstance(given, dict):
        return {}
    return {
        name: _without_files(each) if isinstance(each, dict)
        else [_without_files(one) if isinstance(one, dict) else one for one in each] if isinstance(each, list)
        else each
        for name, each in given.items() if not name.endswith("_file")
    }  # fmt: skip


_PROFILE: Final = f"""[mall]
dialect = "alipay"
app_id = "2018112803019836"
gateway_url = "https://openapi.alipay.com/gateway.do"
notify_url = "https://m.example.com/n"
private_key = "{(vectors.KEYS / "app_rsa1024.pkcs8.oneline.txt").read_text("ascii").strip()}"
options = {{ a = 1 }}
[[mall.wallet_keys]]
public_key = "{(vectors.KEYS / "wallet_rsa1024.pub.oneline.txt").read_text("ascii").strip()}"
not_before = 2026-01-01T00:00:00Z
not_after = 2027-01-01T00:00:00Z
"""

KEYS: Final[dict[str, Target]] = {
    "key": Target(key, [path.read_bytes() for path in key_files("rsa1024.pkcs1.pem", "rsa1024.pkcs8.oneline.txt",
                                                                 "rsa1024.pub.pem", "rsa1024.pub_pkcs1.pem")]),
    "profiles": Target(profiles, [_PROFILE.encode()]),
}  # fmt: skip
