"""`sakidashi rejoin`: prepares a service whose database was restored from a backup."""

import asyncio
import os
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError

from deploy.api.api_docs import PLACEHOLDER_SETTINGS
from deploy.restore.rejoin import RejoinResult, rejoin
from deploy.restore.topics import GroupAliveError
from deploy.service_settings import settings_class
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import ServiceSettings, load
from libs.common.events.topics import SERVICES
from libs.common.privacy.erase_cli import KafkaCluster

RESTORED = {"delivery_notify": "notices known", "intake": "reports restored", "loyalty": "movements restored"}
"""Word of the output for what a service wrote from its own events."""


def _settings_of(service: str) -> ServiceSettings:
    """Return the settings of the environment; those that a rejoin does not need may be missing."""
    given = {name for name in PLACEHOLDER_SETTINGS if {name.upper(), f"{name.upper()}_FILE"} & os.environ.keys()}
    needed = settings_class(service).model_fields.keys() - given
    missing = {name: value for name, value in PLACEHOLDER_SETTINGS.items() if name in needed}
    return load(settings_class(service), **missing)


async def _run(
    url: str, cluster: KafkaCluster, service: str, since: datetime, settings: ServiceSettings
) -> RejoinResult:
    conn = await asyncpg.connect(url, timeout=10, server_settings={"application_name": "rejoin"})
    try:
        return await rejoin(conn, cluster, service, since, settings)
    finally:
        await conn.close()


def main(
    service: Annotated[str, typer.Argument(help=f"The restored service: {', '.join(SERVICES)}.")],
    since: Annotated[datetime, typer.Option(help="Time of the backup (UTC), or a little before it.")],
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The restored database.")],
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX", help="Prefix of all topic names.")] = "",
) -> None:
    """Let a restored service read again what it lost. Call it after the restore, before the service starts.

    Refuses while processes of the service are running (exit code 2). For a secured broker set KAFKA_SECURITY_PROTOCOL
    and the related variables; the principal needs Read on the service's group and topics, on `customers`, for
    delivery_notify on `notices`, and for loyalty on `loyalty`. Rules and time zone are those of the environment, as for
    the service itself.
    """
    if service not in SERVICES:
        raise typer.BadParameter(f"{service}: no such service; name one of {', '.join(SERVICES)}")
    cluster = KafkaCluster(bootstrap_servers, prefix, load(KafkaSecurity).kafka_client_options)
    settings = _settings_of(service)
    try:
        result = asyncio.run(_run(database_url, cluster, service, since.replace(tzinfo=UTC), settings))
    except GroupAliveError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        typer.echo(
            f"could not prepare {service}: {type(error).__name__}: {error}; run it again before the start", err=True
        )
        raise typer.Exit(2) from None
    restored = f"; {RESTORED[service]}: {result.restored}" if service in RESTORED else ""
    typer.echo(f"records to read again: {result.records}; erasures known: {result.erasures}{restored}")
    for line in result.lost:
        typer.echo(f"not restored: {line}")
