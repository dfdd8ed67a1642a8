"""Ways in which the plumbing could be wrong, each put in place of the right one to prove that the auditor sees it.

Only `tests.faults.single_process` imports this, at the wish of its command line: nothing that ships knows of it, and no
setting of a service leads here. A provocation is no fault of the plumbing: it brings about the moment in which a mutant
differs from what is right, and the right plumbing must get over it.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from libs.common.messaging import broker, inbox, outbox, relay
from libs.common.messaging.consumer import Consumer
from libs.common.messaging.failpoints import failpoint
from libs.common.postgres.pool import ConflictError
from libs.common.runtime import kafka_consumers

Change = Callable[[], None]


def inbox_off() -> None:
    """Whatever comes is new, however often it comes."""
    right = inbox.admit

    async def admit(conn: Any, aggregate: str, topic: str, keys: Sequence[bytes], kafka_keys: Sequence[str]) -> Any:
        found = await right(conn, aggregate, topic, [], kafka_keys[:0])
        return inbox.Admission(fresh=set(keys), blocked_keys=found.blocked_keys)

    _replace(inbox, "admit", admit)


def offsets_first() -> None:
    """Offsets are committed before the batch is taken."""
    right: Any = broker.subscribe

    def subscribe(*arguments: Any, **options: Any) -> Any:
        *others, take = arguments

        async def too_late(records: Any) -> None:
            await subscriber.consumer.commit()
            await take(records)

        subscriber = right(*others, too_late, **options)
        return subscriber

    _replace(kafka_consumers, "subscribe", subscribe)


def outbox_outside() -> None:
    """Events are written after the transaction that they tell of, in one of their own."""
    later: ContextVar[list[Any]] = ContextVar("later")
    right_write, right_transact = outbox.write_effects, Consumer._transact

    async def write_effects(conn: Any, rows: Any, aggregate: str = "", timers: Any = None) -> None:
        waiting = later.get(None)
        if waiting is None:
            await right_write(conn, rows, aggregate, timers)
            return
        waiting.extend(rows)
        await right_write(conn, (), aggregate, timers)

    async def transact(self: Consumer, reads: Any) -> int:
        waiting: list[Any] = []
        token = later.set(waiting)
        try:
            applied = await right_transact(self, reads)
        finally:
            later.reset(token)
        if waiting:
            failpoint("outbox_outside")
            async with self.pool.acquire() as conn:
                await right_write(conn, waiting)
            self.wake_relay()
        return applied

    _replace(outbox, "write_effects", write_effects)
    _replace(Consumer, "_transact", transact)


def relay_without_lock() -> None:
    """Every process relays, whoever else does."""
    _replace(relay, "_LOCK", "SELECT true")


def unordered_retry() -> None:
    """A batch that is tried again is taken in another order. Needs `failing_first`."""
    right = Consumer._transact
    tried: set[int] = set()

    async def transact(self: Consumer, reads: Any) -> int:
        again = id(reads[0]) in tried
        tried.update(id(read) for read in reads)
        return await right(self, list(reversed(reads)) if again else reads)

    _replace(Consumer, "_transact", transact)


def failing_first() -> None:
    """Provocation: each batch fails the first time, in a way that passes by itself."""
    right = Consumer._transact
    seen: set[tuple[str, int, int]] = set()

    async def transact(self: Consumer, reads: Any) -> int:
        places = {(read.record.topic, read.record.partition, read.record.offset) for read in reads}
        if not places <= seen:
            seen.update(places)
            raise ConflictError("provoked")
        return await right(self, reads)

    _replace(Consumer, "_transact", transact)


def slow_relay() -> None:
    """Provocation: between reading the outbox and publishing, time passes in which another relay could read it too."""
    right = relay.publish

    async def publish(producer: Any, rows: Any) -> Any:
        await asyncio.sleep(0.5)
        return await right(producer, rows)

    _replace(relay, "publish", publish)


def _replace(owner: Any, name: str, wrong: Any) -> None:
    if not hasattr(owner, name):
        raise AttributeError(f"{owner.__name__} has no {name} any more; the mutant that replaces it proves nothing")
    setattr(owner, name, wrong)


MUTANTS: dict[str, Change] = {
    change.__name__: change
    for change in (inbox_off, offsets_first, outbox_outside, relay_without_lock, unordered_retry)
}
PROVOCATIONS: dict[str, Change] = {change.__name__: change for change in (failing_first, slow_relay)}
