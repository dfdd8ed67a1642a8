"""`sakidashi offsets`: sets the offsets of a stopped service back, so that it reads records again."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from aiokafka.errors import KafkaError

from deploy.api.api_docs import example_app
from deploy.restore.topics import GroupAliveError, set_offsets_back
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.events.topics import ALL_SERVICES, consumer_group
from libs.common.privacy.erase_cli import KafkaCluster

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def main(
    service: Annotated[str, typer.Argument(help=f"The stopped service: {', '.join(ALL_SERVICES)}.")],
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    topic: Annotated[list[str] | None, typer.Option(help="Topic without prefix; repeatable. Default: all.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Time (UTC) to go back to; default: the beginning.")] = None,
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX", help="Prefix of all topic names.")] = "",
) -> None:
    """Set the offsets of a stopped service back to the beginning, or to a time; never forward.

    Records that were applied are dropped by the inbox. Refuses while processes of the service are running (exit code
    2). For a secured broker set KAFKA_SECURITY_PROTOCOL and the related variables; the principal needs Read on the
    service's group and topics.
    """
    if service not in ALL_SERVICES:
        raise typer.BadParameter(f"{service}: no such service; name one of {', '.join(ALL_SERVICES)}")
    subscribed = {each.topic for each in example_app(service).state.service.subscriptions}
    if unread := set(topic or ()) - subscribed:
        typer.echo(f"{service} does not read {', '.join(sorted(unread))}")
    cluster = KafkaCluster(bootstrap_servers, prefix, load(KafkaSecurity).kafka_client_options)
    wanted, back_to = subscribed & set(topic or subscribed), since.replace(tzinfo=UTC) if since else BEGINNING
    try:
        records = asyncio.run(set_offsets_back(cluster, consumer_group(service, prefix), wanted, back_to))
    except GroupAliveError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except (OSError, KafkaError) as error:
        typer.echo(f"could not set the offsets of {service}: {type(error).__name__}: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"records to read again: {records}")
