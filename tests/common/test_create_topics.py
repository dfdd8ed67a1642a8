"""Topics on a real broker: retention of new and existing topics."""

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from libs.common.events.topics import SERVICES, TOPICS, dead_letter_topic
from libs.common.messaging.create_topics import create_topics
from libs.common.messaging.topic_settings import DAY_MS
from tests.running import eventually

pytestmark = pytest.mark.apache

WEEK, DAY = str(7 * DAY_MS), str(DAY_MS)


async def settings(kafka: str, topic: str) -> dict[str, str]:
    """Return a topic's settings once the broker has its metadata."""
    return await eventually(lambda: _settings(kafka, topic), f"{topic} is known")


async def _settings(kafka: str, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    finally:
        await admin.close()
    return {entry[0]: entry[1] for resource in answer.resources for entry in resource[4]}


async def change(kafka: str, topic: str, **wanted: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    named = {name.replace("_", "."): value for name, value in wanted.items()}
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, named)])
    finally:
        await admin.close()

    await has_settings(kafka, topic, named)


async def has_settings(kafka: str, topic: str, wanted: dict[str, str]) -> None:
    """Wait until the broker shows these settings: it answers a change before its own metadata holds it."""

    async def shown() -> bool:
        return wanted.items() <= (await _settings(kafka, topic)).items()

    await eventually(shown, f"{topic} has {wanted}")


@pytest.mark.parametrize(
    "name", [*(topic.name for topic in TOPICS if topic.personal), *map(dead_letter_topic, SERVICES)]
)
async def test_personal_data_is_kept_for_a_week_in_segments_of_a_day(kafka: str, topics: str, name: str) -> None:
    now = await settings(kafka, topics + name)
    assert (now["retention.ms"], now["segment.ms"], now["cleanup.policy"]) == (WEEK, DAY, "delete")


async def test_a_topic_that_kept_its_records_for_longer_is_brought_up_to_date(kafka: str, topics: str) -> None:
    topic = topics + "warehouse.orders"
    await change(kafka, topic, retention_ms=str(90 * DAY_MS))
    await create_topics(kafka, topics, partitions=6)
    await has_settings(kafka, topic, {"retention.ms": WEEK, "segment.ms": DAY})


async def test_what_an_operator_has_set_besides_stays(kafka: str, topics: str) -> None:
    topic = topics + "carrier.orders"
    await change(kafka, topic, retention_ms="-1", max_message_bytes="2000000")
    await create_topics(kafka, topics, partitions=6)
    await has_settings(kafka, topic, {"retention.ms": WEEK, "max.message.bytes": "2000000"})
