"""Settings: `PAYSTATE_…` environment variables, and a TOML file with the wallet profiles."""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, ValidationError
from pydantic.functional_validators import AfterValidator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from schemas.base import own_words
from service.addresses import checked_dsn, is_loopback
from service.config_kafka import PATHS, KafkaSettings, access
from service.wallets.profile import WalletProfile, load_profiles

ENV_PREFIX: Final = "PAYSTATE_"
# How like a name must be to be taken for another (difflib's ratio).
LIKENESS: Final = 0.85
MAX_SHOWN_NAME: Final = 80


class ConfigError(Exception):
    """The configuration cannot be used; the message is one line that says what to mend."""


class Settings(KafkaSettings):
    """Everything that can be set. An environment variable wins over the file."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore")

    postgres_dsn: Annotated[str, AfterValidator(checked_dsn)] = Field(
        default="postgresql://127.0.0.1:5432/paystate", description="Where Postgres 15 to 18 is."
    )
    postgres_role: str = Field(
        default="paystate_service", description="The role that services take on; empty keeps the login's own."
    )
    lanes: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=8, description="Partitions of every topic. Fixed for ever once the database is made."
    )
    replication: Annotated[int, Field(ge=1, le=9)] = Field(
        default=1, description="Replicas of each topic that `paystate topics create` makes."
    )
    group_id: str = Field(default="paystate", description="Kafka group for advisory offsets: lag tools read it.")
    transactional_prefix: str = Field(default="paystate", description="Prefix of the relay's transactional ids.")
    lease_ttl_s: Annotated[float, Field(ge=1, le=300)] = Field(
        default=3.0, description="How long a silent worker keeps its lanes."
    )
    pay_grace_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=10.0, description="After the wallet-side deadline, before an order is closed."
    )
    first_query_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=20.0, description="A paying order is first asked about after this."
    )
    retry_first_s: Annotated[float, Field(gt=0, le=60)] = Field(
        default=0.5, description="The first wait between tries of a wallet call; later ones double."
    )
    retry_tries: Annotated[int, Field(ge=2, le=100)] = Field(
        default=12, description="Tries of a wallet operation before a person has to look."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=0, description="Where `paystate run` shows its Prometheus metrics, on loopback; 0 is nowhere."
    )
    api_keys_on_loopback: bool | None = Field(
        default=None,
        description="Ask callers on this machine for an API key, too: a proxy here looks like one of them."
        " When unset, unless every profile's notify_url is on this machine.",
    )
    profiles: dict[str, Any] = Field(default_factory=dict, description="The wallet profiles, by name.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the base class's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then what the file gave (passed in as init arguments)."""
        return env_settings, init_settings


class Config:
    """The settings with their profiles loaded, and how Kafka is reached. `path` is None without a file.

    Raises ConfigError when the settings of Kafka do not fit together.
    """

    def __init__(self, settings: Settings, profiles: dict[str, WalletProfile], path: Path | None) -> None:
        self.settings = settings
        try:
            self.kafka = access(settings)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        self.profiles = profiles
        self.path = path

    @property
    def api_keys_on_loopback(self) -> bool:
        """Whether callers on this machine need an API key: where wallets come from elsewhere, a proxy may, too."""
        if self.settings.api_keys_on_loopback is not None:
            return self.settings.api_keys_on_loopback
        return not self.profiles or not all(_is_called_back_here(each) for each in self.profiles.values())


def load(path: Path | None) -> Config:
    """Reads the file (if any) and the environment. Raises ConfigError."""
    table: dict[str, Any] = {}
    if path is not None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from None
        for name in sorted(table.keys() - Settings.model_fields.keys()):
            meant = _like(name)
            perhaps = "" if meant is None else f"; is {meant!r} meant?"
            raise ConfigError(f"{path}: no setting is named {name[:MAX_SHOWN_NAME]!r}{perhaps}")
        for name in PATHS:
            if isinstance(given := table.get(name), str) and given:
                table[name] = path.parent / given
    try:
        settings = Settings(**table)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        raise ConfigError(f"PAYSTATE_{name.upper()}: {own_words(first['msg'])}") from None
    except SettingsError:
        # The one setting that is no plain value. Its text is not shown: there are keys in it.
        raise ConfigError("PAYSTATE_PROFILES: should be a JSON object; a file is the usual place") from None
    try:
        profiles = load_profiles(settings.profiles, path.parent if path else Path())
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return Config(settings, profiles, path)


def _is_called_back_here(profile: WalletProfile) -> bool:
    host = urlsplit(profile.notify_url or "").hostname
    return host is not None and (host == "localhost" or is_loopback(host))


def _like(name: str) -> str | None:
    """The setting that a name like this one may mean."""
    meant = difflib.get_close_matches(name.lower(), Settings.model_fields, n=1, cutoff=LIKENESS)
    return meant[0] if meant else None


def mistaken_variables(environment: Iterable[str]) -> dict[str, str]:
    """Names of variables that set nothing and are like one that would, each with the one that may be meant.

    Only those: what runs this may have variables of its own under the prefix, as Kubernetes has for a service
    that is called paystate.
    """
    mistaken = {}
    for name in environment:
        setting = name.lower().removeprefix(ENV_PREFIX.lower())
        is_ours = name.upper().startswith(ENV_PREFIX)
        if is_ours and setting not in Settings.model_fields and (meant := _like(setting)) is not None:
            mistaken[name] = ENV_PREFIX + meant.upper()
    return mistaken


def shown(config: Config) -> dict[str, Any]:
    """Every setting in force, fit to be shown: passwords and private keys are left out."""
    settings = config.settings.model_dump()
    settings |= {name: None if settings[name] is None else str(settings[name]) for name in PATHS}
    if (password := settings["kafka_sasl_password"]) is not None:
        settings["kafka_sasl_password"] = str(password)
    settings["postgres_dsn"] = _without_password(settings["postgres_dsn"])
    settings["api_keys_on_loopback"] = config.api_keys_on_loopback
    settings["profiles"] = {
        name: profile.model_dump(mode="json", exclude_none=True) for name, profile in config.profiles.items()
    }
    return {"file": None if config.path is None else str(config.path), **settings}


def _without_password(dsn: str) -> str:
    parts = urlsplit(dsn)
    query = "&".join(
        "password=***" if part.startswith("password=") else part for part in parts.query.split("&") if part
    )
    user, has_password, _ = parts.netloc.rpartition("@")[0].partition(":")
    if has_password:
        parts = parts._replace(netloc=f"{user}:***@{parts.netloc.rpartition('@')[2]}")
    return urlunsplit(parts._replace(query=query))
