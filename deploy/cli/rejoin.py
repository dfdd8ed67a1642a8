"""`sakidashi rejoin`: prepares a service whose database was restored from a backup."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError

from deploy.restore.rejoin import SUPPORTED, RejoinResult, rejoin
from deploy.restore.topics import GroupAliveError
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.privacy.erase_cli import KafkaCluster

_REFUSED = (
    "{service}: not supported: what it took over HTTP since the backup is on no topic that it reads. "
    "Restore all four databases to one moment, or restore this one without a gap from its WAL archive"
)


async def _run(url: str, cluster: KafkaCluster, service: str, since: datetime) -> RejoinResult:
    conn = await asyncpg.connect(url, timeout=10, server_settings={"application_name": "rejoin"})
    try:
        return await rejoin(conn, cluster, service, since)
    finally:
        await conn.close()


def main(
    service: Annotated[str, typer.Argument(help=f"The restored service: {' or '.join(SUPPORTED)}.")],
    since: Annotated[datetime, typer.Option(help="Time of the backup (UTC), or a little before it.")],
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The restored database.")],
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX", help="Prefix of all topic names.")] = "",
) -> None:
    """Let a restored service read again what it lost. Call it after the restore, before the service starts.

    Refuses while processes of the service are running (exit code 2). For a secured broker set KAFKA_SECURITY_PROTOCOL
    and the related variables; the principal needs Read on the service's group and topics, on `customers`, and for
    delivery_notify on `notices`.
    """
    if service not in SUPPORTED:
        raise typer.BadParameter(_REFUSED.format(service=service))
    cluster = KafkaCluster(bootstrap_servers, prefix, load(KafkaSecurity).kafka_client_options)
    try:
        result = asyncio.run(_run(database_url, cluster, service, since.replace(tzinfo=UTC)))
    except GroupAliveError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        typer.echo(
            f"could not prepare {service}: {type(error).__name__}: {error}; run it again before the start", err=True
        )
        raise typer.Exit(2) from None
    typer.echo(f"records to read again: {result.records}; erasures known: {result.erasures}")
    if service == "delivery_notify":
        typer.echo(f"notices known: {result.notices}")
        for answer in result.answers:
            typer.echo(f"answer of a customer that is not restored (order, choice, answer): {answer}")
