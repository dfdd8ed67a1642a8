"""Outbox relay: publishes outbox rows in id order, from one active process per service database.

An advisory lock on the relay's own connection elects it; other processes are standby. Sends are pipelined, and rows are
deleted once acknowledged, so a crash in between only repeats events with the same ids. After a failed send, later rows
of that key are kept as well, so the order per key holds.

Rejected: a cursor over ids (loses rows of slow transactions), `SKIP LOCKED` workers (break the order of a key),
LISTEN/NOTIFY (a lock per commit). Reconsider when one relay is slower than the service that writes.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import asyncpg
from aiokafka import AIOKafkaProducer

from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.pool import describe
from libs.common.telemetry.counters import Counters
from libs.common.telemetry.trace_context import record_headers

log = logging.getLogger(__name__)

# Delete acknowledged rows and read the next ones in one round trip. A statement still sees the rows that it deletes, so
# they are excluded by id; a row of a slow transaction has a lower id and is found as well.
_NEXT = """
    WITH deleted AS (DELETE FROM outbox WHERE id = ANY($1))
    SELECT id, topic, key, value, headers, trace FROM outbox WHERE id <> ALL($1) ORDER BY id LIMIT $2"""
# Deletions are not waited for on disk: one that a crash of Postgres undoes only repeats events with the same ids.
_SESSION = {"application_name": "relay", "synchronous_commit": "off"}
_LOCK = "SELECT pg_try_advisory_lock(hashtext('sakidashi.relay'))"

BATCH = 1000
SEND_TIMEOUT = 30.0
"""Seconds without acknowledgement after which the producer is replaced and the rows are sent again."""

MIN_PAUSE, MAX_PAUSE = 0.1, 5.0
"""Seconds before a restart: the minimum after a relay that worked, doubled after each start that only failed."""

STOP_TIMEOUT = 5.0
"""Seconds for an old producer to stop; a fenced or disconnected one would never return."""


class Relay:
    def __init__(
        self, database_url: str, new_producer: Callable[[], AIOKafkaProducer], wake: WakeSignal, counters: Counters
    ) -> None:
        self._database_url = database_url
        self._new_producer = new_producer
        self._wake = wake
        self._counters = counters
        self.active = False
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
            failpoint("relay_deleted" if sent else "relay_selected")
            sent = []
            if not rows:
                self._works = True
                await self._wake.wait(0.2)
                continue
            sent, error = await publish(producer, rows)
            failpoint("relay_sent")
            if error:
                await conn.fetch(_NEXT, sent, 0)
                raise error
            self._works = True


async def publish(producer: AIOKafkaProducer, rows: Sequence[Any]) -> tuple[list[int], BaseException | None]:
    """Send rows in order; return the ids that may be deleted, and the first error if there was one."""
    pending: list[asyncio.Future[Any]] = []
    error: BaseException | None = None
    try:
        async with asyncio.timeout(SEND_TIMEOUT):
            for row in rows:
                key = row["key"]
                pending.append(
                    await producer.send(
                        row["topic"],
                        row["value"],
                        key=key.encode() if key is not None else None,
                        headers=_headers(row),
                    )
                )
            await asyncio.wait(pending)
    except Exception as caught:
        error = caught
    sent: list[int] = []
    broken: set[tuple[str, str | None]] = set()
    for row, future in zip(rows, pending, strict=False):
        failed = not future.done() or future.cancelled() or future.exception()
        if failed:
            broken.add((row["topic"], row["key"]))
            error = error or (future.exception() if future.done() and not future.cancelled() else None)
        elif (row["topic"], row["key"]) not in broken:
            sent.append(row["id"])
    return sent, error


def _headers(row: Any) -> list[tuple[str, bytes]]:
    if row["headers"]:
        return [(name, value.encode()) for name, value in json.loads(row["headers"]).items()]
    return record_headers(row["trace"]) if row["trace"] else []
