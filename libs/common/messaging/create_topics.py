"""Makes the topics of the contract, and sets on those that are there how long they keep what they were given.

Partitions stay as they are (`events.topics` says why); what an operator has set besides is kept. Kafka deletes whole
segments, the newest never: where personal data may be, a segment is closed after a day, else a quiet topic would keep
its records for as long as it has nothing to add to them.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import typer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.events.topics import PERSONAL_RETENTION_DAYS, SERVICES, TOPICS, dead_letter_topic

DAY_MS = 86_400_000
PROPAGATION_SECONDS = 30.0
_SET_ON_THE_TOPIC = 1
"""Where a value of a topic's settings comes from, as Kafka numbers it; others are the broker's own defaults."""


def topic_config(days: int, personal: bool) -> dict[str, str]:
    """Settings that decide how long a record stays."""
    segments = {"segment.ms": str(DAY_MS)} if personal else {}
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS), **segments}


def retention() -> dict[str, dict[str, str]]:
    """By topic. Parked records are whole copies of any topic's, so they go as those with personal data do; to be
    replayed they lie in the service's own database."""
    settings = {topic.name: topic_config(topic.retention_days, topic.personal) for topic in TOPICS}
    return settings | {dead_letter_topic(service): topic_config(PERSONAL_RETENTION_DAYS, True) for service in SERVICES}


def new_topics(prefix: str, replication: int) -> list[NewTopic]:
    """Every topic as Kafka should make it; `acks=all` means stored on at least two of three where there are three."""
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    safe = {"min.insync.replicas": str(2 if replication >= 3 else 1)}
    return [
        NewTopic(prefix + name, partitions.get(name, 1), replication, topic_configs={**settings, **safe})
        for name, settings in retention().items()
    ]


async def create_topics(
    bootstrap_servers: str, prefix: str = "", replication: int = 1, security: KafkaSecurity | None = None
) -> list[str]:
    """Make what is missing, and bring retention up to date on the rest; gives the names of all topics.

    Raises the broker's error for anything but "exists".
    """
    options = security.kafka_client_options if security else {}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **options)
    await admin.start()
    try:
        topics = new_topics(prefix, replication)
        answer = await admin.create_topics(topics)
        there: list[str] = []
        for name, code, *message in answer.topic_errors:
            error = for_code(code)
            if error is TopicAlreadyExistsError:
                there.append(name)
            elif code:
                raise error(f"{name}: {message}")
        if there:
            await _wait_until_known(admin, {name: retention()[name.removeprefix(prefix)] for name in there})
        return [topic.name for topic in topics]
    finally:
        await admin.close()


async def _wait_until_known(admin: AIOKafkaAdminClient, wanted: Mapping[str, Mapping[str, str]]) -> None:
    """A broker may not have heard yet of a topic that somebody has just made. Raises its error if it never does."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(UnknownTopicOrPartitionError),
        wait=wait_fixed(0.2),
        stop=stop_after_delay(PROPAGATION_SECONDS),
        reraise=True,
    ):
        with attempt:
            await _update_config(admin, wanted)


async def _update_config(admin: AIOKafkaAdminClient, wanted: Mapping[str, Mapping[str, str]]) -> None:
    """Only topics that differ are changed. Kafka sets a topic's settings as a whole, so what else is set goes along."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
    changed: list[ConfigResource] = []
    for response in await admin.describe_configs(asked):
        for code, message, _, name, entries in response.resources:
            if code:
                raise for_code(code)(f"{name}: {message}")
            now = {entry[0]: entry[1] for entry in entries}
            own = {entry[0]: entry[1] for entry in entries if entry[3] == _SET_ON_THE_TOPIC}
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
) -> None:
    """Make the topics of the contract. KAFKA_SECURITY_PROTOCOL and so on say how to reach a secured broker."""
    names = asyncio.run(create_topics(bootstrap_servers, prefix, replication, load(KafkaSecurity)))
    typer.echo("topics: " + ", ".join(names))


if __name__ == "__main__":
    typer.run(main)
