"""Batch consumer: inbox, decisions, outbox and dead letters of a batch in one transaction.

A batch holds records of any topics of the service. `Consumer.handle` returns when each record is applied, a dead
letter, skipped on purpose, or given back; the offsets are committed after that.

A batch that fails is taken apart, by topic and then in halves, down to the faulty record, which becomes a dead letter.
After a transient error it is retried, first as it is, then by topic; a topic that still fails is given back to Kafka
for a while, so that it does not hold the others up.
"""

import asyncio
import logging
import random
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from time import monotonic
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from libs.common.decisions.backoff import backoff_seconds
from libs.common.events.envelope import Payload
from libs.common.events.registry import (
    AnyEvent,
    NewerVersionError,
    UndecodableError,
    UnknownTypeError,
    decode,
    peek_type,
)
from libs.common.events.sources import source_fault
from libs.common.events.topics import dead_letter_topic
from libs.common.messaging import dead_letters, inbox, outbox, rejections
from libs.common.messaging.dead_letters import DeadLetter, DeadLetterReason
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner, Incoming
from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.faults import fault_of
from libs.common.messaging.rebalance import GivenBack, Records
from libs.common.messaging.signal import WakeSignal
from libs.common.messaging.subscription import Subscription
from libs.common.postgres.pool import Connection, Pool, describe, is_transient, strip_row_values
from libs.common.privacy.customer_merges import rank
from libs.common.telemetry import log_context
from libs.common.telemetry.trace_context import Carrier, carrier_of_record

log = logging.getLogger(__name__)

HALT_WINDOW = 200
HALT_FAILURES = 50
"""Failures among the last records of a topic from which it is halted, where they outnumber the applied records: the
fault is then in this deployment. A key that fails by one fault counts once, however often it is repeated."""

HALT_SECONDS, MAX_HALT_SECONDS = 30.0, 600.0
"""Duration of the first halt of a topic, doubled by each one in succession, and of the longest. It ends by itself: if
the records are at fault after all, they become dead letters a few at a time."""

ATTEMPTS = 3
"""Attempts of a batch on transient errors before it is taken apart and given back."""


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """A record with its event, or with the dead letter that it becomes."""

    record: "ConsumerRecord[Any, Any]"
    subscription: Subscription
    event: AnyEvent | None
    dead_letter: DeadLetter | None = None

    @property
    def aggregate(self) -> Aggregate[Any]:
        return self.subscription.aggregate

    @property
    def topic(self) -> str:
        return self.subscription.topic

    @property
    def trace(self) -> Carrier | None:
        return carrier_of_record(self.record.headers) if self.record.headers else None

    @property
    def partition(self) -> TopicPartition:
        return TopicPartition(self.record.topic, self.record.partition)


Batch = Sequence[ParsedRecord]


def _log_failure(failed: ParsedRecord) -> None:
    record = failed.record
    message = "failed to apply record aggregate=%s topic=%s partition=%d offset=%d"
    with log_context.about(failed.event, failed.trace):
        log.exception(message, failed.aggregate.name, record.topic, record.partition, record.offset)


@dataclass
class Consumer:
    """Consumes batches of records of these subscriptions; payload types that they do not accept are skipped."""

    runner: DecisionRunner
    pool: Pool
    subscriptions: Sequence[Subscription]
    wake_relay: WakeSignal
    halted: dict[str, float] = field(default_factory=dict)
    """Topics of which most records failed, with the time of the monotonic clock at which they are tried again."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _by_topic: dict[str, tuple[Subscription, frozenset[type[Payload]]]] = field(init=False)
    _outcomes: dict[str, deque[tuple[str, str] | None]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=HALT_WINDOW))
    )
    """Of the last records of each topic: key and fault of a failed one, None for an applied one."""
    _halts: Counter[str] = field(default_factory=Counter)
    """Number of halts in succession, by topic."""
    _given_back: dict[TopicPartition, GivenBack] = field(default_factory=dict)
    """Partitions of the current batch of which records were given back."""
    _failures: Counter[TopicPartition] = field(default_factory=Counter)
    """Number of times in succession that each partition was given back."""

    def __post_init__(self) -> None:
        prefix = self.runner.topic_prefix
        self._by_topic = {prefix + each.topic: (each, frozenset(each.payload_types)) for each in self.subscriptions}

    async def handle(self, records: Records) -> Collection[GivenBack]:
        """Process a batch, in order per partition; return what was given back when the rest is committed."""
        failpoint("after_fetch")
        self._given_back = {}
        parsed = [each for record in records if (each := self._parse(record)) is not None]
        prompt = [each for each in parsed if each.subscription.prompt]
        for batch in (prompt, [each for each in parsed if not each.subscription.prompt]):
            await self._settle(batch)
        failpoint("before_offsets")
        return self._given_back.values()

    def _parse(self, record: "ConsumerRecord[Any, Any]") -> ParsedRecord | None:
        subscription, accepted = self._by_topic[record.topic]
        answers = rejections.answers_for(self.runner.service, self._partners_topic(record))
        known = peek_type(record.value or b"")
        if known is not None and known not in accepted and not answers:
            return None
        try:
            event = decode(record.value or b"")
        except NewerVersionError:
            self.runner.counters.add("ignored", "newer_version")
            return None
        except UndecodableError as error:
            is_unknown = isinstance(error, UnknownTypeError)
            reason = DeadLetterReason.UNKNOWN_TYPE if is_unknown else DeadLetterReason.UNDECODABLE
            return self._refused(record, subscription, DeadLetter(record, reason, str(error), error.faults))
        is_accepted = type(event.data) in accepted
        if (is_accepted or answers) and (fault := source_fault(event, self._partners_topic(record))):
            return self._refused(record, subscription, DeadLetter(record, DeadLetterReason.FORBIDDEN_SOURCE, fault))
        return ParsedRecord(record, subscription, event) if is_accepted else None

    def _refused(
        self, record: "ConsumerRecord[Any, Any]", subscription: Subscription, letter: DeadLetter
    ) -> ParsedRecord | None:
        """Return the record as a dead letter, unless another reader of its topic keeps it for all."""
        if rejections.is_kept_elsewhere(self.runner.service, self._partners_topic(record), letter.reason):
            self.runner.counters.add("ignored", "kept_elsewhere")
            return None
        return ParsedRecord(record, subscription, None, letter)

    def _partners_topic(self, record: "ConsumerRecord[Any, Any]") -> str:
        return str(record.topic).removeprefix(self.runner.topic_prefix)

    async def _settle(self, batch: Batch, attempt: int = 0) -> None:
        while batch := self._still_held(batch):
            try:
                applied = await self._transact(batch)
            except Exception as error:
                if is_transient(error):
                    attempt += 1
                    batch = await self._retry(batch, attempt, error)
                elif len(batch) > 1:
                    for part in _parts(batch):
                        await self._settle(part)
                    return
                else:
                    batch = self._reject(batch[0], error)
            else:
                self._note_applied(applied)
                return

    def _still_held(self, batch: Batch) -> Batch:
        """Leave out records behind one that was given back, and those of halted topics, which are given back here."""
        for topic, until in list(self.halted.items()):
            left = until - monotonic()
            if left <= 0:
                del self.halted[topic]
            elif halted := [each for each in batch if each.topic == topic]:
                self._return(halted, left)
        return [each for each in batch if each.partition not in self._given_back] if self._given_back else batch

    async def _retry(self, batch: Batch, attempt: int, error: Exception) -> Batch:
        """Wait before the next attempt; after the last one settle the batch by topic, or give it back."""
        self.runner.counters.add("retried", type(error).__name__)
        if attempt < ATTEMPTS and not self.stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_pause(attempt)):
                    await self.stopping.wait()
            return batch
        parts = _by_topic(batch)
        if len(parts) > 1:
            for part in parts:
                await self._settle(part, attempt)
            return ()
        self._failures.update({each.partition for each in batch})
        pause = _pause(ATTEMPTS + max(self._failures[each.partition] for each in batch))
        log.warning("gave back batch topic=%s for=%.2fs error=%s", batch[0].topic, pause, type(error).__name__)
        self._return(batch, pause)
        return ()

    def _reject(self, failed: ParsedRecord, error: Exception) -> Batch:
        """Return the dead letter of a record that cannot be applied; halt a topic of which most records fail."""
        strip_row_values(error)
        _log_failure(failed)
        window = self._outcomes[failed.topic]
        window.append((dead_letters.text_key(failed.record), fault_of(error)))
        failures = len(set(window) - {None})
        if failures >= HALT_FAILURES and failures > window.count(None):
            self._halt(failed.topic)
        letter = DeadLetter(failed.record, DeadLetterReason.FAILED, describe(error))
        return [replace(failed, event=None, dead_letter=letter)]

    def _halt(self, topic: str) -> None:
        seconds = backoff_seconds(HALT_SECONDS, self._halts[topic], longest=MAX_HALT_SECONDS)
        self._halts[topic] += 1
        self._outcomes[topic].clear()
        self.halted[topic] = monotonic() + seconds
        log.error("halted topic=%s for=%.0fs: most records failed; fix them or this release", topic, seconds)

    def _return(self, batch: Batch, seconds: float | None) -> None:
        for each in batch:
            self._given_back.setdefault(each.partition, GivenBack(each.partition, each.record.offset, seconds))

    def _note_applied(self, applied: Batch) -> None:
        for each in applied:
            window = self._outcomes[each.topic]
            window.append(None)
            if each.topic in self._halts and window.count(None) >= HALT_FAILURES:
                del self._halts[each.topic]
            if self._failures:
                self._failures.pop(each.partition, None)

    async def _transact(self, batch: Batch) -> Batch:
        """Commit a batch in one transaction and signal the relay; return the applied records."""
        async with self.pool.acquire() as conn, conn.transaction():
            admitted, letters = await self._admit(conn, batch)
            failpoint("after_inbox")
            outcomes = []
            for aggregate, records in _by_aggregate(admitted):
                incoming = [Incoming(each.event, each.trace) for each in records if each.event is not None]
                outcomes.extend(await self.runner.apply(conn, aggregate, incoming))
            await self._store_dead_letters(conn, letters)
            failpoint("before_commit")
        failpoint("after_commit")
        self.wake_relay()
        self.runner.committed(outcomes)
        return admitted

    async def _admit(self, conn: Connection, batch: Batch) -> tuple[list[ParsedRecord], list[ParsedRecord]]:
        """Return the new records, and those that become dead letters."""
        admitted: list[ParsedRecord] = []
        letters = [each for each in batch if each.dead_letter]
        decoded = [(each, each.event) for each in batch if each.event is not None]
        arrivals = [
            inbox.Arrival(
                inbox.mark_of(each.aggregate.name, event),
                (each.aggregate.name, each.record.topic, dead_letters.text_key(each.record)),
            )
            for each, event in decoded
        ]
        admission = await inbox.admit(conn, arrivals)
        fresh, known = set(admission.fresh), dict(admission.known)
        for (each, event), arrival in zip(decoded, arrivals, strict=True):
            mark = arrival.mark
            if arrival.place in admission.blocked:
                error = "an earlier event of this key is a dead letter"
                letters.append(replace(each, dead_letter=DeadLetter(each.record, DeadLetterReason.BLOCKED, error)))
            elif mark.key in fresh:
                fresh.discard(mark.key)
                known[mark.key] = mark.content
                admitted.append(each)
            elif known.get(mark.key, mark.content) == mark.content:
                self.runner.counters.add("ignored", "duplicate")
            else:
                letters.append(replace(each, dead_letter=self._id_reused(each, event)))
        return admitted, letters

    def _id_reused(self, each: ParsedRecord, event: AnyEvent) -> DeadLetter:
        self.runner.counters.add("anomaly", "id_reused")
        with log_context.about(event, each.trace):
            log.warning("detected anomaly aggregate=%s reason=id_reused topic=%s", each.aggregate.name, each.topic)
        error = f"id: {event.id!r} of source {event.source!r} was used before for another payload; use a new id"
        return DeadLetter(each.record, DeadLetterReason.ID_REUSED, error)

    async def _store_dead_letters(self, conn: Connection, failed: Batch) -> None:
        topic, service = self.runner.topic_prefix + dead_letter_topic(self.runner.service), self.runner.service
        for aggregate, records in _by_aggregate(failed):
            letters = [each.dead_letter for each in records if each.dead_letter]
            await dead_letters.store(conn, aggregate.name, letters)
            await outbox.write(
                conn, [dead_letters.outbox_row(topic, service, aggregate.name, letter) for letter in letters]
            )
            await self._answer(conn, letters)
            for letter in letters:
                self.runner.counters.add("dead_lettered", letter.reason)

    async def _answer(self, conn: Connection, letters: Sequence[DeadLetter]) -> None:
        """Name all faults of refused events to their author."""
        now = self.runner.clock.now()
        answers = [
            rejections.rejection(self.runner.service, self._partners_topic(letter.record), letter, now)
            for letter in letters
        ]
        await outbox.write(conn, [self.runner.outbox_row(answer, None) for answer in answers if answer])


def _pause(attempt: int) -> float:
    """Return seconds to wait after this many attempts, with jitter."""
    return backoff_seconds(0.05, attempt, longest=10.0, jitter=random.random())  # noqa: S311


def _by_topic(batch: Batch) -> list[Batch]:
    topic = attrgetter("topic")
    return [list(part) for _, part in groupby(sorted(batch, key=topic), topic)]


def _by_aggregate(batch: Batch) -> list[tuple[Aggregate[Any], Batch]]:
    """Return the records of each aggregate, in their order; aggregates in a fixed order, so that locks are, too."""
    names: dict[str, list[ParsedRecord]] = {}
    for each in batch:
        names.setdefault(each.aggregate.name, []).append(each)
    return [(names[name][0].aggregate, names[name]) for name in sorted(names, key=rank)]


def _parts(batch: Batch) -> list[Batch]:
    """Return the batch by topic, or in two halves if it holds one topic."""
    by_topic, middle = _by_topic(batch), len(batch) // 2
    return by_topic if len(by_topic) > 1 else [batch[:middle], batch[middle:]]
