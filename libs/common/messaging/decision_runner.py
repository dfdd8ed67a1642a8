"""The batched shell around a pure core (design section 6).

`Shell.apply` takes events of one aggregate through load, decide, save and outbox inside a transaction that the caller
holds: a handful of round trips however many events there are. Kafka batches, HTTP commands, due timers and replayed
records all come through here, so that a thing is decided in one way only.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from opentelemetry.trace import SpanKind
from pydantic_core import to_json

from libs.common.decisions.clock import Clock
from libs.common.decisions.facts import Anomaly, CancelTimer, Facts, Ignored, Record, SetTimer, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.personal import is_personal
from libs.common.events.registry import AnyEvent, encode_own, event_class, schema_name
from libs.common.messaging import outbox
from libs.common.postgres.pool import Connection
from libs.common.privacy.erasure import redact_erased
from libs.common.telemetry.tracing import Carrier, Counters, Tracing, issue_attributes

log = logging.getLogger(__name__)

S = TypeVar("S")


class Aggregate(Protocol[S]):
    """What a service gives the shell: where its states are, and how it decides. `name` is the inbox consumer."""

    @property
    def name(self) -> str: ...

    def key_of(self, event: AnyEvent) -> str | None:
        """The key of the state that this event is for; None where it is for none of ours."""

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, S]:
        """The states of these keys, locked in key order."""

    def decide(self, state: S | None, event: AnyEvent, now: datetime) -> tuple[S | None, Facts]:
        """Pure and total: every event in every state has an outcome."""

    async def save(self, conn: Connection, changed: Mapping[str, S], records: Sequence[Record]) -> None:
        """Write changed states and the service's own rows."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """An event on its way into a decision, with the trace it belongs to."""

    event: AnyEvent
    trace: Carrier | None = None


Claim = Callable[[Connection], Awaitable[Callable[[AnyEvent], bool]]]
"""Run once the states are locked; tells of each event whether it still stands."""


@dataclass
class _BatchEffects:
    """What the decisions of one batch came to."""

    moment: bytes
    rows: list[outbox.OutboxRow] = field(default_factory=list)
    timers: dict[tuple[str, str], tuple[SetTimer | CancelTimer, Carrier | None]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)


@dataclass
class DecisionRunner:
    """One service's way of carrying out decisions."""

    service: str
    clock: Clock
    tracing: Tracing
    counters: Counters = field(default_factory=Counters)
    topic_prefix: str = ""
    # A random name for this run and a number: as unique as a random id for each event, and far cheaper.
    _run: str = field(default_factory=lambda: uuid4().hex)
    _count: Iterator[int] = field(default_factory=count)
    _source: str = field(init=False)

    def __post_init__(self) -> None:
        self._source = f"/{self.service}"

    def event(self, payload: Payload, *, id: str | None = None, source: str | None = None) -> AnyEvent:
        """Wrap a payload into an envelope of now; `source` is this service unless told otherwise."""
        return event_class(type(payload)).model_construct(
            id=id or self._next_id(),
            source=source or self._source,
            type=payload.TYPE,
            subject=payload.key if hasattr(payload, "TOPIC") else None,
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
        """Decide on events in their order and write all that follows; gives the facts of each event."""
        incoming = await _redact_erased(conn, incoming)
        keys = [_key(aggregate, item.event) for item in incoming]
        wanted = sorted({key for key in keys if key is not None})
        if not wanted:
            return [() for _ in incoming]
        loaded = await aggregate.load(conn, wanted, [item.event for item in incoming])
        stands = await claim(conn) if claim else None
        states: dict[str, Any] = dict(loaded)
        changed: dict[str, Any] = {}
        outcomes: list[Facts] = []
        now = self.clock.now()
        harvest = _BatchEffects(to_json(now))
        for item, key in zip(incoming, keys, strict=True):
            if key is None or (stands and not stands(item.event)):
                outcomes.append(())
                continue
            before = states.get(key)
            after, facts = self._decide(aggregate, before, item, now, key, harvest)
            if after is not before and after is not None:
                states[key] = changed[key] = after
            outcomes.append(facts)
        if changed or harvest.records:
            await aggregate.save(conn, changed, harvest.records)
        await outbox.write_effects(conn, harvest.rows, aggregate.name, harvest.timers)
        return outcomes

    def _decide(
        self, aggregate: Aggregate[Any], state: Any, item: Incoming, now: datetime, key: str, harvest: _BatchEffects
    ) -> tuple[Any, Facts]:
        event = item.event
        if item.trace is None and not self.tracing.enabled:
            after, facts = aggregate.decide(state, event, now)
            for fact in facts:
                self._collect(aggregate, fact, key, event, None, harvest)
            return after, facts
        fired = isinstance(event.data, TimerFired)
        name = f"timer {event.data.name}" if isinstance(event.data, TimerFired) else f"process {event.type}"
        attributes = partial(self._attributes, event)
        with self.tracing.span(name, SpanKind.CONSUMER, item.trace, attributes, link=fired) as trace:
            after, facts = aggregate.decide(state, event, now)
            for fact in facts:
                self._collect(aggregate, fact, key, event, trace, harvest)
        return after, facts

    def _collect(
        self,
        aggregate: Aggregate[Any],
        fact: Any,
        key: str,
        event: AnyEvent,
        trace: Carrier | None,
        harvest: _BatchEffects,
    ) -> None:
        # Payloads are told by a look at the class: pydantic's classes make `isinstance` dear.
        if hasattr(fact, "TOPIC"):
            harvest.rows.append(self.outbox_row(fact, trace, harvest.moment))
            return
        match fact:
            case Record():
                harvest.records.append(fact)
            case SetTimer(name=name) | CancelTimer(name=name):
                harvest.timers[key, name] = (fact, trace)
            case Ignored(reason=reason):
                self.counters.add("ignored", reason)
            case Anomaly(reason=reason, detail=detail):
                self.counters.add("anomaly", reason)
                log.warning("anomaly in %s: %s %s (%s %s)", aggregate.name, reason, detail, event.type, event.id)
            case _:
                raise TypeError(f"{aggregate.name}.decide gave {type(fact).__name__}, which is not a fact")

    def outbox_row(self, payload: Payload, trace: Carrier | None, moment: bytes | None = None) -> outbox.OutboxRow:
        """The event of this payload on its way out; `moment` is the time of a whole batch, as JSON."""
        topic = self.topic_prefix + payload.TOPIC.name
        sent = self.tracing.sent(payload, topic, trace)
        key = payload.key
        value = encode_own(payload, key, self._next_id(), self._source, moment or to_json(self.clock.now()))
        return outbox.OutboxRow(topic, key, value, sent)

    def _next_id(self) -> str:
        return f"{self._run}.{next(self._count)}"

    def _attributes(self, event: AnyEvent) -> dict[str, str | int]:
        return {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.message.id": event.id,
            "event.type": event.type,
            **({"messaging.destination.name": self._topic(event)} if hasattr(event.data, "TOPIC") else {}),
            **issue_attributes(event.data),
        }

    def _topic(self, event: AnyEvent) -> str:
        return self.topic_prefix + event.data.TOPIC.name


async def _redact_erased(conn: Connection, incoming: Sequence[Incoming]) -> Sequence[Incoming]:
    if not any(is_personal(item.event) for item in incoming):
        return incoming
    events = await redact_erased(conn, [item.event for item in incoming])
    return [Incoming(event, item.trace) for event, item in zip(events, incoming, strict=True)]


def _key(aggregate: Aggregate[Any], event: AnyEvent) -> str | None:
    if type(event.data) is TimerFired:  # `isinstance` is dear where it is false, of pydantic's classes
        return event.subject
    return aggregate.key_of(event)
