"""`sakidashi keys`: keys of the encrypted columns of a service."""

import asyncio
import secrets
from typing import Annotated

import asyncpg
import typer

from libs.common.config.column_key_settings import ColumnKeySettings
from libs.common.config.settings import load
from libs.common.events.topics import ALL_SERVICES
from libs.common.postgres.column_keys import ColumnKeyError, ColumnKeys, configured_keys
from libs.common.postgres.key_register import register, retire_others
from libs.common.postgres.key_rotation import COMMON_COLUMNS, OUTBOX, EncryptedColumn, rotate, rotate_outbox
from services.delivery_notify.store import encrypted_columns as delivery_notify
from services.intake.store import encrypted_columns as intake
from services.partners.store import encrypted_columns as partners
from services.returns.store import encrypted_columns as returns

COLUMNS: dict[str, tuple[EncryptedColumn, ...]] = {
    "delivery_notify": delivery_notify.ENCRYPTED_COLUMNS,
    "intake": intake.ENCRYPTED_COLUMNS,
    "partners": partners.ENCRYPTED_COLUMNS,
    "returns": returns.ENCRYPTED_COLUMNS,
}


async def rotate_service(url: str, service: str, keys: ColumnKeys) -> dict[str, int]:
    """Encrypt all rows under the first key and retire the others; return the number of rows by column."""
    conn = await asyncpg.connect(
        url,
        timeout=10,
        server_settings={"application_name": "keys"},
        connection_class=keys.connection_class,
    )
    counts: dict[str, int] = {}
    try:
        await register(conn, keys)
        for column in (*COMMON_COLUMNS, *COLUMNS.get(service, ())):
            name = f"{column.table}.{column.column}"
            counts[name] = sum([count async for count in rotate(conn, column)])
        counts[OUTBOX] = await rotate_outbox(conn)
        await retire_others(conn, keys)
    finally:
        await conn.close()
    return counts


def generate() -> None:
    """Print a new key for PERSONAL_DATA_KEYS."""
    typer.echo(secrets.token_urlsafe(32))


def rotate_command(
    service: Annotated[str, typer.Argument(help=f"One of {', '.join(ALL_SERVICES)}.")],
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The database of the service.")],
) -> None:
    """Encrypt all rows under the first of PERSONAL_DATA_KEYS. Beside the running service, and again after an abort.

    Call it once every process of the service runs with the new key in front. It ends with the older keys retired: they
    can then be removed from the setting.
    """
    if service not in ALL_SERVICES:
        raise typer.BadParameter(f"{service!r} is not a service; write one of {', '.join(ALL_SERVICES)}")
    keys = configured_keys(load(ColumnKeySettings))
    if not keys.is_encrypting:
        typer.echo("PERSONAL_DATA_KEYS: unset; set the keys of the service", err=True)
        raise typer.Exit(2)
    try:
        counts = asyncio.run(rotate_service(database_url, service, keys))
    except (OSError, ColumnKeyError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        typer.echo(f"stopped: {type(error).__name__}: {error}; run it again", err=True)
        raise typer.Exit(2) from None
    for name, count in counts.items():
        typer.echo(f"{name}: {count} rows encrypted")
    typer.echo("every row is under the first key; older keys can be removed from PERSONAL_DATA_KEYS")
