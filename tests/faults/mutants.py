"""Mutants of messaging and of corrections, each put in place of the right code to prove that the checker detects it.

Only `tests.faults.single_process` imports this, as configured by its environment; no shipped code refers to it. A
provocation is no mutant: it brings about the moment in which a mutant differs, and correct code must get over it.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

from libs.common.events.change_requests import OrderChangeAnswered
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAccepted
from libs.common.events.storefront import OrderChanged, OrderRefunded
from libs.common.messaging import broker, inbox, outbox, relay
from libs.common.messaging.consumer import Consumer
from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.rebalance import GivenBack, Records
from libs.common.postgres.pool import ConflictError
from libs.common.runtime import kafka_reader
from services.delivery_notify.domain import decide as notice_decisions
from services.intake.evidence.storage import EvidenceFiles
from services.intake.insights.cluster_decisions import ClusterDecision
from services.partners.domain.retry_ladder import AttemptResult
from services.partners.store import deliveries, received
from services.returns.domain import ledger_decisions
from services.returns.domain.handlers import order_watch
from services.returns.store import order_snapshots

Change = Callable[[], None]


def inbox_off() -> None:
    """Every event counts as new, also repeated ones."""
    right = inbox.admit

    async def admit(conn: Any, arrivals: Sequence[inbox.Arrival]) -> Any:
        admission = await right(conn, [])
        return inbox.Admission(fresh={arrival.mark.key for arrival in arrivals}, known={}, blocked=admission.blocked)

    _replace(inbox, "admit", admit)


def offsets_first() -> None:
    """Offsets are committed before the batch is processed."""
    right: Any = broker.subscribe

    def subscribe(*arguments: Any) -> Any:
        *others, take, counters = arguments

        async def too_late(records: Records) -> Collection[GivenBack]:
            await listener.consumer.commit()
            given_back: Collection[GivenBack] = await take(records)
            return given_back

        listener = right(*others, too_late, counters)
        return listener

    _replace(kafka_reader, "subscribe", subscribe)


def outbox_outside() -> None:
    """Events are written after their transaction, in one of their own.

    The step `outbox_outside` is passed only where an acceptance is among them: its loss is a report that ends nowhere,
    in whatever order the batches of the services come. Another batch may hold nothing that anybody would miss, such as
    the promise of a date that the order states already.
    """
    later: ContextVar[list[Any]] = ContextVar("later")
    right_write, right_transact = outbox.write_effects, Consumer._transact

    async def write_effects(conn: Any, rows: Any, aggregate: str = "", timers: Any = None) -> None:
        waiting = later.get(None)
        if waiting is None:
            await right_write(conn, rows, aggregate, timers)
            return
        waiting.extend(rows)
        await right_write(conn, (), aggregate, timers)

    async def transact(self: Consumer, reads: Any) -> Any:
        waiting: list[Any] = []
        token = later.set(waiting)
        try:
            applied = await right_transact(self, reads)
        finally:
            later.reset(token)
        if waiting:
            if any(row.type == IssueAccepted.TYPE for row in waiting):
                failpoint("outbox_outside")
            async with self.pool.acquire() as conn:
                await right_write(conn, waiting)
            self.wake_relay()
        return applied

    _replace(outbox, "write_effects", write_effects)
    _replace(Consumer, "_transact", transact)


def relay_without_lock() -> None:
    """Every process relays, without the lock."""
    _replace(relay, "_LOCK", "SELECT true")


def unordered_retry() -> None:
    """A retried batch is processed in reverse order. Needs `failing_first`."""
    right = Consumer._transact
    tried: set[int] = set()

    async def transact(self: Consumer, reads: Any) -> Any:
        again = id(reads[0]) in tried
        tried.update(id(read) for read in reads)
        return await right(self, list(reversed(reads)) if again else reads)

    _replace(Consumer, "_transact", transact)


def changes_ignored() -> None:
    """The money of an order stays as it was placed, whatever the shop changes later."""
    _replace_handler(OrderChanged)


def addresses_ignored() -> None:
    """The address of an order stays as it was placed, whatever the shop changes later."""
    _replace(order_snapshots, "_with_changed", lambda before, _: before)


def shop_refunds_ignored() -> None:
    """The money that the shop paid back by itself is not counted."""
    _replace_handler(OrderRefunded)


def _replace_handler(event: type[Payload]) -> None:
    handlers = ledger_decisions.LEDGER_HANDLERS
    if not isinstance(handlers, dict) or event not in handlers:
        raise AttributeError(f"{event.__name__} has no handler of its own any more; the mutant proves nothing")
    handlers[event] = lambda *_: None


def refund_unsubscribed() -> None:
    """Loyalty does not subscribe to a type that its document promises to consume."""
    right = kafka_reader.KafkaReader.subscribe

    def subscribe(self: Any, aggregate: Any, payload_types: Sequence[type[Payload]], promptly: Any) -> None:
        forgotten = OrderRefunded if aggregate.name == "orders" and self._service == "loyalty" else None
        right(self, aggregate, [each for each in payload_types if each is not forgotten], promptly)

    _replace(kafka_reader.KafkaReader, "subscribe", subscribe)


def webhooks_unordered() -> None:
    """Events are sent without waiting for earlier ones of their key, the newest of all first."""
    claim = deliveries._CLAIM
    start, end = claim.index("AND NOT EXISTS"), claim.index("ORDER BY d.position LIMIT")
    newest = "ORDER BY d.position DESC LIMIT least(1, $2)"
    wrong = claim[:start] + claim[end:].replace("ORDER BY d.position LIMIT $2", newest, 1)
    _replace(deliveries, "_CLAIM", wrong)


def webhooks_never_repeated() -> None:
    """Any answer counts as delivered, also a refusal."""
    _replace(AttemptResult, "is_delivered", True)


def taken_unpublished() -> None:
    """Events of partners are answered 202, and their outbox rows are not written."""

    async def write(conn: Any, rows: Any) -> None:
        """Drop the events of partners; the outbox of the other services stays as it is."""

    _replace(received, "outbox", SimpleNamespace(write=write, OutboxRow=outbox.OutboxRow))


def photos_unwritten() -> None:
    """A photo is answered before it is in the evidence store, and never written."""

    async def put(self: Any, prepared: Any) -> None:
        """Write nothing."""

    _replace(EvidenceFiles, "put", put)


def arrivals_ignored() -> None:
    """A parcel that was reported as lost arrives, and its case goes on as if it had not."""

    def follow_no_arrival(decision: Any, order: Any) -> None:
        """Notice nothing."""

    _replace(order_watch, "_follow_arrivals", follow_no_arrival)


def answers_ignored() -> None:
    """The shop's answers to wishes are not looked at."""
    handlers = notice_decisions.HANDLERS
    if not isinstance(handlers, dict) or OrderChangeAnswered not in handlers:
        raise AttributeError("the shop's answers have no handler of their own any more; the mutant proves nothing")
    handlers[OrderChangeAnswered] = lambda *_: None


def buyers_forgotten() -> None:
    """A faulty lot is held, and its buyers are not warned."""

    def warn_nobody(decision: Any) -> None:
        """Warn nobody."""

    _replace(ClusterDecision, "warn_buyers", warn_nobody)


def failing_first() -> None:
    """Provocation: each batch fails at its first attempt with a transient error."""
    right = Consumer._transact
    seen: set[tuple[str, int, int]] = set()

    async def transact(self: Consumer, reads: Any) -> Any:
        positions = {(read.record.topic, read.record.partition, read.record.offset) for read in reads}
        if not positions <= seen:
            seen.update(positions)
            raise ConflictError("provoked")
        return await right(self, reads)

    _replace(Consumer, "_transact", transact)


def slow_relay() -> None:
    """Provocation: a delay between reading the outbox and publishing, in which another relay could read
    the same rows."""
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
    for change in (
        inbox_off,
        offsets_first,
        outbox_outside,
        relay_without_lock,
        unordered_retry,
        changes_ignored,
        addresses_ignored,
        shop_refunds_ignored,
        refund_unsubscribed,
        webhooks_unordered,
        webhooks_never_repeated,
        taken_unpublished,
        photos_unwritten,
        arrivals_ignored,
        answers_ignored,
        buyers_forgotten,
    )
}
PROVOCATIONS: dict[str, Change] = {change.__name__: change for change in (failing_first, slow_relay)}
