"""Runs `paystate wallet …` in this process, with bytes for standard input, as a shell would."""

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from service.cli import main
from service.wallets import profile
from service.wallets.signatures import load_private_key
from tests.wallets.vectors import KEYS, Vector

_LOADED = cache(load_private_key)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


def run(*arguments: str, stdin: bytes | str | dict[str, Any] = b"") -> Ended:
    """The command to its end. An object becomes JSON, a text UTF-8."""
    if isinstance(stdin, dict):
        stdin = json.dumps(stdin)
    raw = stdin.encode() if isinstance(stdin, str) else stdin
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PAYSTATE_CONFIG", raising=False)
        # Loading a private key takes longer than all else together, and the test keys are always the same.
        patch.setattr(profile, "load_private_key", _LOADED)
        patch.setattr(sys, "argv", ["paystate", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            code = _exit_code()
    return Ended(code, out.getvalue(), err.getvalue())


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


PROFILE = """
[profiles.{name}]
dialect = "alipay"
app_id = "2018112803019836"
seller_id = "2088202224929664"
gateway_url = "https://openapi.alipay.com/gateway.do"
notify_url = "https://m.example.com/notify/alipay"
sign_type = "{sign_type}"
charset = "{charset}"
private_key_file = "{keys}/{private_key}.pkcs8.pem"
{more}
[[profiles.{name}.wallet_keys]]
public_key_file = "{keys}/{wallet_key}.pub.pem"
"""


def written(
    path: Path,
    *,
    name: str = "mall",
    sign_type: str = "RSA2",
    charset: str = "utf-8",
    private_key: str = "app_rsa2048",
    wallet_key: str = "wallet_rsa2048",
    more: str = "",
) -> Path:
    """Adds a profile to a configuration file."""
    table = PROFILE.format(
        name=name, sign_type=sign_type, charset=charset, private_key=private_key, wallet_key=wallet_key, more=more,
        keys=KEYS,
    )  # fmt: skip
    with path.open("a", encoding="utf-8") as file:
        file.write(table)
    return path


def config_of(vector: Vector, folder: Path) -> str:
    """A configuration with the profile `mall` for the vector, as `vectors.profile_of` has it."""
    size = vector.get("key", "app_rsa2048").removeprefix("app_").removeprefix("wallet_")
    path = written(
        folder / "paystate.toml",
        sign_type=vector.get("sign_type", "RSA2"),
        charset="GBK" if vector["charset"].lower() == "gbk" else vector["charset"],
        private_key=f"app_{size}",
        wallet_key=f"wallet_{size}",
    )
    return str(path)


def wallet(config: str, *arguments: str, stdin: Any = b"", profile: str | None = "mall") -> Ended:
    """A `paystate wallet` command of a profile, with its answer in JSON."""
    named_profile = ("--profile", profile) if profile else ()
    return run("wallet", *arguments, *named_profile, "--config", config, "--output", "json", stdin=stdin)
