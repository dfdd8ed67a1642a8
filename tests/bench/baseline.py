"""The bare loop: the cost of the rows and records of a lifecycle (`baseline_plan`) without the services.

One process for each service and one for the partner, started at the same time: rows in batches by asyncpg, one
transaction per hundred lifecycles; as many records of the same size, pipelined with `acks=all`; and the records that
the services read, with committed offsets. No decoding, validation, decision or HTTP, and no waiting for one another: an
upper limit.

    python -m tests.bench.baseline <part.json>    writes <part>.ready, waits for `go` beside it, writes <part>.done
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.bench.baseline_plan import PARTITIONS, PartResult, PartRun, TableChanges, records_per_lifecycle

BATCH = 100
"""Lifecycles per transaction."""


def batches(lifecycles: int) -> Iterator[tuple[int, int]]:
    """First and last (not included) lifecycle of each batch."""
    for begin in range(0, lifecycles, BATCH):
        yield begin, min(begin + BATCH, lifecycles)


@dataclass
class TableWriter:
    """Rows of one table: inserted, updated and deleted by id, as wide as the real ones."""

    table: TableChanges
    recent: list[UUID] = field(default_factory=list)

    @property
    def _body(self) -> bytes:
        return os.urandom(self.table.width)

    async def make(self, conn: Any) -> None:
        await conn.execute(f"CREATE TABLE {self.table.name} (id uuid PRIMARY KEY, body bytea NOT NULL)")
        await self._insert(conn, BATCH)

    async def change(self, conn: Any, begin: int, end: int) -> None:
        if inserts := self.table.inserts * (end - begin):
            await self._insert(conn, inserts)
        left = self.table.updates * (end - begin)
        while left > 0:
            ids = self.recent[-left:]
            update = f"UPDATE {self.table.name} t SET body = $2 FROM unnest($1::uuid[]) AS u (id) WHERE t.id = u.id"
            await conn.execute(update, ids, self._body)
            left -= len(ids)

    async def delete(self, conn: Any, begin: int, end: int) -> None:
        if deletes := self.table.deletes * (end - begin):
            gone, self.recent = self.recent[:deletes], self.recent[deletes:]
            await conn.execute(f"DELETE FROM {self.table.name} WHERE id = ANY($1)", gone)

    async def _insert(self, conn: Any, count: int) -> None:
        ids, body = [UUID(bytes=os.urandom(16)) for _ in range(count)], self._body
        insert = f"INSERT INTO {self.table.name} SELECT * FROM unnest($1::uuid[], $2::bytea[])"
        await conn.execute(insert, ids, [body] * count)
        self.recent = [*self.recent, *ids][-100 * BATCH :]


async def write(run: PartRun, conn: Any, tables: list[TableWriter], producer: AIOKafkaProducer) -> None:
    """Write all rows and records of this part, batch by batch."""
    for begin, end in batches(run.lifecycles):
        if tables:
            async with conn.transaction():
                for rows in tables:
                    await rows.change(conn, begin, end)
        await _send(run, producer, begin, end)
        for rows in tables:
            await rows.delete(conn, begin, end)


async def _send(run: PartRun, producer: AIOKafkaProducer, begin: int, end: int) -> None:
    sent = []
    for each in run.part.writes:
        for number in range(each.per_lifecycle * (end - begin)):
            key = b"baseline-%d" % (begin + number % BATCH)
            sent.append(await producer.send(run.prefix + each.topic, b"x" * each.size, key=key))
    if sent:
        await asyncio.gather(*sent)


async def read(run: PartRun, consumer: AIOKafkaConsumer) -> None:
    """Read all records of this part, and commit offsets batch by batch."""
    written = records_per_lifecycle()
    left = run.lifecycles * sum(written[topic] for topic in run.part.reads)
    while left > 0:
        batches = await consumer.getmany(timeout_ms=200, max_records=500)
        if batches:
            left -= sum(map(len, batches.values()))
            await consumer.commit()


async def work(path: Path, run: PartRun) -> None:
    conn = await asyncpg.connect(run.database_url) if run.database_url else None
    tables = [TableWriter(table) for table in run.part.tables]
    for rows in tables:
        await rows.make(conn)
    producer, consumer = _clients(run)
    await producer.start()
    await consumer.start()
    try:
        await _wait_for_go(path)
        cpu = time.process_time()
        await asyncio.gather(write(run, conn, tables, producer), read(run, consumer))
        _write_result(path, PartResult(time.time(), time.process_time() - cpu))
    finally:
        await consumer.stop()
        await producer.stop()
        if conn:
            await conn.close()


def _clients(run: PartRun) -> tuple[AIOKafkaProducer, AIOKafkaConsumer]:
    """Configured like those of the services; partitions are assigned without group rebalances."""
    producer = AIOKafkaProducer(
        bootstrap_servers=run.bootstrap_servers, acks="all", enable_idempotence=True, max_batch_size=512 * 1024
    )
    consumer = AIOKafkaConsumer(
        bootstrap_servers=run.bootstrap_servers,
        group_id=f"{run.prefix}{run.name}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    consumer.assign([TopicPartition(run.prefix + name, n) for name in run.part.reads for n in range(PARTITIONS)])
    return producer, consumer


def _write_result(path: Path, done: PartResult) -> None:
    """A reader sees the complete file or none."""
    draft = path.with_suffix(".draft")
    draft.write_text(done.text(), encoding="utf-8")
    draft.rename(path.with_suffix(".done"))


async def _wait_for_go(path: Path) -> None:
    path.with_suffix(".ready").touch()
    while not path.with_name("go").exists():
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    PATH = Path(sys.argv[1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(PATH, PartRun.read(PATH.read_text(encoding="utf-8"))))
