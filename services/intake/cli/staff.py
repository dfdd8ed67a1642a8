"""Accounts of the desk: create, change and disable them, with intake's `DATABASE_URL`.

    python -m services.intake.cli.staff add hanako --role agent      # asks for the password, or reads STAFF_PASSWORD
    python -m services.intake.cli.staff password hanako              # also ends every session of the account
    python -m services.intake.cli.staff role hanako --role admin
    python -m services.intake.cli.staff disable hanako               # `enable` takes it back
    python -m services.intake.cli.staff list

A command and not a page: access to the database decides about accounts, and no initial password is in a setting.
"""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
import typer

from libs.common.events.values import Language
from libs.common.postgres.pool import Connection
from services.intake.desk.accounts import PasswordError, StaffRole, hash_password
from services.intake.store import staff

app = typer.Typer(add_completion=False, help="Accounts of the desk.", no_args_is_help=True)


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
            raise SystemExit("name: exists already; change its role or password, or choose another name") from error
        finally:
            await conn.close()

    typer.echo(asyncio.run(connected()))


def _known(changed: bool, done: str) -> str:
    if not changed:
        raise SystemExit("name: unknown, or without a password here (identity provider); `list` shows the accounts")
    return done


Url = Annotated[str, typer.Option("--database-url", envvar="DATABASE_URL", show_envvar=True)]


@app.command()
def add(
    name: str, database_url: Url, role: Annotated[StaffRole, typer.Option()], language: Language = Language.JA
) -> None:
    """Create the account NAME."""
    password = _hashed_or_leave()

    async def work(conn: Connection) -> str:
        await staff.add_account(conn, name, password, role, language, datetime.now(UTC))
        return f"{name} has the role {role}"

    _run(database_url, work)


@app.command()
def password(name: str, database_url: Url) -> None:
    """Change the password of NAME; all its sessions end."""
    fresh = _hashed_or_leave()

    async def work(conn: Connection) -> str:
        return _known(await staff.change_password(conn, name, fresh), f"{name} has a new password")

    _run(database_url, work)


@app.command()
def role(name: str, database_url: Url, role: Annotated[StaffRole, typer.Option()]) -> None:
    """Change the role of NAME; all its sessions end. The identity provider decides again at the next sign-in by it."""

    async def work(conn: Connection) -> str:
        return _known(await staff.change_role(conn, name, role), f"{name} has the role {role}")

    _run(database_url, work)


@app.command()
def disable(name: str, database_url: Url) -> None:
    """Disable NAME; all its sessions end."""

    async def work(conn: Connection) -> str:
        return _known(await staff.disable_account(conn, name, datetime.now(UTC)), f"{name} is disabled")

    _run(database_url, work)


@app.command()
def enable(name: str, database_url: Url) -> None:
    """Enable the disabled account NAME again."""

    async def work(conn: Connection) -> str:
        if not await staff.enable_account(conn, name):
            raise SystemExit("name: no disabled account has it; `list` shows the accounts")
        return f"{name} is enabled"

    _run(database_url, work)


@app.command(name="list")
def list_(database_url: Url) -> None:
    """List the accounts."""

    async def work(conn: Connection) -> str:
        return "\n".join(await staff.list_all(conn)) or "no accounts"

    _run(database_url, work)


if __name__ == "__main__":
    app()
