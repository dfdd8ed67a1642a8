"""Kafka side of a rejoin: the offsets of a stopped group set back, and events since a time read."""

import asyncio
from collections.abc import Iterable
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from libs.common.events.registry import AnyEvent, UndecodableError, decode
from libs.common.events.topics import TOPICS, Topic
from libs.common.messaging.partitions import partitions_of
from libs.common.privacy.erase_cli import KafkaCluster

COORDINATOR_SECONDS = 30.0
"""Maximum wait for the coordinator of the group, which a broker elects after its start."""

_MEMBERS = 5
"""Position of the members in the description of a group, in every version of the protocol."""


class GroupAliveError(Exception):
    """The consumer group has members; stop every process of the service first."""


async def _offsets_at(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], since: datetime
) -> dict[TopicPartition, int]:
    """Return the first offset at or after this time; the end of a partition without one."""
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, int(since.timestamp() * 1000)))
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    return {each: found[each].offset if found.get(each) else ends[each] for each in partitions}


async def _has_members(cluster: KafkaCluster, group: str) -> bool:
    admin = AIOKafkaAdminClient(**cluster.options)
    await admin.start()
    try:
        async with asyncio.timeout(COORDINATOR_SECONDS):
            while True:
                try:
                    answers = await admin.describe_consumer_groups([group])
                except GroupCoordinatorNotAvailableError:
                    await asyncio.sleep(0.5)
                    continue
                return any(described[_MEMBERS] for answer in answers for described in answer.groups)
    finally:
        await admin.close()


async def set_offsets_back(cluster: KafkaCluster, group: str, topics: Iterable[str], since: datetime) -> int:
    """Set the offsets of a group back to a time, never forward; return by how many records.

    Raises `GroupAliveError` where the broker knows members of the group.
    """
    if await _has_members(cluster, group):
        raise GroupAliveError(f"{group}: the group has members; stop every process of the service")
    wanted = [topic for topic in TOPICS if topic.name in set(topics)]
    async with AIOKafkaConsumer(**cluster.options, group_id=group, enable_auto_commit=False) as consumer:
        partitions = await partitions_of(consumer, wanted, cluster.prefix)
        consumer.assign(partitions)
        at = await _offsets_at(consumer, partitions, since)
        committed = {each: await consumer.committed(each) for each in partitions}
        back = {each: min(at[each], committed[each] or 0) for each in partitions}
        await consumer.commit(back)
        return sum((committed[each] or 0) - back[each] for each in partitions)


async def read_since(cluster: KafkaCluster, topic: Topic, since: datetime) -> list[AnyEvent]:
    """Return the events of a topic from this time to its present end; undecodable records are left out."""
    async with AIOKafkaConsumer(**cluster.options, enable_auto_commit=False) as consumer:
        partitions = await partitions_of(consumer, [topic], cluster.prefix)
        consumer.assign(partitions)
        begins, ends = await _offsets_at(consumer, partitions, since), await consumer.end_offsets(partitions)
        for each in partitions:
            consumer.seek(each, begins[each])
        unread, found = {each for each in partitions if begins[each] < ends[each]}, []
        while unread:
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                found += [record.value for record in records if record.offset < ends[partition]]
                if records[-1].offset + 1 >= ends[partition]:
                    unread.discard(partition)
    return [event for value in found if (event := _decoded(value))]


def _decoded(value: bytes | None) -> AnyEvent | None:
    try:
        return decode(value or b"")
    except UndecodableError:
        return None
