"""What stands on the topics and was not taken yet, by the word of the broker: a consumer knows of a record only once it
has fetched it, so on a slow machine its own lag is 0 for a while although there is something to do."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.faults.subscriptions import SubscribedType

_OUR_BROKER = 1
_SECONDS = 10.0


@dataclass
class ConsumerLag:
    """Of every subscription in `taken`. Opened when it is first asked; `close` it in the end."""

    servers: str
    prefix: str
    subscribed: Sequence[SubscribedType]
    _consumer: Any = None
    _admin: Any = None
    _partitions_of: dict[str, list[TopicPartition]] = field(default_factory=dict)

    async def count(self) -> dict[str, int]:
        """By consumer group, how many records lie behind its committed offsets. Raises `KafkaError` or `OSError`."""
        try:
            async with asyncio.timeout(_SECONDS):
                if self._consumer is None:
                    await self._open()
                ends = await self._consumer.end_offsets(
                    [place for each in self._partitions_of.values() for place in each]
                )
                counts = await asyncio.gather(*(self._behind(group, ends) for group in self._partitions_of))
        except (KafkaError, OSError):
            await self.close()
            raise
        return dict(zip(self._partitions_of, counts, strict=True))

    async def _open(self) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self.servers)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await self._consumer.start()
        await self._admin.start()
        for service, topic in dict.fromkeys((one.service, one.topic) for one in self.subscribed):
            name = self.prefix + topic
            numbers = self._consumer.partitions_for_topic(name) or await self._partitions(name)
            self._partitions_of[f"{self.prefix}{service}.{topic}"] = [TopicPartition(name, n) for n in sorted(numbers)]

    async def _partitions(self, topic: str) -> set[int]:
        (told,) = await self._admin.describe_topics([topic])
        return {each["partition"] for each in told["partitions"]}

    async def _behind(self, group: str, ends: dict[TopicPartition, int]) -> int:
        committed = await self._admin.list_consumer_group_offsets(group, _OUR_BROKER)
        places = self._partitions_of[group]
        return sum(ends[place] - max(0, committed[place].offset if place in committed else 0) for place in places)

    async def close(self) -> None:
        """Done again it does nothing."""
        clients, self._consumer, self._admin = (self._consumer, self._admin), None, None
        for client, close in zip(clients, ("stop", "close"), strict=True):
            with suppress(Exception):  # whatever state it is in, it is done with
                if client is not None:
                    async with asyncio.timeout(3):
                        await getattr(client, close)()
