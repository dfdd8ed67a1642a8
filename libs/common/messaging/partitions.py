"""Partitions of topics, as the broker has them: their number is a setting at the creation of a topic."""

from collections.abc import Iterable
from typing import Any

from aiokafka import TopicPartition

from libs.common.events.topics import Topic


async def partitions_of(client: Any, topics: Iterable[Topic], prefix: str = "") -> list[TopicPartition]:
    """Return all partitions of these topics. `client` is a started consumer or producer of aiokafka."""
    cluster = await client._client.fetch_all_metadata()
    names = [prefix + topic.name for topic in topics]
    return [TopicPartition(name, n) for name in names for n in sorted(cluster.partitions_for_topic(name) or ())]
