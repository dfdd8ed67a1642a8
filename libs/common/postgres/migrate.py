"""Migrations: forward only, numbered, checksummed, per service.

Files are `NNNN_name.sql`; those of the common library run before those of the service. Each runs in a transaction of
its own. An applied file must not change (its checksum is stored), and a new one needs a higher number. Changes are
additive first: the previous version must keep working with the new schema.

Migrations run as the owner of the database; afterwards the runtime role gets its privileges (`db_grants`).

Migration tools were rejected: forty lines suffice, and the image should not contain an ORM for them.
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

from libs.common.postgres.db_grants import grant_privileges, user_of
from libs.common.postgres.pool import Connection

LOCK_WAIT_MS, LOCK_ATTEMPTS, LOCK_PAUSE_SECONDS = 1_000, 60, 2.0
"""Lock timeout of an attempt, number of attempts, and pause between them."""

_FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_APPLIED_TABLE = """
    CREATE TABLE IF NOT EXISTS migrations (
        origin text NOT NULL, number integer NOT NULL, name text NOT NULL, checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (origin, number))"""


class MigrationError(Exception):
    """Migrations in the code and in the database do not match; the message names the file and the fault."""


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
    """Yield all migrations of one service in execution order."""
    for origin, package in (("common", "libs.common.postgres"), (service, f"services.{service}")):
        files = sorted((resources.files(package) / "migrations").iterdir(), key=lambda file: file.name)
        for file in files:
            match = _FILE_NAME.match(file.name)
            if not match:
                raise MigrationError(f"{package}/migrations/{file.name}: wrong file name; use NNNN_name.sql")
            yield Migration(origin, int(match[1]), file.name, file.read_text(encoding="utf-8"))


def pending(known: list[Migration], applied: dict[tuple[str, int], str]) -> list[Migration]:
    """Return the migrations to run. Raises `MigrationError` on a changed file or a skipped number."""
    found: list[Migration] = []
    newest: dict[str, int] = {}
    for origin, number in applied:
        newest[origin] = max(number, newest.get(origin, 0))
    for migration in known:
        checksum = applied.get((migration.origin, migration.number))
        if checksum is None and migration.number < newest.get(migration.origin, 0):
            raise MigrationError(f"{migration.name}: number is below an applied one; use a higher number")
        if checksum is not None and checksum != migration.checksum:
            raise MigrationError(f"{migration.name}: changed after it was applied; write a new migration instead")
        if checksum is None:
            found.append(migration)
    return found


async def migrate(conn: Connection, service: str, runtime: str | None = None) -> list[str]:
    """Apply pending migrations of one service and return their names. Safe to run concurrently.

    `conn` is the owner's; `runtime` is the runtime role, if it is another one.
    """
    await conn.execute("SELECT pg_advisory_lock(hashtext('sakidashi.migrations'))")
    try:
        await conn.execute(_APPLIED_TABLE)
        rows = await conn.fetch("SELECT origin, number, checksum FROM migrations")
        applied = {(row["origin"], row["number"]): row["checksum"] for row in rows}
        waiting = pending(list(migrations_of(service)), applied)
        for migration in waiting:
            await _apply(conn, migration)
        if runtime:
            await grant_privileges(conn, runtime)
        return [migration.name for migration in waiting]
    finally:
        await conn.execute("SELECT pg_advisory_unlock(hashtext('sakidashi.migrations'))")


async def _apply(conn: Connection, migration: Migration) -> None:
    """Run one migration, with short lock timeouts: queries queue behind a migration that waits for a lock."""
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            await _apply_once(conn, migration)
            return
        except asyncpg.LockNotAvailableError as error:
            if attempt == LOCK_ATTEMPTS:
                raise MigrationError(f"{migration.name}: a table is still locked; see pg_locks") from error
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
    """Migrate the database of SERVICE as its owner (MIGRATION_DATABASE_URL) and grant the role of DATABASE_URL its
    privileges. With DATABASE_URL alone one role does both."""
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
