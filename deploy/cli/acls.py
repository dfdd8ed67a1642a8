"""`sakidashi acls`: Kafka access rights of all principals, printed or applied."""

from typing import Annotated

import typer

from deploy.kafka import acls

Servers = Annotated[str, typer.Option("--bootstrap-servers", envvar="KAFKA_BOOTSTRAP_SERVERS")]
Prefix = Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX", help="Prefix of all topic names.")]


def print_acls(servers: Servers, prefix: Prefix = "") -> None:
    """Print the `kafka-acls` commands that grant the rights of every principal. Does not connect."""
    acls.main(servers, prefix, apply_=False)


def apply_acls(servers: Servers, prefix: Prefix = "") -> None:
    """Apply the rights of every principal to the broker and remove all others."""
    acls.main(servers, prefix, apply_=True)
