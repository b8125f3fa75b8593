"""Settings: what is wrong with a file or a variable is said in one line, and nothing is ignored in silence."""

from pathlib import Path

import pytest

from service import config
from service.config import ConfigError, mistaken_variables


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(f"PAYSTATE_{name.upper()}", raising=False)


def test_without_anything_it_has_its_defaults() -> None:
    assert config.load(None).settings.lanes == 8


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "paystate.toml"
    file.write_text("lanes = 4\nlease_ttl_s = 9\n")
    monkeypatch.setenv("PAYSTATE_LANES", "2")
    settings = config.load(file).settings
    assert (settings.lanes, settings.lease_ttl_s) == (2, 9)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"lanes = ", "is not TOML: "),
        (b"lanes = 4 # \xff", "is not TOML: "),
        (b"a = " + b"[" * 100_000, "is not TOML: "),
        (b"lease_ttl = 4", "no setting is named 'lease_ttl'; is 'lease_ttl_s' meant?"),
        (b"colour = 4", "no setting is named 'colour'"),
        (b"[profile.mall]", "no setting is named 'profile'; is 'profiles' meant?"),
        (b"lanes = 'many'", "PAYSTATE_LANES: "),
        (b"lease_ttl_s = 0.1", "PAYSTATE_LEASE_TTL_S: "),
        (b"profiles = 1", "PAYSTATE_PROFILES: "),
        (b"profiles.mall = 1", "profile mall: should be a table"),
        (b"[profiles.mall]\ndialect = 'nope'", "profile mall: dialect: 'nope' is not one of alipay, alipay_plus"),
        (b"postgres_dsn = 'postgresql://u:hush@h:1:2/z'", "PAYSTATE_POSTGRES_DSN: should be postgresql://USER:"),
        (b"kafka_bootstrap = 'h:hush'", "PAYSTATE_KAFKA_BOOTSTRAP: should be HOST:PORT"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: bytes, says: str) -> None:
    file = tmp_path / "paystate.toml"
    file.write_bytes(text)
    with pytest.raises(ConfigError) as refused:
        config.load(file)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "Value error" not in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        config.load(tmp_path / "nowhere.toml")


def test_profiles_in_a_variable_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYSTATE_PROFILES", "hush")
    with pytest.raises(ConfigError, match="PAYSTATE_PROFILES: should be a JSON object") as refused:
        config.load(None)
    assert "hush" not in str(refused.value)


def test_a_variable_that_is_nearly_one_of_ours_is_found() -> None:
    assert mistaken_variables(["PAYSTATE_LEASE_TTL", "PAYSTATE_POSTGRESS_DSN"]) == {
        "PAYSTATE_LEASE_TTL": "PAYSTATE_LEASE_TTL_S",
        "PAYSTATE_POSTGRESS_DSN": "PAYSTATE_POSTGRES_DSN",
    }


def test_variables_of_whatever_runs_it_are_let_be() -> None:
    kubernetes = ["PAYSTATE_PORT", "PAYSTATE_SERVICE_HOST", "PAYSTATE_SERVICE_PORT", "PAYSTATE_PORT_8000_TCP_ADDR"]
    assert mistaken_variables([*kubernetes, "PAYSTATE_CONFIG", "PAYSTATE_LANES", "paystate_lanes", "PATH"]) == {}
