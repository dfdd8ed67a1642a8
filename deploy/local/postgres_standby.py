"""Streaming standby of a local Postgres, made by `pg_basebackup`, to which a run can fail over."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from deploy.local.command_line import CommandError
from deploy.local.paths import LOGS
from deploy.local.ports import LOOPBACK, kept_port
from deploy.local.postgres import SETTINGS, Postgres, own_folder, prepare, run_as

REPLICATED = {"wal_level": "replica", "max_wal_senders": "4", "hot_standby": "on", "wal_receiver_timeout": "5s"}
"""Settings of a server that has standbys, and of the standbys: each may become the next primary."""

NAME = "standby"
"""Name of the standby in `pg_stat_replication` and `synchronous_standby_names`."""


@contextmanager
def standby(primary: Postgres, *, upstream: int | None = None, log: Path | None = None) -> Iterator[Postgres]:
    """Run a standby of a server of this machine, asynchronous until `make_synchronous`, on data removed afterwards.

    `upstream` is the port by which it reaches the primary; None: directly. Raises `CommandError`.
    """
    primary_url = urlsplit(primary.admin_url)
    programs = Path(primary.own_process.command[0]).parent
    password = unquote(primary_url.password or "")
    with ExitStack() as stack:
        folder = own_folder(stack)
        _copy(programs, folder / "data", upstream or primary_url.port or 0, password)
        settings: Mapping[str, str] = {**SETTINGS, **REPLICATED, "port": str(port := kept_port())}
        running = prepare(programs, folder, port, password, settings, log or LOGS / "postgres-standby.log")
        stack.callback(running.kill)
        running.start()
        yield running


def _copy(programs: Path, data: Path, port: int, password: str) -> None:
    conninfo = f"host={LOOPBACK} port={port} user=postgres application_name={NAME}"
    options = ["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]
    command = [str(programs / "pg_basebackup"), f"--pgdata={data}", f"--dbname={conninfo}", *options]
    env = {**os.environ, "PGPASSWORD": password}
    done = subprocess.run(command, user=run_as(), env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "no output").splitlines()[-1]
        raise CommandError(f"pg_basebackup to {data} failed: {reason}; start the primary with {REPLICATED}")


async def make_synchronous(primary: Postgres) -> None:
    """Let commits wait for the standby from now on."""
    conn = await asyncpg.connect(primary.admin_url)
    try:
        await conn.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'")
        await conn.execute("SELECT pg_reload_conf()")
    finally:
        await conn.close()


def either(url: str, *servers: Postgres) -> str:
    """The URL of a database on whichever of these servers takes writes, for clients that know several hosts."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    hosts = ",".join(urlsplit(each.admin_url).netloc.rpartition("@")[2] for each in servers)
    return urlunsplit(parts._replace(netloc=f"{credentials}@{hosts}", query="target_session_attrs=read-write"))
