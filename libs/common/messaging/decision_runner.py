"""Batched execution of pure decisions: load, decide, save and outbox in one transaction.

`DecisionRunner.apply` needs a constant number of round trips per batch. Kafka batches, HTTP commands, due timers and
replayed dead letters all use it.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from time import perf_counter
from typing import Any, Protocol, TypeVar

from opentelemetry.trace import SpanKind
from pydantic_core import to_json

from libs.common.decisions.clock import Clock
from libs.common.decisions.facts import Anomaly, CancelTimer, Facts, Ignored, Record, SetTimer, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.personal import is_personal
from libs.common.events.registry import AnyEvent, encode_own, event_class, schema_name
from libs.common.events.sources import service_source
from libs.common.messaging import outbox
from libs.common.messaging.anomaly_reports import anomaly_report
from libs.common.messaging.decision_metrics import DecisionMetrics
from libs.common.messaging.event_ids import new_event_id
from libs.common.messaging.time_slices import TimeSlices
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import CurrentCustomers
from libs.common.privacy.erasure import redact_erased
from libs.common.telemetry import log_context
from libs.common.telemetry.counters import Counters
from libs.common.telemetry.span_encoding import span_template
from libs.common.telemetry.trace_context import Carrier, is_sampled
from libs.common.telemetry.tracing import Tracing, issue_attributes

log = logging.getLogger(__name__)

S = TypeVar("S")


class Aggregate(Protocol[S]):
    """Storage and decision function of one kind of state. `name` is its consumer name in the inbox."""

    @property
    def name(self) -> str: ...

    @property
    def is_read_model(self) -> bool:
        """True for an aggregate that only records events for queries: a trace has no span per event of it."""

    def key_of(self, event: AnyEvent) -> str | None:
        """Return the key of the state that this event concerns, or None."""

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, S]:
        """Return the states of these keys, locked in key order."""

    def decide(self, state: S | None, event: AnyEvent, now: datetime) -> tuple[S | None, Facts]:
        """Decide on one event. Pure and total: every event in every state has an outcome."""

    async def save(self, conn: Connection, changed: Mapping[str, S], records: Sequence[Record]) -> None:
        """Write changed states and the records among the facts."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """An event to decide on, with its trace context."""

    event: AnyEvent
    trace: Carrier | None = None


Claim = Callable[[Connection], Awaitable[Callable[[AnyEvent], bool]]]
"""Called once the states are locked; returns a predicate for the events that are still valid."""


@dataclass
class _BatchEffects:
    """Collected effects of the decisions of one batch. `time` is the time of its events, as JSON."""

    time: bytes
    rows: list[outbox.OutboxRow] = field(default_factory=list)
    timers: dict[tuple[str, str], tuple[SetTimer | CancelTimer, Carrier | None]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)


@dataclass
class DecisionRunner:
    """Decides on events of one service and writes the effects."""

    service: str
    clock: Clock
    tracing: Tracing
    counters: Counters = field(default_factory=Counters)
    topic_prefix: str = ""
    metrics: DecisionMetrics | None = None
    due_at_once: set[str] = field(default_factory=set)
    """Aggregates with a new timer that was due when it was set; their timer loops fire it after COMMIT."""
    customers: CurrentCustomers = field(default_factory=CurrentCustomers)

    _source: str = field(init=False)

    def __post_init__(self) -> None:
        self._source = f"/{self.service}"

    def event(self, payload: Payload, *, id: str | None = None, source: str | None = None) -> AnyEvent:
        """Wrap a payload into an envelope with the current time; the default source is this service."""
        return event_class(type(payload)).model_construct(
            id=id or new_event_id(),
            source=source or self._source,
            type=payload.TYPE,
            subject=payload.subject if hasattr(payload, "TOPIC") else None,
            time=self.clock.now(),
            dataschema=schema_name(type(payload)),
            data=payload,
        )

    async def apply(
        self,
        conn: Connection,
        aggregate: Aggregate[Any],
        incoming: Sequence[Incoming],
        claim: Claim | None = None,
    ) -> list[Facts]:
        """Decide on events in order and write all effects; return the facts of each event.

        The caller passes them to `committed` after COMMIT.
        """
        began = perf_counter()
        incoming = await _prepare(conn, incoming, self.customers)
        keys = [_key(aggregate, item.event) for item in incoming]
        wanted = sorted({key for key in keys if key is not None})
        if not wanted:
            return [() for _ in incoming]
        loaded = await aggregate.load(conn, wanted, [item.event for item in incoming])
        is_valid = await claim(conn) if claim else None
        states: dict[str, Any] = dict(loaded)
        changed: dict[str, Any] = {}
        outcomes: list[Facts] = []
        now = self.clock.now()
        effects = _BatchEffects(to_json(now))
        slices, deciding = TimeSlices(), perf_counter()
        for item, key in zip(incoming, keys, strict=True):
            if slices.is_over():
                await slices.pause()
            if key is None or (is_valid and not is_valid(item.event)):
                outcomes.append(())
                continue
            before = states.get(key)
            after, facts = self._decide(aggregate, before, item, now, key, effects)
            if after is not before and after is not None:
                states[key] = changed[key] = after
            outcomes.append(facts)
        deciding = perf_counter() - deciding
        if changed or effects.records:
            await aggregate.save(conn, changed, effects.records)
        await outbox.write_effects(conn, effects.rows, aggregate.name, effects.timers)
        if any(isinstance(fact, SetTimer) and fact.due_at <= now for fact, _ in effects.timers.values()):
            self.due_at_once.add(aggregate.name)
        if self.metrics:
            self.metrics.batch(aggregate.name, len(incoming), perf_counter() - began, deciding)
        return outcomes

    def committed(self, outcomes: Iterable[Facts]) -> None:
        """Count what a transaction published, after its COMMIT."""
        if self.metrics:
            self.metrics.committed(outcomes)

    def _decide(
        self, aggregate: Aggregate[Any], state: Any, item: Incoming, now: datetime, key: str, effects: _BatchEffects
    ) -> tuple[Any, Facts]:
        if not self.tracing.enabled or aggregate.is_read_model:
            return self._decide_in(item.trace, aggregate, state, item.event, now, key, effects)
        return self._decide_in_span(aggregate, state, item, now, key, effects)

    def _decide_in_span(
        self, aggregate: Aggregate[Any], state: Any, item: Incoming, now: datetime, key: str, effects: _BatchEffects
    ) -> tuple[Any, Facts]:
        event = item.event
        fired = type(event.data) is TimerFired
        parent, links = (None, (item.trace,) if item.trace else ()) if fired else (item.trace, ())
        if fired and item.trace and not is_sampled(item.trace):
            parent, links = item.trace, ()
        name = f"timer {event.data.name}" if isinstance(event.data, TimerFired) else f"process {event.type}"
        trace, begin = self.tracing.start(name, SpanKind.CONSUMER, parent)
        if not begin or trace is None:
            return self._decide_in(trace, aggregate, state, event, now, key, effects)
        first, error_type = len(effects.rows), ""
        try:
            return self._decide_in(trace, aggregate, state, event, now, key, effects)
        except Exception as error:
            error_type = type(error).__name__
            raise
        finally:
            attributes = [("messaging.message.id", event.id), *issue_attributes(event.data)]
            if published := " ".join([row.type for row in effects.rows[first:]]):
                attributes.append(("event.published", published))
            if error_type:
                attributes.append(("error.type", error_type))
            template = _template(name, event.type, self._topic(event))
            self.tracing.end(template, trace, parent, begin, attributes, links, failed=bool(error_type))

    def _decide_in(
        self,
        trace: Carrier | None,
        aggregate: Aggregate[Any],
        state: Any,
        event: AnyEvent,
        now: datetime,
        key: str,
        effects: _BatchEffects,
    ) -> tuple[Any, Facts]:
        """Decide with this trace as the current one, and collect the facts."""
        token = log_context.enter(event, trace)
        try:
            after, facts = aggregate.decide(state, event, now)
            for fact in facts:
                self._collect(aggregate, fact, event, key, trace, effects)
        finally:
            log_context.leave(token)
        return after, facts

    def _collect(
        self,
        aggregate: Aggregate[Any],
        fact: Any,
        event: AnyEvent,
        key: str,
        trace: Carrier | None,
        effects: _BatchEffects,
    ) -> None:
        # Payloads are detected by an attribute: `isinstance` is slow with pydantic's classes.
        if hasattr(fact, "TOPIC"):
            effects.rows.append(self.outbox_row(fact, trace, effects.time))
            return
        match fact:
            case Record():
                effects.records.append(fact)
            case SetTimer(name=name) | CancelTimer(name=name):
                effects.timers[key, name] = (fact, trace)
            case Ignored(reason=reason):
                self.counters.add("ignored", reason)
            case Anomaly(reason=reason, detail=detail):
                self.counters.add("anomaly", reason)
                log.warning("detected anomaly aggregate=%s reason=%s detail=%s", aggregate.name, reason, detail)
                if not fact.is_shown:
                    report = anomaly_report(self.service, fact, event, self.clock.now())
                    effects.rows.append(self.outbox_row(report, trace, effects.time))
            case _:
                raise TypeError(f"{aggregate.name}.decide: returned {type(fact).__name__}, which is not a Fact")

    def outbox_row(self, payload: Payload, trace: Carrier | None, time: bytes | None = None) -> outbox.OutboxRow:
        """Return the outbox row of this payload; `time` is the time of its batch, as JSON."""
        source = service_source(self.service, payload.TOPIC)
        value = encode_own(payload, payload.subject, new_event_id(), source, time or to_json(self.clock.now()))
        topic = payload.TOPIC
        return outbox.OutboxRow(
            self.topic_prefix + topic.name, payload.key, value, trace, type=payload.TYPE, personal=topic.personal
        )

    def _topic(self, event: AnyEvent) -> str | None:
        topic = getattr(event.data, "TOPIC", None)
        return self.topic_prefix + topic.name if topic else None


@lru_cache(maxsize=1024)
def _template(name: str, event_type: str, topic: str | None) -> bytes:
    attributes = {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "event.type": event_type,
        **({"messaging.destination.name": topic} if topic else {}),
    }
    return span_template(name, SpanKind.CONSUMER, attributes)


async def _prepare(conn: Connection, incoming: Sequence[Incoming], customers: CurrentCustomers) -> Sequence[Incoming]:
    """Attribute the events to the accounts that remain after merges, and redact those of erased customers.

    An account can have been erased under its former id and under the present one; both are looked up.
    """
    events = [item.event for item in incoming]
    is_any_personal = any(is_personal(event) for event in events)
    prepared = await redact_erased(conn, events) if is_any_personal else events
    current = await customers.attribute(conn, prepared)
    if is_any_personal and current is not prepared:
        current = await redact_erased(conn, current)
    if current is events:
        return incoming
    return [Incoming(event, item.trace) for event, item in zip(current, incoming, strict=True)]


def _key(aggregate: Aggregate[Any], event: AnyEvent) -> str | None:
    if type(event.data) is TimerFired:  # a negative `isinstance` is slow with pydantic's classes
        return event.subject
    return aggregate.key_of(event)
