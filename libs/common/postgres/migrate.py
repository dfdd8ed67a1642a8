"""Migrations: forward only, numbered, checksummed, per service.

Files are `NNNN_name.sql`. Those of the plumbing come first, then those of the service. Each runs in a transaction of
its own; a file that was applied may never change again (its checksum is kept), and a new one must have a higher number
than those applied. Additive first: the version before must go on working while the new schema is already there.

They run as the owner of the database; the role that the service itself runs as gets its rights afterwards (`roles`).

A tool was not taken on: what is needed is forty lines, and the services' images should not carry an ORM for it.
"""

import asyncio
import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Annotated

import asyncpg
import typer

from libs.common.postgres.db_grants import grant_rights, user_of
from libs.common.postgres.pool import Connection

LOCK_WAIT_MS, LOCK_TURNS, LOCK_PAUSE_SECONDS = 1_000, 60, 2.0
"""How long a migration queues for a table, how often, and how long it lets others pass in between."""

_FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_LEDGER = """
    CREATE TABLE IF NOT EXISTS migrations (
        origin text NOT NULL, number integer NOT NULL, name text NOT NULL, checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (origin, number))"""


class MigrationError(Exception):
    """The migrations in the code and those in the database do not fit; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Migration:
    origin: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_of(service: str) -> Iterator[Migration]:
    """All migrations of one service in the order in which they run."""
    for origin, package in (("common", "libs.common.postgres"), (service, f"services.{service}")):
        files = sorted((resources.files(package) / "migrations").iterdir(), key=lambda file: file.name)
        for file in files:
            match = _FILE_NAME.match(file.name)
            if not match:
                raise MigrationError(f"{package}/migrations/{file.name}: name it NNNN_words.sql")
            yield Migration(origin, int(match[1]), file.name, file.read_text(encoding="utf-8"))


def pending(known: list[Migration], applied: dict[tuple[str, int], str]) -> list[Migration]:
    """Those still to run. Raises `MigrationError` on a changed file or a number that was jumped over."""
    todo: list[Migration] = []
    newest: dict[str, int] = {}
    for origin, number in applied:
        newest[origin] = max(number, newest.get(origin, 0))
    for migration in known:
        checksum = applied.get((migration.origin, migration.number))
        if checksum is None and migration.number < newest.get(migration.origin, 0):
            raise MigrationError(f"{migration.name}: comes before one already applied; give it a higher number")
        if checksum is not None and checksum != migration.checksum:
            raise MigrationError(f"{migration.name}: was changed after it was applied; write a new migration instead")
        if checksum is None:
            todo.append(migration)
    return todo


async def migrate(conn: Connection, service: str, runtime: str | None = None) -> list[str]:
    """Bring the database of one service up to date; gives the names of what was applied. Safe to run side by side.

    `conn` is the owner's; `runtime` is the role that the service runs as, where it is another.
    """
    await conn.execute("SELECT pg_advisory_lock(hashtext('sakidashi.migrations'))")
    try:
        await conn.execute(_LEDGER)
        rows = await conn.fetch("SELECT origin, number, checksum FROM migrations")
        applied = {(row["origin"], row["number"]): row["checksum"] for row in rows}
        todo = pending(list(migrations_of(service)), applied)
        for migration in todo:
            await _apply(conn, migration)
        if runtime:
            await grant_rights(conn, runtime)
        return [migration.name for migration in todo]
    finally:
        await conn.execute("SELECT pg_advisory_unlock(hashtext('sakidashi.migrations'))")


async def _apply(conn: Connection, migration: Migration) -> None:
    """Run one migration. It waits for a table only in short turns: behind a waiting migration, every call waits too."""
    for turn in range(1, LOCK_TURNS + 1):
        try:
            await _apply_once(conn, migration)
            return
        except asyncpg.LockNotAvailableError as error:
            if turn == LOCK_TURNS:
                raise MigrationError(f"{migration.name}: a table stays locked; see pg_locks") from error
        await asyncio.sleep(random.uniform(0.5, 1.0) * LOCK_PAUSE_SECONDS)  # noqa: S311


async def _apply_once(conn: Connection, migration: Migration) -> None:
    async with conn.transaction():
        await conn.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_MS}ms'")
        await conn.execute(migration.sql)
        await conn.execute(
            "INSERT INTO migrations (origin, number, name, checksum) VALUES ($1, $2, $3, $4)",
            migration.origin,
            migration.number,
            migration.name,
            migration.checksum,
        )


def main(
    service: str,
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL")],
    migration_database_url: Annotated[str | None, typer.Option(envvar="MIGRATION_DATABASE_URL")] = None,
) -> None:
    """Bring the database of SERVICE up to date, as its owner (MIGRATION_DATABASE_URL), and let the role of DATABASE_URL
    work in it. With DATABASE_URL alone one role does both."""
    owner_url = migration_database_url or database_url
    runtime = user_of(database_url)

    async def run() -> list[str]:
        conn = await asyncpg.connect(owner_url)
        try:
            return await migrate(
                conn, service.removeprefix("services."), None if runtime == user_of(owner_url) else runtime
            )
        finally:
            await conn.close()

    applied = asyncio.run(run())
    typer.echo(f"{service}: " + (", ".join(applied) if applied else "up to date"))


if __name__ == "__main__":
    typer.run(main)
