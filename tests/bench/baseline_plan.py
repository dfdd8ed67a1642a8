"""The plan of the baseline: the records and rows per lifecycle that the services just wrote.

It is measured, so that it cannot drift from the services: topics come from Kafka (offsets, groups, and the `source` of
real records, whose bytes are reused), rows from Postgres' counters of inserts, updates and deletes.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.common.events.topics import SERVICES, TOPICS, Topic, consumer_group
from libs.common.runtime.in_flight import committed_offsets
from tests.bench.orders import SOURCE

SAMPLE = 100
"""Records of each partition that are inspected for their writer and sent again."""


@dataclass(frozen=True, slots=True)
class TableChanges:
    """Row changes of one table per lifecycle, and the mean size of a row in bytes."""

    name: str
    inserts: float
    updates: float
    deletes: float
    width: int


@dataclass(frozen=True, slots=True)
class TopicWrites:
    """Records that one process writes to one topic per lifecycle; `samples` are their values."""

    topic: str
    per_lifecycle: float
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BaselinePart:
    """One process of the baseline. Without a database it only reads and writes records."""

    name: str
    lifecycles: int
    bootstrap_servers: str
    prefix: str
    tables: tuple[TableChanges, ...]
    writes: tuple[TopicWrites, ...]
    reads: dict[str, int]
    database_url: str | None = None

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "BaselinePart":
        raw = json.loads(text)
        raw["tables"] = tuple(TableChanges(**table) for table in raw["tables"])
        raw["writes"] = tuple(TopicWrites(**{**each, "samples": tuple(each["samples"])}) for each in raw["writes"])
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class PartResult:
    """The end time of a part (`time.time`), and its CPU seconds."""

    at: float
    cpu: float

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "PartResult":
        return cls(**json.loads(text))


RowCounts = dict[str, tuple[int, int, int]]
"""Rows inserted, updated and deleted so far, by table."""

_CHANGES = "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables WHERE relname <> 'migrations'"


async def row_counts(database_url: str) -> RowCounts:
    """From Postgres' statistics, which lag by a few seconds."""
    conn = await asyncpg.connect(database_url)
    try:
        rows = await conn.fetch(_CHANGES)
        return {row["relname"]: (row["n_tup_ins"], row["n_tup_upd"], row["n_tup_del"]) for row in rows}
    finally:
        await conn.close()


async def row_counts_after_preload(database_url: str) -> RowCounts:
    """Exact, from the rows themselves: nothing was deleted yet, and the version of a state counts its writes."""
    conn = await asyncpg.connect(database_url)
    try:
        versioned = {row["table_name"] for row in await conn.fetch(_VERSIONED)}
        tables = [row["relname"] for row in await conn.fetch(_CHANGES)]
        return {table: await _rows_of(conn, table, table in versioned) for table in tables}
    finally:
        await conn.close()


_VERSIONED = """
    SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name = 'version' AND data_type = 'bigint'"""


async def _rows_of(conn: Any, table: str, versioned: bool) -> tuple[int, int, int]:
    updates = "coalesce(sum(version - 1), 0)::bigint" if versioned else "0"
    row = await conn.fetchrow(f"SELECT count(*) AS n, {updates} AS updates FROM {table}")
    return row["n"], row["updates"], 0


async def tables_per_lifecycle(database_url: str, before: RowCounts, lifecycles: int) -> tuple[TableChanges, ...]:
    after = await row_counts(database_url)
    conn = await asyncpg.connect(database_url)
    try:
        tables = []
        for name, counts in sorted(after.items()):
            each = [
                max(0, now - then) / lifecycles for now, then in zip(counts, before.get(name, (0, 0, 0)), strict=True)
            ]
            if max(each) >= 0.01:
                query = f"SELECT avg(pg_column_size(t.*))::int FROM (SELECT * FROM {name} LIMIT 500) t"
                width = await conn.fetchval(query) or 600
                tables.append(TableChanges(name, each[0], each[1], each[2], max(16, width - 40)))
        return tuple(tables)
    finally:
        await conn.close()


async def topic_lengths(bootstrap_servers: str, prefix: str) -> dict[str, int]:
    """The number of records ever written to each topic."""
    async with _reader(bootstrap_servers) as consumer:
        ends = {topic.name: await consumer.end_offsets(_partitions(topic, prefix)) for topic in TOPICS}
        return {name: sum(offsets.values()) for name, offsets in ends.items()}


async def topics_by_reader(bootstrap_servers: str, prefix: str) -> dict[str, list[str]]:
    """The topics that each service reads: those of which its consumer group has committed offsets."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        read = {service: await committed_offsets(admin, consumer_group(service, prefix)) for service in SERVICES}
    finally:
        await admin.close()
    return {
        service: sorted({partition.topic.removeprefix(prefix) for partition in offsets})
        for service, offsets in read.items()
    }


async def writes_by_service(
    bootstrap_servers: str, prefix: str, counts: Mapping[str, int], lifecycles: int
) -> dict[str, list[TopicWrites]]:
    """Records per lifecycle by writer and topic, estimated from the last ones."""
    shares: dict[str, list[TopicWrites]] = {}
    async with _reader(bootstrap_servers) as consumer:
        for topic in TOPICS:
            if counts.get(topic.name):
                values = await _last_values(consumer, topic, prefix)
                sources = Counter(_writer_of(value) for value in values)
                for name, share in sources.items():
                    own = tuple(value for value in values if _writer_of(value) == name)[:SAMPLE]
                    each = counts[topic.name] / lifecycles * share / len(values)
                    shares.setdefault(name, []).append(TopicWrites(topic.name, each, own))
    return shares


def _writer_of(value: str) -> str:
    source = str(json.loads(value)["source"])
    return "partner" if source.startswith(SOURCE) else source.removeprefix("/").partition("/")[0]


async def _last_values(consumer: AIOKafkaConsumer, topic: Topic, prefix: str) -> list[str]:
    partitions = _partitions(topic, prefix)
    last = await consumer.end_offsets(partitions)
    consumer.assign(partitions)
    for partition, end in last.items():
        consumer.seek(partition, max(0, end - SAMPLE))
    values: list[str] = []
    while any([await consumer.position(partition) < end for partition, end in last.items()]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            values += [record.value.decode() for record in records if record.value]
    return values


def _partitions(topic: Topic, prefix: str) -> list[TopicPartition]:
    return [TopicPartition(prefix + topic.name, number) for number in range(topic.partitions)]


@asynccontextmanager
async def _reader(bootstrap_servers: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group, for the length of a block."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=None)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
