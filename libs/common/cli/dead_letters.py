"""Command line for dead letters: `python -m libs.common.cli.dead_letters list`, with DATABASE_URL set."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from getpass import getuser
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

from libs.common.messaging import dead_letters
from libs.common.postgres.pool import Connection

app = typer.Typer(no_args_is_help=True, help=__doc__)

Database = Annotated[str, typer.Option(envvar="DATABASE_URL", help="The database of the service.")]
DeadLetterId = Annotated[int, typer.Argument(help="The id that `list` shows.")]

T = TypeVar("T")


def _on(database_url: str, ask: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        conn = await asyncpg.connect(database_url)
        try:
            return await ask(conn)
        finally:
            await conn.close()

    return asyncio.run(run())


def _print(shown: dict[str, Any]) -> None:
    typer.echo(json.dumps(shown, ensure_ascii=False))


@app.command(name="list")
def list_(database_url: Database, state: str = "open", after: int = 0, limit: int = 50) -> None:
    """List dead letters, oldest first, one JSON object a line, without their values."""
    for record in _on(
        database_url, lambda conn: dead_letters.list_dead_letters(conn, state=state, after=after, limit=limit)
    ):
        _print({name: value for name, value in record.as_dict().items() if name != "value"})


@app.command()
def show(dead_letter_id: DeadLetterId, database_url: Database) -> None:
    """Show one record whole. It may hold personal data."""
    record = _on(database_url, lambda conn: dead_letters.get_dead_letter(conn, dead_letter_id))
    if record is None:
        raise typer.BadParameter(f"{dead_letter_id} is not known; see `list`")
    _print(record.as_dict())


@app.command()
def replay(
    database_url: Database,
    dead_letter_id: Annotated[int | None, typer.Argument(help="One record, with those of its key.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters instead.")] = False,
) -> None:
    """Ask the running service to take a record again, with those of its key that stand before or behind it."""
    if (dead_letter_id is None) != everything:
        raise typer.BadParameter("name one record, or say --all")
    count = _on(database_url, lambda conn: dead_letters.request_replay(conn, dead_letter_id, getuser()))
    typer.echo(f"{count} will be replayed")


@app.command()
def discard(dead_letter_id: DeadLetterId, database_url: Database) -> None:
    """Give one record up."""
    if not _on(database_url, lambda conn: dead_letters.discard(conn, dead_letter_id, getuser())):
        raise typer.BadParameter(f"{dead_letter_id} is not parked (any more)")
    typer.echo("discarded")


if __name__ == "__main__":
    app()
