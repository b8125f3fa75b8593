"""`paystate doctor`: what paystate needs, examined one after another, each with what to do about it."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2

from service import troubles
from service.clock import SystemClock
from service.config import Config, mistaken_variables
from service.kafka import clients
from service.kafka.refusals import KafkaRefusedError
from service.kafka.topics import WrongTopicError, check_counts, partition_counts
from service.store import connection as store_connection
from service.store.connection import Database
from service.store.lanes import LAPSED, NotInstalledError, lane_count
from service.store.views import missing_migrations
from service.wallets.profile import WalletProfile

OLDEST_POSTGRES = 15
NEWEST_POSTGRES = 18
# Deadlines go by Postgres's clock, and wallets judge ours: a larger difference makes them refuse our calls.
MAX_CLOCK_DIFFERENCE_S = 5.0
GATEWAY_TIMEOUT_S = 5.0
UNREACHABLE = (*store_connection.UNAVAILABLE, *clients.UNAVAILABLE, store_connection.REFUSED, httpx2.HTTPError)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was examined, whether it is well, what was seen, and what to do if it is not."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


class NotWellError(Exception):
    """What was seen, and what to do about it."""

    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.advice = advice


async def examine(config: Config, database: Database) -> list[Finding]:
    """Every finding; a part that cannot be reached is a finding too."""
    dsn_advice = "start Postgres (`paystate dev` is one for trying out), or set PAYSTATE_POSTGRES_DSN"
    kafka_advice = (
        "start Kafka (`paystate dev` is one for trying out), or set PAYSTATE_KAFKA_BOOTSTRAP; does it want another"
        f" PAYSTATE_KAFKA_SECURITY_PROTOCOL than {config.kafka.protocol}?"
    )
    findings = [_settings(config)]
    try:
        postgres = await _finding("postgres", lambda: _postgres(database), dsn_advice)
        findings.append(postgres)
        if postgres.ok:
            findings += [
                await _finding("clocks", lambda: _clocks(database), dsn_advice),
                await _finding("schema", lambda: _schema(config, database), dsn_advice),
                await _finding("lanes", lambda: _lanes(config, database), dsn_advice),
            ]
        findings.append(await _finding("topics", lambda: _topics(config), kafka_advice))
    finally:
        await database.close()
    if not config.profiles:
        findings.append(
            Finding(
                "profiles",
                ok=False,
                detail="no wallet profile is configured",
                advice="give a file with profiles: --config FILE or PAYSTATE_CONFIG; `paystate sandbox` writes one",
            )
        )
    for name, profile in config.profiles.items():
        check = _gateway_check(profile)
        findings.append(
            await _finding(f"wallet {name}", check, "is the gateway's URL right, and reachable from here?")
        )
    return findings


def _settings(config: Config) -> Finding:
    mistaken = mistaken_variables(os.environ)
    if mistaken:
        name, meant = min(mistaken.items())
        return Finding("settings", ok=False, detail=f"{name} sets nothing", advice=f"is {meant} meant?")
    return Finding("settings", ok=True, detail="the environment" if config.path is None else f"{config.path}")


async def _finding(name: str, check: Callable[[], Awaitable[str]], advice: str) -> Finding:
    try:
        return Finding(name, ok=True, detail=await check())
    except NotWellError as error:
        return Finding(name, ok=False, detail=error.detail, advice=error.advice)
    except NotInstalledError as error:
        return Finding(name, ok=False, detail=str(error), advice="run `paystate migrate`")
    except WrongTopicError as error:
        return Finding(name, ok=False, detail=str(error), advice="run `paystate topics create`")
    except KafkaRefusedError as error:
        return Finding(
            name, ok=False, detail=str(error), advice="set what stands in brackets as the brokers want it"
        )
    except UNREACHABLE as error:
        if troubles.missing_setup(error) is not None:
            advice = "run `paystate migrate`"
        return Finding(name, ok=False, detail=troubles.reason(error), advice=advice)


async def _postgres(database: Database) -> str:
    async with database.acquire() as connection:
        version = connection.get_server_version()
        role = await connection.fetchval("select current_user")
    if not OLDEST_POSTGRES <= version.major <= NEWEST_POSTGRES:
        raise NotWellError(
            f"Postgres {version.major} answers, as {role}",
            f"paystate is tested with Postgres {OLDEST_POSTGRES} to {NEWEST_POSTGRES}",
        )
    return f"Postgres {version.major}.{version.minor} answers, as {role}"


async def _clocks(database: Database) -> str:
    async with database.acquire() as connection:
        told: datetime = await connection.fetchval("select clock_timestamp()")
    difference_s = abs((SystemClock().now() - told.astimezone(UTC)).total_seconds())
    if difference_s > MAX_CLOCK_DIFFERENCE_S:
        raise NotWellError(
            f"this machine and Postgres differ by {difference_s:.1f} s", "let both keep time by NTP, and look again"
        )
    return f"this machine and Postgres differ by {difference_s * 1000:.0f} ms"


async def _schema(config: Config, database: Database) -> str:
    missing = await missing_migrations(database)
    if missing:
        raise NotWellError(f"the schema lacks {', '.join(missing)}", "run `paystate migrate`")
    lanes = await lane_count(database)
    if lanes != config.settings.lanes:
        raise NotWellError(
            f"the database was made for {lanes} lanes, and PAYSTATE_LANES says {config.settings.lanes}",
            f"set PAYSTATE_LANES to {lanes}",
        )
    return f"up to date, {lanes} lanes"


async def _lanes(config: Config, database: Database) -> str:
    await lane_count(database)
    async with database.acquire() as connection:
        halted = await connection.fetch(
            "select lane, halt_reason from lanes where halt_reason is not null order by lane"
        )
        owned = await connection.fetchval(
            f"select count(*) from lanes where owner is not null and not {LAPSED}"  # noqa: S608 - a constant
        )
    if halted:
        first = halted[0]
        raise NotWellError(
            f"{len(halted)} halted, the first is lane {first['lane']}: {first['halt_reason']}",
            "`paystate lanes` lists them; nothing of theirs is taken until the cause is mended",
        )
    if owned < config.settings.lanes:
        raise NotWellError(f"{owned} of {config.settings.lanes} are worked on", "start an engine: `paystate run`")
    return f"all {owned} are worked on"


async def _topics(config: Config) -> str:
    counts = await clients.within(partition_counts(config.kafka), clients.PRODUCE_TIMEOUT_S)
    check_counts(counts, config.settings.lanes)
    return f"{len(counts)} topics of {config.settings.lanes} partitions"


def _gateway_check(profile: WalletProfile) -> Callable[[], Awaitable[str]]:
    async def check() -> str:
        async with httpx2.AsyncClient(timeout=GATEWAY_TIMEOUT_S, trust_env=False) as client:
            answer = await client.get(profile.gateway_url)
        return f"{profile.dialect}: {profile.gateway_url} answers (HTTP {answer.status_code})"

    return check
