"""The broker's requests: one handler per kind, by the classes of aiokafka's own protocol."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import (
    BrokerResponseError,
    InvalidPartitionsError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol import admin, commit, coordination, fetch, group, metadata, offset, produce, transaction

from deploy.local.embedded_kafka.groups import GroupCoordinator
from deploy.local.embedded_kafka.log import PartitionLog

NODE = 0
EARLIEST = -2
LATEST = -1
DYNAMIC_TOPIC_CONFIG = 1

Handler = Callable[[Any], Awaitable[tuple[Any, ...]]]


@dataclass(slots=True)
class StoredTopic:
    partitions: list[PartitionLog]
    settings: dict[str, str] = field(default_factory=dict)


def _code(error: BrokerResponseError) -> int:
    return int(error.errno)


@dataclass
class EmbeddedBroker:
    """Topics, groups and the handlers of requests; a handler returns the fields of its response."""

    host: str
    port: int
    topics: dict[str, StoredTopic] = field(default_factory=dict)
    coordinator: GroupCoordinator = field(default_factory=GroupCoordinator)
    _producers: int = 0

    def handlers(self) -> dict[type, Handler]:
        """The handler of each request class; its version is the only one of that request."""
        return {
            admin.ApiVersionRequest_v0: self._api_versions,
            metadata.MetadataRequest_v1: self._metadata,
            produce.ProduceRequest_v3: self._produce,
            fetch.FetchRequest_v4: self._fetch,
            offset.OffsetRequest_v1: self._list_offsets,
            transaction.InitProducerIdRequest_v0: self._init_producer,
            coordination.FindCoordinatorRequest_v0: self._find_coordinator,
            group.JoinGroupRequest_v2: self._join,
            group.SyncGroupRequest_v0: self._sync,
            group.HeartbeatRequest_v0: self._heartbeat,
            group.LeaveGroupRequest_v0: self._leave,
            commit.OffsetCommitRequest_v2: self._commit,
            commit.OffsetFetchRequest_v3: self._committed,
            admin.ListGroupsRequest_v0: self._list_groups,
            admin.DescribeGroupsRequest_v0: self._describe_groups,
            admin.CreateTopicsRequest_v1: self._create_topics,
            admin.DeleteTopicsRequest_v0: self._delete_topics,
            admin.DescribeConfigsRequest_v1: self._describe_configs,
            admin.AlterConfigsRequest_v0: self._alter_configs,
        }

    def _log(self, topic: str, partition: int) -> PartitionLog:
        known = self.topics.get(topic)
        if known is None or not 0 <= partition < len(known.partitions):
            raise UnknownTopicOrPartitionError
        return known.partitions[partition]

    # --- the cluster --------------------------------------------------------------------------------------------

    async def _api_versions(self, _: Any) -> tuple[Any, ...]:
        return 0, [(each.API_KEY, each.API_VERSION, each.API_VERSION) for each in self.handlers()]  # type: ignore[attr-defined]

    async def _metadata(self, request: Any) -> tuple[Any, ...]:
        names = list(self.topics) if request.topics is None else request.topics
        broker = (NODE, self.host, self.port, None)
        return [broker], NODE, [self._describe_topic(name) for name in names]

    def _describe_topic(self, name: str) -> tuple[Any, ...]:
        topic = self.topics.get(name)
        if topic is None:
            return UnknownTopicOrPartitionError.errno, name, False, []
        return 0, name, False, [(0, number, NODE, [NODE], [NODE]) for number in range(len(topic.partitions))]

    async def _find_coordinator(self, _: Any) -> tuple[Any, ...]:
        return 0, NODE, self.host, self.port

    async def _init_producer(self, _: Any) -> tuple[Any, ...]:
        self._producers += 1
        return 0, 0, self._producers, 0

    # --- records ------------------------------------------------------------------------------------------------

    async def _produce(self, request: Any) -> tuple[Any, ...]:
        return (
            [
                (topic, [self._append(topic, number, records) for number, records in partitions])
                for topic, partitions in request.topics
            ],
            0,
        )

    def _append(self, topic: str, partition: int, records: bytes) -> tuple[int, int, int, int]:
        try:
            return partition, 0, self._log(topic, partition).append(records), -1
        except BrokerResponseError as error:
            return partition, _code(error), -1, -1

    async def _fetch(self, request: Any) -> tuple[Any, ...]:
        """Answer as soon as there is something to read, or an error, and at the latest after the requested wait."""
        wanted = [(topic, *each) for topic, partitions in request.topics for each in partitions]
        appended = asyncio.Event()
        logs = [self.topics[topic].partitions[number] for topic, number, _, _ in wanted if self._knows(topic, number)]
        for log in logs:
            log.notify(appended)
        try:
            read = self._read(wanted, request.max_bytes)
            if not any(code or records for _, _, code, _, records in read):
                try:
                    async with asyncio.timeout(request.max_wait_time / 1_000):
                        await appended.wait()
                except TimeoutError:
                    pass
                read = self._read(wanted, request.max_bytes)
        finally:
            for log in logs:
                log.forget(appended)
        topics: dict[str, list[tuple[Any, ...]]] = {}
        for topic, number, code, end, records in read:
            topics.setdefault(topic, []).append((number, code, end, end, [], records))
        return 0, list(topics.items())

    def _knows(self, topic: str, partition: int) -> bool:
        return topic in self.topics and partition < len(self.topics[topic].partitions)

    def _read(
        self, wanted: Sequence[tuple[str, int, int, int]], max_bytes: int
    ) -> list[tuple[str, int, int, int, bytes]]:
        found = []
        for topic, number, start, limit in wanted:
            try:
                log = self._log(topic, number)
                records = log.read(start, min(limit, max_bytes)) if max_bytes > 0 else b""
                max_bytes -= len(records)
                found.append((topic, number, 0, log.end, records))
            except BrokerResponseError as error:
                found.append((topic, number, _code(error), -1, b""))
        return found

    async def _list_offsets(self, request: Any) -> tuple[Any, ...]:
        return (
            [
                (topic, [self._offset_at(topic, number, timestamp) for number, timestamp in partitions])
                for topic, partitions in request.topics
            ],
        )

    def _offset_at(self, topic: str, partition: int, timestamp: int) -> tuple[int, int, int, int]:
        try:
            log = self._log(topic, partition)
        except BrokerResponseError as error:
            return partition, _code(error), -1, -1
        if timestamp in (EARLIEST, LATEST):
            return partition, 0, -1, 0 if timestamp == EARLIEST else log.end
        return partition, 0, *log.offset_at(timestamp)

    # --- groups -------------------------------------------------------------------------------------------------

    async def _join(self, request: Any) -> tuple[Any, ...]:
        joined = self.coordinator.group(request.group)
        try:
            member = await joined.join(
                request.member_id,
                request.session_timeout / 1_000,
                request.rebalance_timeout / 1_000,
                dict(request.group_protocols),
            )
        except BrokerResponseError as error:
            return 0, _code(error), -1, "", "", request.member_id, []
        members = joined.metadata() if member == joined.leader else []
        return 0, 0, joined.generation, joined.protocol, joined.leader, member, members

    async def _sync(self, request: Any) -> tuple[Any, ...]:
        joined = self.coordinator.group(request.group)
        try:
            return 0, await joined.sync(request.member_id, request.generation_id, dict(request.group_assignment))
        except BrokerResponseError as error:
            return _code(error), b""

    async def _heartbeat(self, request: Any) -> tuple[Any, ...]:
        try:
            self.coordinator.group(request.group).heartbeat(request.member_id, request.generation_id)
        except BrokerResponseError as error:
            return (_code(error),)
        return (0,)

    async def _leave(self, request: Any) -> tuple[Any, ...]:
        try:
            self.coordinator.group(request.group).leave(request.member_id)
        except BrokerResponseError as error:
            return (_code(error),)
        return (0,)

    async def _commit(self, request: Any) -> tuple[Any, ...]:
        offsets = {
            (topic, number): (position, text)
            for topic, partitions in request.topics
            for number, position, text in partitions
        }
        code = 0
        try:
            group = self.coordinator.group(request.consumer_group)
            group.commit(request.consumer_id, request.consumer_group_generation_id, offsets)
        except BrokerResponseError as error:
            code = _code(error)
        return ([(topic, [(number, code) for number, _, _ in parts]) for topic, parts in request.topics],)

    async def _committed(self, request: Any) -> tuple[Any, ...]:
        offsets = self.coordinator.group(request.consumer_group).offsets
        if request.topics is None:
            wanted: Iterable[tuple[str, int]] = offsets
        else:
            wanted = [(topic, number) for topic, numbers in request.topics for number in numbers]
        topics: dict[str, list[tuple[Any, ...]]] = {}
        for topic, number in wanted:
            topics.setdefault(topic, []).append((number, *offsets.get((topic, number), (-1, "")), 0))
        return 0, list(topics.items()), 0

    async def _list_groups(self, _: Any) -> tuple[Any, ...]:
        return 0, [(name, "consumer") for name in self.coordinator.groups]

    async def _describe_groups(self, request: Any) -> tuple[Any, ...]:
        return ([self._describe_group(name) for name in request.groups],)

    def _describe_group(self, name: str) -> tuple[Any, ...]:
        members = [(member, "", "", b"", b"") for member in self.coordinator.group(name).members]
        return 0, name, "Stable" if members else "Empty", "consumer", "", members

    # --- topics -------------------------------------------------------------------------------------------------

    async def _create_topics(self, request: Any) -> tuple[Any, ...]:
        return ([self._create(*topic) for topic in request.create_topic_requests],)

    def _create(self, name: str, partitions: int, _: int, __: Any, settings: Any) -> tuple[str, int, str]:
        if name in self.topics:
            return name, TopicAlreadyExistsError.errno, f"topic {name} already exists"
        if partitions < 1:
            return name, InvalidPartitionsError.errno, f"{partitions} partitions; a topic has at least 1"
        self.topics[name] = StoredTopic([PartitionLog() for _ in range(partitions)], dict(settings))
        return name, 0, ""

    async def _delete_topics(self, request: Any) -> tuple[Any, ...]:
        gone = [
            (name, 0 if self.topics.pop(name, None) else UnknownTopicOrPartitionError.errno) for name in request.topics
        ]
        return (gone,)

    async def _describe_configs(self, request: Any) -> tuple[Any, ...]:
        return 0, [self._describe_config(kind, name) for kind, name, _ in request.resources]

    def _describe_config(self, kind: int, name: str) -> tuple[Any, ...]:
        topic = self.topics.get(name)
        if topic is None:
            return UnknownTopicOrPartitionError.errno, f"topic {name} is unknown", kind, name, []
        entries: list[tuple[Any, ...]] = [
            (key, value, False, DYNAMIC_TOPIC_CONFIG, False, []) for key, value in topic.settings.items()
        ]
        return 0, "", kind, name, entries

    async def _alter_configs(self, request: Any) -> tuple[Any, ...]:
        return 0, [self._alter_config(kind, name, dict(entries)) for kind, name, entries in request.resources]

    def _alter_config(self, kind: int, name: str, settings: dict[str, str]) -> tuple[Any, ...]:
        topic = self.topics.get(name)
        if topic is None:
            return UnknownTopicOrPartitionError.errno, f"topic {name} is unknown", kind, name
        topic.settings = settings
        return 0, "", kind, name
