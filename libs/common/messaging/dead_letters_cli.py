"""Lists, shows, replays and discards dead letters of a service, in the database of DATABASE_URL.

Their content is shown in clear where PERSONAL_DATA_KEYS holds the keys of the service.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from getpass import getuser
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

from libs.common.config.column_key_settings import ColumnKeySettings
from libs.common.config.settings import load
from libs.common.messaging import dead_letters
from libs.common.postgres.column_keys import configured_keys
from libs.common.postgres.pool import Connection

app = typer.Typer(no_args_is_help=True, help=__doc__)

Database = Annotated[str, typer.Option(envvar="DATABASE_URL", help="The database of the service.")]
DeadLetterId = Annotated[int, typer.Argument(help="Id of the dead letter, as shown by `list`.")]

T = TypeVar("T")


def _query(database_url: str, query: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        keys = configured_keys(load(ColumnKeySettings))
        conn = await asyncpg.connect(database_url, connection_class=keys.connection_class)
        try:
            return await query(conn)
        finally:
            await conn.close()

    return asyncio.run(run())


def _print(fields: dict[str, Any]) -> None:
    typer.echo(json.dumps(fields, ensure_ascii=False))


@app.command(name="list")
def list_(database_url: Database, state: str = "open", after: int = 0, limit: int = 50) -> None:
    """List dead letters, oldest first, one JSON object per line, without their values."""
    for record in _query(
        database_url, lambda conn: dead_letters.list_dead_letters(conn, state=state, after=after, limit=limit)
    ):
        _print({name: value for name, value in record.as_dict().items() if name != "value"})


@app.command()
def show(dead_letter_id: DeadLetterId, database_url: Database) -> None:
    """Show one dead letter with its value, which may hold personal data."""
    record = _query(database_url, lambda conn: dead_letters.get_dead_letter(conn, dead_letter_id))
    if record is None:
        raise typer.BadParameter(f"{dead_letter_id} does not exist; see `list`")
    _print(record.as_dict())


@app.command()
def replay(
    database_url: Database,
    dead_letter_id: Annotated[int | None, typer.Argument(help="Id, with the blocking ones of its key.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters instead.")] = False,
) -> None:
    """Mark a dead letter for replay by the running service, with the blocking ones of its key."""
    if (dead_letter_id is None) != everything:
        raise typer.BadParameter("missing record; pass one id, or --all")
    count = _query(database_url, lambda conn: dead_letters.request_replay(conn, dead_letter_id, getuser()))
    typer.echo(f"marked for replay: {count}")


@app.command()
def discard(dead_letter_id: DeadLetterId, database_url: Database) -> None:
    """Discard one dead letter and delete its content."""
    if not _query(database_url, lambda conn: dead_letters.discard(conn, dead_letter_id, getuser())):
        raise typer.BadParameter(f"{dead_letter_id} is not an open dead letter; see `list`")
    typer.echo("discarded")


if __name__ == "__main__":
    app()
