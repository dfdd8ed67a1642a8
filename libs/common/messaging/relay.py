"""Outbox relay: publishes outbox rows in id order, from one active process per service database.

An advisory lock on the relay's own connection elects it; other processes are standby. Sends are pipelined, and rows are
deleted once all their records are acknowledged, so a crash in between only repeats events with the same ids. After a
failed send, later records of that key are kept as well, so the order per key holds; what was acknowledged of a row is
taken out of it.

Rejected: a cursor over ids (loses rows of slow transactions), `SKIP LOCKED` workers (break the order of a key),
LISTEN/NOTIFY (a lock per commit). Reconsider when one relay is slower than the service that writes.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, repeat, zip_longest
from typing import Any, NoReturn

import asyncpg
from aiokafka import AIOKafkaProducer

from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.outbox import TABLE
from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.column_keys import NO_KEYS, ColumnKeys
from libs.common.postgres.key_register import require
from libs.common.postgres.pool import describe
from libs.common.telemetry.counters import Counters
from libs.common.telemetry.trace_context import Carrier, record_headers

log = logging.getLogger(__name__)

# Delete acknowledged rows and read the next ones in one round trip. A statement still sees the rows that it deletes, so
# they are excluded by id; a row of a slow transaction has a lower id and is found as well.
_NEXT = """
    WITH deleted AS (DELETE FROM outbox WHERE id = ANY($1))
    SELECT id, topics, keys, payloads, record_headers, traces, topic, key, value, headers, trace
    FROM outbox WHERE id <> ALL($1) ORDER BY id LIMIT $2"""
# Keep these records of a row, by their positions from 1.
_KEEP = """
    UPDATE outbox o SET (topics, keys, payloads, record_headers, traces) = (
        SELECT array_agg(o.topics[n] ORDER BY n), array_agg(o.keys[n] ORDER BY n), array_agg(o.payloads[n] ORDER BY n),
               array_agg(o.record_headers[n] ORDER BY n), array_agg(o.traces[n] ORDER BY n)
        FROM unnest($2::int[]) AS n)
    WHERE id = $1 AND topics IS NOT NULL"""
# Deletions are not waited for on disk: one that a crash of Postgres undoes only repeats events with the same ids.
_SESSION = {"application_name": "relay", "synchronous_commit": "off"}
_LOCK = "SELECT pg_try_advisory_lock(hashtext('sakidashi.relay'))"

BATCH = 100
"""Rows read at a time; `outbox.ROW_BYTES` bounds each of them."""
SEND_TIMEOUT = 30.0
"""Seconds without acknowledgement after which the producer is replaced and the rows are sent again."""

MIN_PAUSE, MAX_PAUSE = 0.1, 5.0
"""Seconds before a restart: the minimum after a relay that worked, doubled after each start that only failed."""

STOP_TIMEOUT = 5.0
"""Seconds for an old producer to stop; a fenced or disconnected one would never return."""


class Relay:
    def __init__(
        self,
        database_url: str,
        new_producer: Callable[[], AIOKafkaProducer],
        wake: WakeSignal,
        counters: Counters,
        keys: ColumnKeys = NO_KEYS,
    ) -> None:
        self._database_url = database_url
        self._new_producer = new_producer
        self._wake = wake
        self._counters = counters
        self._keys = keys
        self.active = False
        self.sent: Counter[str] = Counter()
        """Acknowledged records by topic, with prefix."""
        self._works = False  # whether the relay has sent all rows that it read since its last start

    async def run(self) -> None:
        """Publish until cancelled; after any error start again with a new connection and a new producer."""
        pause = MIN_PAUSE
        while True:
            self._works = False
            try:
                await self._lead()
            except Exception as error:
                pause = MIN_PAUSE if self._works else min(MAX_PAUSE, pause * 2)
                self._counters.add("relay_restarted", type(error).__name__)
                log.warning("failed relay retry_in=%.1fs error=%s", pause, describe(error))
            finally:
                self.active = False
            await asyncio.sleep(pause)

    async def _lead(self) -> NoReturn:
        conn = await asyncpg.connect(self._database_url, command_timeout=30, server_settings=_SESSION)
        try:
            while not await conn.fetchval(_LOCK):
                await asyncio.sleep(1.0)
            producer = self._new_producer()
            try:
                await producer.start()
                self.active = True
                await self._drain(conn, producer)
            finally:
                with suppress(Exception):
                    await asyncio.wait_for(producer.stop(), STOP_TIMEOUT)
        finally:
            conn.terminate()  # releases the lock, whatever state the connection is in

    async def _drain(self, conn: "asyncpg.Connection[asyncpg.Record]", producer: AIOKafkaProducer) -> NoReturn:
        sent: list[int] = []
        while True:
            rows = await conn.fetch(_NEXT, sent, BATCH)
            if sent or rows:
                failpoint("relay_deleted" if sent else "relay_selected")
            sent = []
            if not rows:
                self._works = True
                await self._wake.wait(0.2)
                continue
            await require(conn, self._keys, _values_of(rows))
            records = [record for row in rows for record in records_of(row, self._keys)]
            published = await publish(producer, records)
            sent = published.done
            self.sent.update([each.topic for each in records if published.includes(each)])
            failpoint("relay_sent")
            if published.error:
                await conn.fetch(_NEXT, sent, 0)
                await conn.executemany(_KEEP, list(published.kept.items()))
                raise published.error
            self._works = True


@dataclass(frozen=True, slots=True)
class WaitingRecord:
    """A record of an outbox row, with its position in it, from 1."""

    id: int
    position: int
    topic: str
    key: str | None
    value: bytes | None
    headers: str | None
    trace: Carrier | None


def _values_of(rows: Iterable[Any]) -> Iterator[bytes | None]:
    for row in rows:
        yield from row["payloads"] or (row["value"],)


def records_of(row: Any, keys: ColumnKeys = NO_KEYS) -> Iterable[WaitingRecord]:
    """Return the records of a row in order. A row of the form before migration 0002 holds one record."""

    def revealed(value: bytes | None) -> bytes | None:
        return None if value is None else keys.reveal(TABLE, value)

    if row["topics"] is None:
        value = revealed(row["value"])
        return [WaitingRecord(row["id"], 1, row["topic"], row["key"], value, row["headers"], row["trace"])]
    return map(
        WaitingRecord,
        repeat(row["id"]),
        count(1),
        row["topics"],
        row["keys"],
        map(revealed, row["payloads"]) if keys.is_encrypting else row["payloads"],
        row["record_headers"] or repeat(None),
        row["traces"] or repeat(None),
    )


@dataclass(frozen=True, slots=True)
class Published:
    """Rows of which every record was acknowledged, and positions of the records to keep of partly sent rows."""

    done: list[int]
    kept: dict[int, list[int]]
    error: BaseException | None

    def includes(self, record: WaitingRecord) -> bool:
        """Return whether Kafka acknowledged this record."""
        if self.error is None:
            return True
        return record.id in self.done or record.position not in self.kept.get(record.id, (record.position,))


async def publish(producer: AIOKafkaProducer, records: Sequence[WaitingRecord]) -> Published:
    """Send records in order; return what was acknowledged, and the first error if there was one."""
    pending: list[asyncio.Future[Any]] = []
    error: BaseException | None = None
    try:
        async with asyncio.timeout(SEND_TIMEOUT):
            for record in records:
                pending.append(
                    await producer.send(
                        record.topic,
                        record.value,
                        key=record.key.encode() if record.key is not None else None,
                        headers=_headers(record),
                    )
                )
            await asyncio.wait(pending)
    except Exception as caught:
        error = caught
    error = error or next(filter(None, map(_error_of, pending)), None)
    if error is None:
        return Published(list(dict.fromkeys(record.id for record in records)), {}, None)
    return _partly(records, pending, error)


def _error_of(future: "asyncio.Future[Any]") -> BaseException | None:
    return future.exception() if future.done() and not future.cancelled() else None


def _partly(
    records: Sequence[WaitingRecord], pending: Sequence["asyncio.Future[Any]"], error: BaseException
) -> Published:
    """Return what may be deleted after a failure: of each key the records before the first one that failed."""
    kept: dict[int, list[int]] = {}
    sent: set[int] = set()
    broken: set[tuple[str, str | None]] = set()
    for record, future in zip_longest(records, pending):
        place = (record.topic, record.key)
        if place in broken or future is None or not future.done() or future.cancelled() or future.exception():
            broken.add(place)
            kept.setdefault(record.id, []).append(record.position)
        else:
            sent.add(record.id)
    return Published(sorted(sent - kept.keys()), {id: kept[id] for id in sorted(sent & kept.keys())}, error)


def _headers(record: WaitingRecord) -> list[tuple[str, bytes]]:
    if record.headers:
        return [(name, value.encode()) for name, value in json.loads(record.headers).items()]
    return record_headers(record.trace) if record.trace else []
