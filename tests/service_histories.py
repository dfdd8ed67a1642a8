"""Histories of a service on its own database: every fact it reads, through its real aggregates, in one transaction.

A fact reaches each aggregate that subscribes to its type, without an inbox: a repetition is one that comes from another
source, or after the inbox was swept. What the service publishes to itself reaches it as well. The auditor judges what
was published and the rows of the database, as it judges a running shop.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from deploy.verification.auditor import CHECKS, COMMON_QUERIES, ORDER_QUERIES, SERVICE_QUERIES
from deploy.verification.evidence import DatabaseEvidence, Fact, History, Row
from deploy.verification.verdict import run_check
from libs.common.decisions.clock import SystemClock
from libs.common.decisions.facts import Anomaly, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAccepted
from libs.common.events.registry import AnyEvent, encode, event_class
from libs.common.events.topics import STOREFRONT_ORDERS, Direction
from libs.common.messaging.anomaly_reports import anomaly_report
from libs.common.messaging.decision_runner import Aggregate, Incoming
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import rank
from libs.common.runtime.service import Service
from tests.drawn_facts import CUSTOMERS, START, Facts

ZONE = ZoneInfo("Asia/Tokyo")
SOURCES = ("/shop", "/other-hook")
MAX_TIMERS = 300
"""Timers that a history may fire at one moment: more are a loop."""

APART_MS = 600_000
"""Between two facts as they are written: no fact crosses another one on its way."""

_DUE = """
    DELETE FROM timers t USING (
        SELECT ctid FROM timers WHERE due_at <= $1 ORDER BY due_at, aggregate, key, name LIMIT 1) AS first
    WHERE t.ctid = first.ctid RETURNING t.aggregate, t.key, t.name, t.due_at"""
_HELD_BY_CUSTOMER = """
    SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name = 'customer_id' AND table_name <> ALL($1)"""


@dataclass(frozen=True)
class Again:
    """A fact that was there before, from another source."""

    back: int


Step: TypeAlias = Payload | Again | timedelta | Callable[["ServiceHistory"], Payload | None]
"""A fact, or what gives one by what the service published."""

GIVEN = {
    "replacement_id": "replacement.ordered.v1",
    "collection_id": "collection.requested.v1",
    "refund_id": "refund.requested.v1",
}
"""Ids of what partners are given. What they tell of anything else is no evidence against a service."""


def steps(*facts: Facts, likely: st.SearchStrategy[Step] | None = None) -> st.SearchStrategy[Step]:
    """Return steps of a history: each group of facts is drawn equally often, each of its types as well.

    `likely` are steps that lead far, drawn as often as the groups together.
    """
    groups = [st.one_of(*group.values()) for group in facts]
    others = [st.builds(Again, st.integers(1, 8)), st.integers(1, 60).map(lambda hours: timedelta(hours=hours))]
    return st.one_of(*groups, *([likely] * len(groups) if likely is not None else groups), *others)


class HistoryClock(SystemClock):
    """A clock that stands until a history moves it."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time


@dataclass
class ServiceHistory:
    """One history; `published` are the facts of the service, `facts` all of them as the auditor reads them."""

    service: Service
    conn: Connection
    clock: HistoryClock = field(default_factory=HistoryClock)
    facts: list[Fact] = field(default_factory=list)
    taken: list[Payload] = field(default_factory=list)
    published: list[Payload] = field(default_factory=list)
    dead_letters: tuple[type[Exception], ...] = ()
    """Errors by which a record becomes a dead letter."""
    _numbers: Iterator[int] = field(default_factory=count)
    _readers: dict[type[Payload], list[Aggregate[Any]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.service.decisions.clock = self.clock
        self.service.decisions.customers.are_any_merged = False
        for each in sorted(self.service.subscriptions, key=lambda one: rank(one.aggregate.name)):
            for payload in each.payload_types:
                self._readers[payload].append(each.aggregate)

    async def play(self, step: Step) -> None:
        match step:
            case timedelta():
                self.clock.time += step
            case Again(back=back):
                if self.taken:
                    await self.take(self.taken[-min(back, len(self.taken))], SOURCES[1])
            case Payload():
                await self._take_first(step)
            case react:
                if fact := react(self):
                    await self._take_first(fact)
        await self.fire_due()

    async def _take_first(self, payload: Payload) -> None:
        self.taken.append(payload)
        await self.take(payload)

    def given(self, *types: str) -> list[Any]:
        """Return what partners were given of these types."""
        return [fact for fact in self.published if fact.TYPE in types]

    async def take(self, payload: Payload, source: str = SOURCES[0]) -> None:
        event = event_class(type(payload)).model_construct(
            id=f"e-{next(self._numbers)}",
            source=source,
            type=payload.TYPE,
            subject=payload.subject,
            time=self.clock.now(),
            data=payload,
        )
        if self._is_evidence(payload, source):
            self._note(event)
        for aggregate in self._readers[type(payload)]:
            await self._apply(aggregate, event)

    async def fire_due(self) -> None:
        """Fire all timers that are due, one by one, and those that they set."""
        for _ in range(MAX_TIMERS):
            row = await self.conn.fetchrow(_DUE, self.clock.now())
            if row is None:
                return
            fired = event_class(TimerFired).model_construct(
                id="timer",
                source=f"/{self.service.name}/timers",
                type=TimerFired.TYPE,
                subject=row["key"],
                time=row["due_at"],
                data=TimerFired(name=row["name"], due_at=row["due_at"]),
            )
            await self._apply(self.service.aggregates[row["aggregate"]], fired)
        raise AssertionError(f"{MAX_TIMERS} timers fired at one moment")

    async def _apply(self, aggregate: Aggregate[Any], event: AnyEvent) -> None:
        try:
            async with self.conn.transaction():
                (facts,) = await self.service.decisions.apply(self.conn, aggregate, [Incoming(event)])
        except self.dead_letters:
            return
        for fact in facts:
            if isinstance(fact, Payload) and hasattr(fact, "TOPIC"):
                self.published.append(fact)
                await self.take(fact, f"/{self.service.name}")
            elif isinstance(fact, Anomaly) and not fact.is_shown:
                await self.take(self._report_of(fact, event), f"/{self.service.name}")

    def _report_of(self, anomaly: Anomaly, event: AnyEvent) -> Payload:
        """Return the report for the desk, which goes to the outbox beside the facts."""
        return anomaly_report(self.service.name, anomaly, event, self.clock.now())

    def _is_evidence(self, payload: Payload, source: str) -> bool:
        """Return whether a fact can be of its author: services publish their own, an issue is accepted once, and a
        partner tells of what it was given.
        """
        is_partners = payload.TOPIC.direction is Direction.IN
        if not is_partners and type(payload) in self.service.publishes and source != f"/{self.service.name}":
            return False
        if isinstance(payload, IssueAccepted):
            return not any(fact.issue == str(payload.issue_id) for fact in self.facts if fact.type == "issue.accepted")
        if not is_partners or payload.TOPIC is STOREFRONT_ORDERS:
            return True
        named = {name: value for name in GIVEN if (value := getattr(payload, name, None))}
        return all(value in {getattr(each, name) for each in self.given(GIVEN[name])} for name, value in named.items())

    def _note(self, event: AnyEvent) -> None:
        number = len(self.facts) + 1
        topic = event.data.TOPIC.name
        self.facts.append(Fact(topic, 0, number, "", encode(event), written_ms=number * APART_MS))

    async def violations(self, checks: Iterable[str]) -> list[str]:
        """Return what the auditor finds in the facts and the rows; a history may hold nothing that a check is about."""
        tables = {**COMMON_QUERIES, **SERVICE_QUERIES.get(self.service.name, {})}
        rows: dict[str, list[Row]] = {}
        for name, query in tables.items():
            rows[name] = [dict(row) for row in await self.conn.fetch(query)]
        for name, query in ORDER_QUERIES[self.service.name].items():
            rows[name] = [dict(row) for row in await self.conn.fetch(query, list(CUSTOMERS))]
        databases = {self.service.name: DatabaseEvidence(rows)}
        history = History(self.facts, ZONE, self.clock.now(), databases)
        verdicts = [run_check(name, CHECKS[name], history) for name in checks]
        return [f"{verdict.name}: {each.description}" for verdict in verdicts for each in verdict.violations or ()]

    def __str__(self) -> str:
        """Return the facts one by one, for the report of a failure."""
        return "\n".join(f"{fact.body['source']} {fact.type} {_shown(fact)}" for fact in self.facts)

    async def rows_of_former_accounts(self, besides: Sequence[str] = ()) -> list[str]:
        """Return the tables that hold rows of an account which the shop merged into another one."""
        left_out = ["merged_customers", *besides]
        tables = [row["table_name"] for row in await self.conn.fetch(_HELD_BY_CUSTOMER, left_out)]
        query = "SELECT count(*) FROM {} t JOIN merged_customers m ON m.former_id = t.customer_id"
        return [name for name in tables if await self.conn.fetchval(query.format(f'"{name}"'))]


@asynccontextmanager
async def history_of(service: Service, *dead_letters: type[Exception]) -> AsyncIterator[ServiceHistory]:
    """Begin a history on the database of a service; afterwards nothing of it is there."""
    async with service.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        try:
            yield ServiceHistory(service, conn, dead_letters=dead_letters)
        finally:
            await transaction.rollback()


def _shown(fact: Fact) -> dict[str, Any]:
    """Return the data of a fact without names, addresses and what is not set."""
    long = ("contact", "ship_to", "recipient", "placed_at", "reported_at", "collect_from", "customs_value")
    return {name: value for name, value in fact.data.items() if value and name not in long}
