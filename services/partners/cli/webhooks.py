"""Lists webhook subscriptions of partners, resumes them and sends events again, in the database of DATABASE_URL.

The running service does so within a second.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeVar
from uuid import UUID

import asyncpg
import typer

from libs.common.postgres.pool import Connection
from services.partners.store import deliveries, subscriptions

app = typer.Typer(no_args_is_help=True, help=__doc__)

Database = Annotated[str, typer.Option(envvar="DATABASE_URL", help="The database of partners.")]
Partner = Annotated[str, typer.Argument(help="Name of the partner.")]
Subscription = Annotated[UUID, typer.Argument(help="Id of the subscription, as shown by `list`.")]

T = TypeVar("T")


def _query(database_url: str, query: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        conn = await asyncpg.connect(database_url)
        try:
            async with conn.transaction():
                return await query(conn)
        finally:
            await conn.close()

    return asyncio.run(run())


@app.command(name="list")
def list_(database_url: Database, partner: Partner) -> None:
    """List the subscriptions of a partner, one JSON object per line, without their secrets."""
    for found in _query(database_url, lambda conn: subscriptions.list_subscriptions(conn, partner)):
        typer.echo(json.dumps(asdict(found), default=str, ensure_ascii=False))


@app.command()
def resend(
    database_url: Database,
    subscription: Subscription,
    first: Annotated[int, typer.Option("--from", min=1, help="First position.")],
    last: Annotated[int, typer.Option("--to", min=0, help="Last position; by default the first.")] = 0,
) -> None:
    """Send the events of a position, or of a span of them, again under their ids."""
    if last and last < first:
        raise typer.BadParameter(f"--to: {last} is before --from {first}; name a later position")
    count = _query(database_url, lambda conn: deliveries.resend(conn, subscription, first, last or first))
    typer.echo(f"{count} events are sent again")
    raise typer.Exit(0 if count else 1)


@app.command()
def resume(database_url: Database, partner: Partner, subscription: Subscription) -> None:
    """Make a paused or disabled subscription active again; the events that waited are sent in order."""
    if not _query(database_url, lambda conn: subscriptions.resume_subscription(conn, partner, subscription)):
        typer.echo(f"{subscription}: no subscription of {partner}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{subscription}: active")
