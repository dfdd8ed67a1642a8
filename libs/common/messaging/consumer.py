"""The batch consumer: records in, one transaction, then the offsets (design section 6).

FastStream commits a batch's offsets when `Consumer.take` returns, so `take` returns only once everything in the batch
is safe: applied, parked, or passed over on purpose. Transient errors are waited out here, with jitter, because a
negative acknowledgement would seek back and try again without any pause. A batch that fails for another reason is
halved until the one record that cannot be taken stands alone; that one is parked.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
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
from libs.common.telemetry.trace_context import carrier_of

log = logging.getLogger(__name__)

HALT_WINDOW = 200
HALT_SHARE = 0.5
"""When more than this share of the last records failed to apply, the fault is ours, not theirs: stop and say so."""


class StoppedError(Exception):
    """The batch was given back because the service stops; its offsets were not committed."""


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """A record and what was read from it: the event, or why there is none."""

    record: "ConsumerRecord[Any, Any]"
    event: AnyEvent | None
    dead_letter: DeadLetter | None = None


@dataclass
class Consumer:
    """Takes batches of one topic for one aggregate. `takes` are the payloads it wants; others pass by."""

    runner: DecisionRunner
    pool: Pool
    aggregate: Aggregate[Any]
    payload_types: frozenset[type[Payload]]
    wake_relay: WakeSignal
    halted: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=HALT_WINDOW))

    async def handle(self, records: Sequence["ConsumerRecord[Any, Any]"]) -> None:
        """Take a batch, in order. Returns when all of it is settled in the database."""
        failpoint("after_fetch")
        reads = [read for record in records if (read := self._parse(record)) is not None]
        if reads:
            await self._settle(reads)
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

    async def _settle(self, reads: Sequence[ParsedRecord]) -> None:
        attempt = 0
        while True:
            try:
                self._outcomes.extend([True] * await self._transact(reads))
                return
            except Exception as error:
                if is_transient(error):
                    attempt += 1
                    await self._back_off(attempt, error)
                elif len(reads) > 1:
                    middle = len(reads) // 2
                    await self._settle(reads[:middle])
                    reads = reads[middle:]
                else:
                    strip_row_values(error)
                    log.exception("%s cannot take a record of %s", self.aggregate.name, reads[0].record.topic)
                    self._outcomes.append(False)
                    await self._halt_on_many_failures()
                    failed = f"{type(error).__name__}: {error}"
                    reads = [
                        ParsedRecord(
                            reads[0].record, None, DeadLetter(reads[0].record, DeadLetterReason.FAILED, failed)
                        )
                    ]

    async def _back_off(self, attempt: int, error: Exception) -> None:
        self.runner.counters.add("retried", type(error).__name__)
        pause = min(10.0, 0.05 * 2 ** min(attempt, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
        log.warning("%s waits %.2f s and tries again: %s", self.aggregate.name, pause, type(error).__name__)
        await self._pause(pause)

    async def _halt_on_many_failures(self) -> None:
        """Most records fail: hold still rather than park a whole topic on a bad deploy."""
        window = self._outcomes
        while len(window) >= 50 and window.count(False) > HALT_SHARE * len(window):
            if not self.halted:
                log.error("%s halts: more than half of its last records failed; mend and restart", self.aggregate.name)
            self.halted = True
            await self._pause(5)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not into a shutdown: then the batch is left as it is, and comes again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        if self.stopping.is_set():
            raise StoppedError("the service stops while a batch cannot be taken")

    async def _transact(self, reads: Sequence[ParsedRecord]) -> int:
        """One transaction: inbox, states, outbox, dead letters; then wake the relay. Gives how many were applied."""
        async with self.pool.acquire() as conn, conn.transaction():
            admitted, parkings = await self._admit(conn, reads)
            failpoint("after_inbox")
            await self.runner.apply(conn, self.aggregate, admitted)
            await self._store_dead_letters(conn, parkings)
            failpoint("before_commit")
        failpoint("after_commit")
        self.wake_relay()
        return len(admitted)

    async def _admit(self, conn: Connection, reads: Sequence[ParsedRecord]) -> tuple[list[Incoming], list[DeadLetter]]:
        name = self.aggregate.name
        taken = [(read.record, read.event) for read in reads if read.event is not None]
        marks = [inbox.event_key(name, event) for _, event in taken]
        keys = [dead_letters.text_key(record) for record, _ in taken]
        admission = await inbox.admit(conn, name, reads[0].record.topic, marks, keys)
        fresh, admitted = set(admission.fresh), []
        parkings = [read.dead_letter for read in reads]
        for (record, event), mark, key in zip(taken, marks, keys, strict=True):
            if key in admission.blocked_keys:
                parkings.append(DeadLetter(record, DeadLetterReason.BEHIND, "an earlier event of this key is parked"))
            elif mark in fresh:
                fresh.discard(mark)
                trace = carrier_of(dead_letters.text_headers(record.headers)) if record.headers else None
                admitted.append(Incoming(event, trace))
            else:
                self.runner.counters.add("ignored", "duplicate")
        return admitted, [dead_letters for dead_letters in parkings if dead_letters is not None]

    async def _store_dead_letters(self, conn: Connection, parkings: Sequence[DeadLetter]) -> None:
        if not parkings:
            return
        topic = self.runner.topic_prefix + dead_letter_topic(self.runner.service)
        name = self.aggregate.name
        await dead_letters.store(conn, name, parkings)
        await outbox.write(conn, [dead_letters.outbox_row(topic, self.runner.service, name, one) for one in parkings])
        for one in parkings:
            self.runner.counters.add("dead_lettered", one.reason)
