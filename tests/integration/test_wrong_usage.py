"""What cannot be meant is refused with exit code 2 and a line that names what to mend, before anything is done."""

from pathlib import Path

import pytest

from tests.integration.conftest import run_paystate

HUSH = {"PAYSTATE_POSTGRES_DSN": "postgresql://u:hush@127.0.0.1:1:2/z"}


@pytest.mark.parametrize(
    ("arguments", "settings", "says"),
    [
        (["serve", "--port", "65536"], {}, "'--port'"),
        (["serve", "--port", "-1"], {}, "'--port'"),
        (["sandbox", "--port", "65536"], {}, "'--port'"),
        (["verify", "--wait-s", "-1"], {}, "'--wait-s': should be from 0 to "),
        (["verify", "--wait-s", "nan"], {}, "'--wait-s': should be from 0 to "),
        (["verify", "--wait-s", "inf"], {}, "'--wait-s': should be from 0 to "),
        (["schema", "export", "/dev/null/x"], {}, "cannot write to /dev/null/x: Not a directory"),
        (["schema", "export", "FILE"], {}, "FILE: Not a directory"),
        (
            ["sandbox", "--data-dir", "/dev/null/x"],
            {},
            "--data-dir: cannot keep data in /dev/null/x: Not a directory",
        ),
        (["sandbox", "--data-dir", "FILE"], {}, "FILE: it is not a folder"),
        (["dev", "--data-dir", "/dev/null/x"], {}, "--data-dir: cannot keep data in /dev/null/x: Not a directory"),
        (["dev", "--data-dir", "FILE"], {}, "FILE: it is not a folder"),
        (["lanes", "--config"], {}, "'--config' requires an argument"),
        (["lanes", "--config", "--output", "json"], {}, "'--config' requires an argument"),
        (["lanes", "--output"], {}, "'--output' requires an argument"),
        (["lanes"], HUSH, "PAYSTATE_POSTGRES_DSN: should be postgresql://"),
        (["lanes"], {"PAYSTATE_POSTGRES_DSN": "=nonsense"}, "PAYSTATE_POSTGRES_DSN: should be postgresql://"),
        (
            ["lanes"],
            {"PAYSTATE_POSTGRES_DSN": "postgresql://127.0.0.1/z?target_session_attrs=nope"},
            "PAYSTATE_POSTGRES_DSN: target_session_attrs is expected",
        ),
        (["events", "tail"], {"PAYSTATE_KAFKA_BOOTSTRAP": "h:x"}, "PAYSTATE_KAFKA_BOOTSTRAP: should be HOST:PORT"),
        (["machine", "graph", "--format", "nope"], {}, "'--format': 'nope' is not one of 'mermaid', 'matrix'"),
        (["lanes", "--output", "nope"], {}, "'--output': 'nope' is not one of 'text', 'json'"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_meant_is_named(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], says: str
) -> None:
    file = tmp_path / "FILE"
    file.write_text("a file\n")
    done = run_paystate(*(str(file) if each == "FILE" else each for each in arguments), environment=settings)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Value error" not in done.stderr
    assert "hush" not in done.stderr


def test_a_ledger_that_is_none_is_said_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("what somebody else keeps there\n")
    done = run_paystate("sandbox", "--data-dir", str(tmp_path), environment={})
    assert done.returncode == 2
    assert f"--data-dir: cannot keep data in {tmp_path}: its ledger: file is not a database" in done.stderr


def test_without_a_broker_the_setting_is_named() -> None:
    done = run_paystate("topics", "create", environment={"PAYSTATE_KAFKA_BOOTSTRAP": "127.0.0.1:9"})
    assert done.returncode == 1
    assert done.stderr == (
        "paystate: Kafka cannot be used (PAYSTATE_KAFKA_BOOTSTRAP): no broker answers at 127.0.0.1:9\n"
    )


def test_the_lanes_help_says_that_published_may_lag() -> None:
    assert "may lag behind" in run_paystate("lanes", "--help", environment={}).stdout
