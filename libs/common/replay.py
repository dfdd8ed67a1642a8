"""The loop that takes parked records again once somebody asked for it, in order per key."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from libs.common import inbox, parking
from libs.common.db import Connection, Pool
from libs.common.events.registry import decode
from libs.common.parking import ParkedRecord
from libs.common.shell import Aggregate, Incoming, Shell
from libs.common.telemetry import carrier_of
from libs.common.wake import Wake

log = logging.getLogger(__name__)


class Replayer:
    """Replays what is marked for it, for all aggregates of a service."""

    def __init__(self, shell: Shell, pool: Pool, aggregates: Mapping[str, Aggregate[Any]], wake_relay: Wake) -> None:
        self._shell, self._pool, self._aggregates, self._wake_relay = shell, pool, aggregates, wake_relay

    async def run(self) -> None:
        while True:
            try:
                done = sum([await self.replay_next(aggregate) for aggregate in self._aggregates.values()])
            except Exception:
                log.exception("replay: trying again")
                done = 0
            if not done:
                await asyncio.sleep(0.5)

    async def replay_next(self, aggregate: Aggregate[Any]) -> int:
        """Replay what may go now, one transaction each; gives how many were tried."""
        async with self._pool.acquire() as conn:
            async with conn.transaction():
                records = await parking.next_to_replay(conn, aggregate.name)
            for record in records:
                error = await self._try(conn, aggregate, record)
                if error is not None:
                    await parking.settle_replay(conn, record.id, error)
                self._shell.counters.add("replayed", "failed" if error else "done")
        return len(records)

    async def _try(self, conn: Connection, aggregate: Aggregate[Any], record: ParkedRecord) -> str | None:
        try:
            async with conn.transaction():
                await self._apply(conn, aggregate, record)
                await parking.settle_replay(conn, record.id, None)
        except Exception as error:
            log.warning("replay of parked record %s failed: %s", record.id, type(error).__name__)
            return f"{type(error).__name__}: {error}"
        self._wake_relay()
        return None

    async def _apply(self, conn: Connection, aggregate: Aggregate[Any], record: ParkedRecord) -> None:
        event = decode(record.value or b"")
        if await inbox.admit_replayed(conn, inbox.event_key(aggregate.name, event)):
            await self._shell.apply(conn, aggregate, [Incoming(event, carrier_of(record.headers))])
