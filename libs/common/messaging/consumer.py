"""Batch consumer: inbox, decisions, outbox and dead letters of a batch in one transaction, then the offsets.

FastStream commits a batch's offsets when `Consumer.handle` returns, so it returns only when each record is applied, a
dead letter, or skipped on purpose. Transient errors are retried here with backoff and jitter, because a negative
acknowledgement would seek back and retry without delay. A batch that fails otherwise is bisected down to the faulty
record, which becomes a dead letter.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord

from libs.common.events.envelope import Payload
from libs.common.events.registry import (
    AnyEvent,
    NewerVersionError,
    UndecodableError,
    UnknownTypeError,
    decode,
    peek_type,
)
from libs.common.events.topics import dead_letter_topic
from libs.common.messaging import dead_letters, inbox, outbox
from libs.common.messaging.dead_letters import DeadLetter, DeadLetterReason
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner, Incoming
from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.pool import Connection, Pool, is_transient, strip_row_values
from libs.common.telemetry import log_context
from libs.common.telemetry.trace_context import carrier_of

log = logging.getLogger(__name__)

HALT_WINDOW = 200
HALT_SHARE = 0.5
"""Share of failures among the last records above which the consumer halts: the fault is then in this deployment."""


class StoppedError(Exception):
    """The service stops during a retry; the offsets of the batch are not committed."""


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """A record with its event, or with the dead letter that it becomes."""

    record: "ConsumerRecord[Any, Any]"
    event: AnyEvent | None
    dead_letter: DeadLetter | None = None


def _log_failure(aggregate: str, failed: ParsedRecord) -> None:
    record = failed.record
    message = "failed to apply record aggregate=%s topic=%s partition=%d offset=%d"
    with log_context.about(failed.event) if failed.event else nullcontext():
        log.exception(message, aggregate, record.topic, record.partition, record.offset)


@dataclass
class Consumer:
    """Consumes batches of one topic for one aggregate; payload types not in `payload_types` are skipped."""

    runner: DecisionRunner
    pool: Pool
    aggregate: Aggregate[Any]
    payload_types: frozenset[type[Payload]]
    wake_relay: WakeSignal
    halted: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=HALT_WINDOW))

    async def handle(self, records: Sequence["ConsumerRecord[Any, Any]"]) -> None:
        """Process a batch in order; return when all of it is committed."""
        failpoint("after_fetch")
        parsed = [each for record in records if (each := self._parse(record)) is not None]
        if parsed:
            await self._settle(parsed)
        failpoint("before_offsets")

    def _parse(self, record: "ConsumerRecord[Any, Any]") -> ParsedRecord | None:
        known = peek_type(record.value or b"")
        if known is not None and known not in self.payload_types:
            return None
        try:
            event = decode(record.value or b"")
        except NewerVersionError:
            self.runner.counters.add("ignored", "newer_version")
            return None
        except UnknownTypeError as error:
            return ParsedRecord(record, None, DeadLetter(record, DeadLetterReason.UNKNOWN_TYPE, str(error)))
        except UndecodableError as error:
            return ParsedRecord(record, None, DeadLetter(record, DeadLetterReason.UNDECODABLE, str(error)))
        return ParsedRecord(record, event) if type(event.data) in self.payload_types else None

    async def _settle(self, batch: Sequence[ParsedRecord]) -> None:
        attempt = 0
        while True:
            try:
                self._outcomes.extend([True] * await self._transact(batch))
                return
            except Exception as error:
                if is_transient(error):
                    attempt += 1
                    await self._back_off(attempt, error)
                elif len(batch) > 1:
                    middle = len(batch) // 2
                    await self._settle(batch[:middle])
                    batch = batch[middle:]
                else:
                    strip_row_values(error)
                    _log_failure(self.aggregate.name, batch[0])
                    self._outcomes.append(False)
                    await self._halt_on_many_failures()
                    letter = DeadLetter(batch[0].record, DeadLetterReason.FAILED, f"{type(error).__name__}: {error}")
                    batch = [ParsedRecord(batch[0].record, None, letter)]

    async def _back_off(self, attempt: int, error: Exception) -> None:
        self.runner.counters.add("retried", type(error).__name__)
        pause = min(10.0, 0.05 * 2 ** min(attempt, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
        log.warning("retrying batch aggregate=%s in=%.2fs error=%s", self.aggregate.name, pause, type(error).__name__)
        await self._pause(pause)

    async def _halt_on_many_failures(self) -> None:
        """Halt while most records fail, so that a bad deployment does not turn a whole topic into dead letters."""
        window = self._outcomes
        while len(window) >= 50 and window.count(False) > HALT_SHARE * len(window):
            if not self.halted:
                log.error("halted consumer aggregate=%s: most records failed; fix and restart", self.aggregate.name)
            self.halted = True
            await self._pause(5)

    async def _pause(self, seconds: float) -> None:
        """Wait; on shutdown raise `StoppedError`, so that the batch is redelivered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        if self.stopping.is_set():
            raise StoppedError("the service stops while a batch is retried")

    async def _transact(self, batch: Sequence[ParsedRecord]) -> int:
        """Commit a batch in one transaction and signal the relay; return the number of applied records."""
        async with self.pool.acquire() as conn, conn.transaction():
            admitted, letters = await self._admit(conn, batch)
            failpoint("after_inbox")
            await self.runner.apply(conn, self.aggregate, admitted)
            await self._store_dead_letters(conn, letters)
            failpoint("before_commit")
        failpoint("after_commit")
        self.wake_relay()
        return len(admitted)

    async def _admit(self, conn: Connection, batch: Sequence[ParsedRecord]) -> tuple[list[Incoming], list[DeadLetter]]:
        name = self.aggregate.name
        decoded = [(each.record, each.event) for each in batch if each.event is not None]
        event_keys = [inbox.event_key(name, event) for _, event in decoded]
        keys = [dead_letters.text_key(record) for record, _ in decoded]
        admission = await inbox.admit(conn, name, batch[0].record.topic, event_keys, keys)
        fresh, admitted = set(admission.fresh), []
        letters = [each.dead_letter for each in batch]
        for (record, event), event_key, key in zip(decoded, event_keys, keys, strict=True):
            if key in admission.blocked_keys:
                error = "an earlier event of this key is a dead letter"
                letters.append(DeadLetter(record, DeadLetterReason.BLOCKED, error))
            elif event_key in fresh:
                fresh.discard(event_key)
                trace = carrier_of(dead_letters.text_headers(record.headers)) if record.headers else None
                admitted.append(Incoming(event, trace))
            else:
                self.runner.counters.add("ignored", "duplicate")
        return admitted, [letter for letter in letters if letter is not None]

    async def _store_dead_letters(self, conn: Connection, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        topic = self.runner.topic_prefix + dead_letter_topic(self.runner.service)
        name = self.aggregate.name
        await dead_letters.store(conn, name, letters)
        rows = [dead_letters.outbox_row(topic, self.runner.service, name, letter) for letter in letters]
        await outbox.write(conn, rows)
        for letter in letters:
            self.runner.counters.add("dead_lettered", letter.reason)
