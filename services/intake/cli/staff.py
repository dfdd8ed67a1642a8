"""Who may sign in at the desk: made, changed and shut out by a command, with intake's `DATABASE_URL`.

    python -m services.intake.cli.staff add hanako --role agent      # asks for the password, or reads STAFF_PASSWORD
    python -m services.intake.cli.staff password hanako              # also ends every session of theirs
    python -m services.intake.cli.staff role hanako --role admin
    python -m services.intake.cli.staff disable hanako
    python -m services.intake.cli.staff list

Passwords are kept as argon2id hashes (argon2-cffi, with the parameters of RFC 9106 for little memory). A command and
not a page: whoever can reach the database says who may come in, and no first password lies in a setting.
"""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import asyncpg
import typer
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY

from libs.common.events.values import Language
from libs.common.postgres.pool import Connection
from services.intake.store import staff

MIN_PASSWORD_LENGTH = 12
HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)

app = typer.Typer(add_completion=False, help="Who may sign in at the desk.", no_args_is_help=True)


class StaffRole(StrEnum):
    """Each may do what those before it may. Viewers see cases; agents act on them; admins see what was parked too."""

    VIEWER = "viewer"
    AGENT = "agent"
    ADMIN = "admin"

    def includes(self, least: "StaffRole") -> bool:
        order = list(StaffRole)
        return order.index(self) >= order.index(least)


class PasswordError(ValueError):
    """password: too short; take one of 12 characters or more."""


def hash_password(password: str) -> str:
    """Raises `PasswordError`."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise PasswordError(f"password: {len(password)} characters, {MIN_PASSWORD_LENGTH} are the least")
    return HASHER.hash(password)


def _ask_password() -> str:
    given = os.environ.get("STAFF_PASSWORD")
    if given:
        return given
    return getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _hashed_or_leave() -> str:
    try:
        return hash_password(_ask_password())
    except PasswordError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


def _run(database_url: str, work: Callable[[Connection], Awaitable[str]]) -> None:
    async def connected() -> str:
        conn = await asyncpg.connect(database_url)
        try:
            return await work(conn)
        except asyncpg.CheckViolationError as error:
            raise SystemExit("name: use lower-case letters, digits, dot, dash and underscore, 40 at most") from error
        except asyncpg.UniqueViolationError as error:
            raise SystemExit("name: is taken; change the role or the password, or take another name") from error
        finally:
            await conn.close()

    typer.echo(asyncio.run(connected()))


def _known(changed: bool, done: str) -> str:
    if not changed:
        raise SystemExit("name: nobody has it; `list` shows who is there")
    return done


Url = Annotated[str, typer.Option("--database-url", envvar="DATABASE_URL", show_envvar=True)]


@app.command()
def add(
    name: str, database_url: Url, role: Annotated[StaffRole, typer.Option()], language: Language = Language.JA
) -> None:
    """Let NAME in, with a role."""
    password = _hashed_or_leave()

    async def work(conn: Connection) -> str:
        await staff.add_account(conn, name, password, role, language, datetime.now(UTC))
        return f"{name} is {role} now"

    _run(database_url, work)


@app.command()
def password(name: str, database_url: Url) -> None:
    """Give NAME another password; every session of theirs ends."""
    fresh = _hashed_or_leave()

    async def work(conn: Connection) -> str:
        return _known(await staff.change_password(conn, name, fresh), f"{name} has another password now")

    _run(database_url, work)


@app.command()
def role(name: str, database_url: Url, role: Annotated[StaffRole, typer.Option()]) -> None:
    """Give NAME another role; every session of theirs ends."""

    async def work(conn: Connection) -> str:
        return _known(await staff.change_role(conn, name, role), f"{name} is {role} now")

    _run(database_url, work)


@app.command()
def disable(name: str, database_url: Url) -> None:
    """Shut NAME out, now."""

    async def work(conn: Connection) -> str:
        return _known(await staff.disable_account(conn, name, datetime.now(UTC)), f"{name} is shut out")

    _run(database_url, work)


@app.command(name="list")
def list_(database_url: Url) -> None:
    """Who may sign in."""

    async def work(conn: Connection) -> str:
        return "\n".join(await staff.list_all(conn)) or "nobody yet"

    _run(database_url, work)


if __name__ == "__main__":
    app()
