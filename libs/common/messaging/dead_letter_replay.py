"""Loop that replays dead letters marked for replay, in order per key."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from libs.common.decisions.facts import Facts
from libs.common.events.registry import AnyEvent, decode
from libs.common.events.sources import source_fault
from libs.common.messaging import dead_letters, inbox, outbox, rejections
from libs.common.messaging.dead_letters import DeadLetterReason, StoredDeadLetter
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner, Incoming
from libs.common.messaging.outbox import OutboxRow
from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.pool import Connection, Pool, describe, is_transient
from libs.common.telemetry.trace_context import carrier_of

log = logging.getLogger(__name__)


class Replayer:
    """Replays dead letters of all aggregates of a service."""

    def __init__(
        self, runner: DecisionRunner, pool: Pool, aggregates: Mapping[str, Aggregate[Any]], wake_relay: WakeSignal
    ) -> None:
        self._runner, self._pool, self._aggregates, self._wake_relay = runner, pool, aggregates, wake_relay

    async def run(self) -> None:
        while True:
            done = 0
            for aggregate in self._aggregates.values():
                try:
                    done += await self.replay_next(aggregate)
                except Exception as error:
                    log.warning("failed replay aggregate=%s error=%s; retrying", aggregate.name, type(error).__name__)
            if not done:
                await asyncio.sleep(0.5)

    async def replay_next(self, aggregate: Aggregate[Any]) -> int:
        """Replay the next record in the transaction that holds its lock; return the number of records replayed.

        Raises transient errors; the record then stays marked for replay.
        """
        async with self._pool.acquire() as conn, conn.transaction():
            record = await dead_letters.next_to_replay(conn, aggregate.name)
            if record is None:
                return 0
            outcomes: list[Facts] = []
            error = await self._try(conn, aggregate, record, outcomes)
            await dead_letters.settle_replay(conn, record.id, error)
        self._runner.counters.add("replayed", "failed" if error else "done")
        self._wake_relay()
        self._runner.committed(outcomes)
        return 1

    async def _try(
        self, conn: Connection, aggregate: Aggregate[Any], record: StoredDeadLetter, outcomes: list[Facts]
    ) -> str | None:
        """Apply the record in a savepoint and add its facts to `outcomes`; return the error text, or None."""
        try:
            async with conn.transaction():
                event = self._decode(record)
                topic = record.topic.removeprefix(self._runner.topic_prefix)
                if rejections.is_published_again(self._runner.service, topic, record.reason):
                    value, headers = record.value or b"", record.headers
                    await outbox.write(
                        conn, [OutboxRow(record.topic, record.key, value, headers=headers, personal=True)]
                    )
                    return None
                mark = inbox.mark_of(aggregate.name, event)
                if record.reason == DeadLetterReason.ID_REUSED:
                    mark = mark.of_other_content
                if await inbox.admit_replayed(conn, mark):
                    incoming = [Incoming(event, carrier_of(record.headers))]
                    outcomes += await self._runner.apply(conn, aggregate, incoming)
        except Exception as error:
            if is_transient(error):
                raise
            return describe(error)
        return None

    def _decode(self, record: StoredDeadLetter) -> AnyEvent:
        event = decode(record.value or b"")
        if fault := source_fault(event, record.topic.removeprefix(self._runner.topic_prefix)):
            raise ValueError(fault)
        return event
