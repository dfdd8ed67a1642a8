"""Creates the topics of the contract, and updates retention on those that exist.

The number of partitions of an existing topic is never changed (see `events.topics`); its other settings are kept.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import typer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.messaging.topic_settings import new_topics, retention

PARTITIONS = 12
"""Default number of partitions of each topic: the most processes of a service that can share its work.

aiokafka looks at every partition in every turn: a record at rest takes 1.0 ms of CPU with 12 and 2.2 ms with 48 (see
`fetch_session`). One process carries hundreds of reports a second; a shop that expects to need more than twelve says so
when it creates its topics.
"""

PROPAGATION_SECONDS = 30.0
_DYNAMIC_TOPIC_CONFIG = 1
"""Kafka's `ConfigSource` of a value set on the topic itself; others are defaults of the broker."""


async def create_topics(
    bootstrap_servers: str,
    prefix: str = "",
    replication: int = 1,
    security: KafkaSecurity | None = None,
    *,
    partitions: int = PARTITIONS,
) -> list[str]:
    """Create missing topics, update retention on the others, and return the names of all.

    Raises the broker's error, except for topics that exist.
    """
    options = security.kafka_client_options if security else {}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **options)
    await admin.start()
    try:
        topics = new_topics(prefix, replication, partitions)
        response = await admin.create_topics(topics)
        existing: list[str] = []
        for name, code, *message in response.topic_errors:
            error = for_code(code)
            if error is TopicAlreadyExistsError:
                existing.append(name)
            elif code:
                raise error(f"{name}: {message}")
        if existing:
            await _update_when_known(admin, {name: retention()[name.removeprefix(prefix)] for name in existing})
        return [topic.name for topic in topics]
    finally:
        await admin.close()


async def _update_when_known(admin: AIOKafkaAdminClient, wanted: Mapping[str, Mapping[str, str]]) -> None:
    """Update topic settings, with retries: a broker may not have the metadata of a topic created a moment ago."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(UnknownTopicOrPartitionError),
        wait=wait_fixed(0.2),
        stop=stop_after_delay(PROPAGATION_SECONDS),
        reraise=True,
    ):
        with attempt:
            await _update_config(admin, wanted)


async def _update_config(admin: AIOKafkaAdminClient, wanted: Mapping[str, Mapping[str, str]]) -> None:
    """Alter only topics that differ. AlterConfigs replaces all settings of a topic, so its other ones are repeated."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
    changed: list[ConfigResource] = []
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            if code:
                raise for_code(code)(f"{name}: {message}")
            now = {entry[0]: entry[1] for entry in entries}
            own = {entry[0]: entry[1] for entry in entries if entry[3] == _DYNAMIC_TOPIC_CONFIG}
            if any(now.get(key) != value for key, value in wanted[name].items()):
                changed.append(ConfigResource(ConfigResourceType.TOPIC, name, {**own, **wanted[name]}))
    for response in await admin.alter_configs(changed) if changed else []:
        for code, message, _, name in response.resources:
            if code:
                raise for_code(code)(f"{name}: {message}")


def main(
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")],
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
    replication: Annotated[int, typer.Option(envvar="KAFKA_REPLICATION")] = 1,
    partitions: Annotated[
        int, typer.Option(envvar="KAFKA_PARTITIONS", min=1, help="Partitions of each topic that is created.")
    ] = PARTITIONS,
) -> None:
    """Create the topics of the contract. For a secured broker set KAFKA_SECURITY_PROTOCOL and the related variables."""
    names = asyncio.run(
        create_topics(bootstrap_servers, prefix, replication, load(KafkaSecurity), partitions=partitions)
    )
    typer.echo("topics: " + ", ".join(names))


if __name__ == "__main__":
    typer.run(main)
