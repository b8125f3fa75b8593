"""What the documents tell a reader to do can be done."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from schemas.vocabulary import LatePayment
from service import config
from service.cli.main import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "CHANGELOG.md", "deploy/RUNBOOK.md", "deploy/paystate.toml"]
GLOBAL = {"--config", "--output", "--help"}


def commands_in(text: str) -> set[str]:
    """What stands behind the word `paystate` in code: to the end of the code, or to a comma."""
    in_line = re.findall(r"`paystate ([a-z][^`]*)`", text)
    in_blocks = re.findall(r"^ {4,}(?:\$ )?paystate ([a-z].*)$", text, re.MULTILINE)
    chained = re.findall(r"&& paystate ([a-z].*)$", text, re.MULTILINE)
    return {re.split(r"[,#>|&]", each)[0].strip() for each in (*in_line, *in_blocks, *chained)}


def what_is_wrong(said: str) -> str | None:
    """Why the command cannot be as it is written; None when it can."""
    command: Any = typer.main.get_command(app)
    words = said.split()
    while words and hasattr(command, "commands") and words[0][0].islower():
        found = command.commands.get(words[0])
        if found is None:
            return f"no command {words[0]!r}"
        command = found
        del words[0]
    known = GLOBAL | {name for each in command.params for name in each.opts}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    return f"no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_a_document_names_exists(document: str) -> None:
    said = commands_in((ROOT / document).read_text("utf-8"))
    assert said
    assert {each: wrong for each in said if (wrong := what_is_wrong(each))} == {}


def test_the_rule_about_commands_finds_what_it_forbids() -> None:
    text = "`paystate lans`, `paystate run --fast`\n\n    paystate orders shw ID #x\n    b && paystate verify --now"
    assert {what_is_wrong(each) for each in commands_in(text)} == {
        "no command 'lans'",
        "no option --fast",
        "no command 'shw'",
        "no option --now",
    }


def test_the_example_of_a_configuration_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith(config.ENV_PREFIX)]:
        monkeypatch.delenv(name)
    key = rsa.generate_private_key(65_537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for wallet in ("mall", "plus"):
        (tmp_path / f"{wallet}_app.pem").write_bytes(private)
        (tmp_path / f"{wallet}_wallet.pem").write_bytes(public)
    file = tmp_path / "paystate.toml"
    file.write_text((ROOT / "deploy" / "paystate.toml").read_text("utf-8"), "utf-8")
    loaded = config.load(file)
    assert loaded.profiles.keys() == {"mall", "plus"}
    assert loaded.profiles["mall"].late_payment is LatePayment.REFUND
    assert (loaded.settings.lanes, loaded.settings.replication) == (8, 3)
