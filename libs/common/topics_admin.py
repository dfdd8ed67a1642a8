"""Makes the topics of the contract, with their partitions and retention, and leaves those that exist as they are."""

import asyncio
from typing import Annotated

import typer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from libs.common.events.topics import SERVICES, TOPICS, parked_topic
from libs.common.kafka_security import KafkaSecurity
from libs.common.settings import load

PARKED_RETENTION_DAYS = 90


def new_topics(prefix: str, replication: int) -> list[NewTopic]:
    """Every topic as Kafka should make it; `acks=all` means stored on at least two of three where there are three."""
    settings = {"min.insync.replicas": str(2 if replication >= 3 else 1)}
    wanted = [(topic.name, topic.partitions, topic.retention_days) for topic in TOPICS]
    wanted += [(parked_topic(service), 1, PARKED_RETENTION_DAYS) for service in SERVICES]
    return [
        NewTopic(
            prefix + name, partitions, replication, topic_configs={"retention.ms": str(days * 86_400_000), **settings}
        )
        for name, partitions, days in wanted
    ]


async def create_topics(
    bootstrap_servers: str, prefix: str = "", replication: int = 1, security: KafkaSecurity | None = None
) -> list[str]:
    """Make what is missing; gives the names of all topics. Raises the broker's error for anything but "exists"."""
    options = security.kafka_client_options if security else {}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **options)
    await admin.start()
    try:
        topics = new_topics(prefix, replication)
        answer = await admin.create_topics(topics)
        for name, code, *message in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"{name}: {message}")
        return [topic.name for topic in topics]
    finally:
        await admin.close()


def main(
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
    replication: Annotated[int, typer.Option(envvar="KAFKA_REPLICATION")] = 1,
) -> None:
    """Make the topics of the contract. KAFKA_SECURITY_PROTOCOL and so on say how to reach a secured broker."""
    names = asyncio.run(create_topics(bootstrap_servers, prefix, replication, load(KafkaSecurity)))
    typer.echo("topics: " + ", ".join(names))


if __name__ == "__main__":
    typer.run(main)
