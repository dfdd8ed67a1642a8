"""All SQL of intake. Statements are for a whole batch; rows are written in key order.

A report is decided with its order locked, so two reports of one order follow each other. The primary key of
`entitlements` says so once more, whatever path a writer took: whoever comes second is told, and decides again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from libs.common.decisions.facts import Facts, Record, TimerFired
from libs.common.events.issues import IssueReported
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted, StorefrontOrderEvent
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from libs.common.postgres.state_table import StateTable
from libs.common.telemetry.trace_context import current_trace_id
from services.intake.domain import decide as domain
from services.intake.domain.decide import ReportFiled
from services.intake.domain.orders import Order, OrderContext
from services.intake.domain.pending_details import DetailsGiven
from services.intake.domain.staff_decisions import StaffDecides
from services.intake.policy.eligibility_rules import Rules
from services.intake.projections import timeline
from services.intake.projections.metrics import figures
from services.intake.projections.timeline import TimelineEntry
from services.intake.projections.work_queue import CHANGES, changes
from services.intake.store import reports, work_queue
from services.intake.store.insights import metric_ingest

# The story and the headline in one round trip. Rows of issues are locked in the order of their ids, since other topics
# move the headlines of the same issues at the same time.
_TELL = """
    WITH told AS (
        INSERT INTO timeline (issue_id, event_id, at, type, data, trace_id)
        SELECT issue_id, event_id, at, type, data, trace_id
        FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::json[], $6::text[]) WITH ORDINALITY
             AS t (issue_id, event_id, at, type, data, trace_id, n)
        ORDER BY n
        ON CONFLICT (issue_id, event_id) DO NOTHING),
    moved AS (
        SELECT * FROM unnest($7::uuid[], $8::text[], $9::timestamptz[], $10::text[], $11::timestamptz[],
                             $12::timestamptz[]) AS m (issue_id, head, head_at, gate, gate_at, decided_at)),
    locked AS (
        SELECT i.issue_id FROM issues i JOIN moved m USING (issue_id)
        WHERE m.head_at > i.head_at OR m.gate_at > i.gate_at OR m.decided_at < coalesce(i.decided_at, 'infinity')
        ORDER BY i.issue_id FOR NO KEY UPDATE OF i)
    UPDATE issues i
    SET head = CASE WHEN m.head_at >= i.head_at THEN m.head ELSE i.head END,
        head_at = greatest(i.head_at, m.head_at),
        gate = CASE WHEN m.gate_at >= i.gate_at THEN m.gate ELSE i.gate END,
        gate_at = greatest(i.gate_at, m.gate_at),
        decided_at = least(i.decided_at, m.decided_at)
    FROM moved m JOIN locked USING (issue_id)
    WHERE i.issue_id = m.issue_id"""
_ISSUE = """
    SELECT issue_id, order_id, customer_id, reason, lines, requested_remedy, reference, noticed_on, status, missing,
    decide_by, decided_at, reported_at, (SELECT count(*) FROM decisions d WHERE d.issue_id = i.issue_id) AS version
    FROM issues i WHERE issue_id = $1"""
_STORY = "SELECT at, type, data FROM timeline WHERE issue_id = $1 ORDER BY at, n"
_PHOTOS = """
    SELECT sha256, media_type, size_bytes, width, height, stored_at
    FROM evidence WHERE issue_id = $1 ORDER BY stored_at, sha256"""


@dataclass
class Orders:
    """The aggregate of orders and the reports about them; the state key is the order id."""

    rules: Rules
    name: str = "orders"
    _table: StateTable[Order] = field(default_factory=lambda: StateTable("orders", TypeAdapter(Order)))

    def key_of(self, event: AnyEvent) -> str | None:
        match event.data:
            case StorefrontOrderEvent() | IssueSubmitted() as data:
                return data.order_id
            case ReportFiled(report=report):
                return report.order_id
            case DetailsGiven(order_id=order_id) | StaffDecides(order_id=order_id):
                return order_id
        return None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, OrderContext]:
        """Orders, locked; and, only where a report is to be decided, what lies beside them (read under the lock)."""
        states = await self._table.load(conn, keys)
        asked = _asked(events, {key: order for key, (_, order) in states.items()})
        if not asked.orders:
            return {key: OrderContext(order, version=version, stored=order) for key, (version, order) in states.items()}
        held, renewed = await reports.held(conn, [key for key in asked.orders if key in states])
        issues, references = await reports.known_issues(conn, asked.orders, asked.issues)
        filed = await reports.filed(conn, asked.to_change) if asked.to_change else {}
        photos = await reports.uploaded(conn, asked.photos) if asked.photos else {}

        def book(key: str, version: int = 0, order: Order | None = None) -> OrderContext:
            whose = {None, order.purchase.customer_id if order and order.purchase else None}
            theirs = frozenset(photo for photo, owners in photos.items() if owners & whose)
            beside = (held.get(key, {}), issues, references.get(key, {}), filed, theirs)
            return OrderContext(order or Order(key), *beside, version, stored=order, renewed=renewed.get(key, {}))

        loaded = {key: book(key, version, order) for key, (version, order) in states.items()}
        return loaded | {key: book(key) for key in asked.orders if key not in states}

    def decide(self, state: OrderContext | None, event: AnyEvent, now: datetime) -> tuple[OrderContext | None, Facts]:
        return domain.decide(state, event, now, self.rules)

    async def save(self, conn: Connection, changed: Mapping[str, OrderContext], records: Sequence[Record]) -> None:
        await reports.save(conn, records)
        await metric_ingest.count_arrivals(conn, records)
        learnt = {key: (book.version, book.order) for key, book in changed.items() if book.order is not book.stored}
        await self._table.save(conn, learnt)


@dataclass
class _Asked:
    """What a batch needs to know beside the orders themselves."""

    orders: set[str] = field(default_factory=set)
    issues: set[UUID] = field(default_factory=set)
    to_change: set[UUID] = field(default_factory=set)
    photos: set[str] = field(default_factory=set)

    def report(self, order_id: str, issue_id: UUID, said: IssueSubmitted) -> None:
        self.orders.add(order_id)
        self.issues.add(issue_id)
        self.photos.update(said.photos)


def _asked(events: Sequence[AnyEvent], orders: Mapping[str, Order]) -> _Asked:
    asked = _Asked()
    for event in events:
        match event.data:
            case ReportFiled(issue_id=issue_id, report=said):
                asked.report(said.order_id, issue_id, said)
            case IssueSubmitted() as said:
                asked.report(said.order_id, domain.issue_id_of(event, said), said)
            case (
                DetailsGiven(issue_id=issue_id, order_id=order_id) | StaffDecides(issue_id=issue_id, order_id=order_id)
            ):
                asked.orders.add(order_id)
                asked.to_change.add(issue_id)
            case TimerFired() if event.subject:
                asked.orders.add(event.subject)
    for key, order in orders.items():
        for waiting in order.waiting:
            asked.report(key, waiting.issue_id, waiting.said)
        if key in asked.orders:
            asked.photos.update(photo for one in order.incomplete for photo in one.report.said.photos)
    return asked


@dataclass
class Timeline:
    """The aggregate that tells each issue's story, and what of it waits. It has no state: facts only become rows."""

    zone: ZoneInfo
    name: str = "timeline"

    def key_of(self, event: AnyEvent) -> str | None:
        issue_id = timeline.issue_of(event)
        return str(issue_id) if issue_id else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, None]:
        return {}

    def decide(self, state: None, event: AnyEvent, now: datetime) -> tuple[None, Facts]:
        trace_id = current_trace_id() if type(event.data) is IssueReported else None
        return None, [
            *timeline.decide(event, trace_id),
            *changes(event, self.zone),
            *figures(event, self.zone),
        ]

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        told = [record for record in records if type(record) is TimelineEntry]
        await conn.execute(_TELL, *columns([_entry_row(entry) for entry in told], 6), *timeline.moves(told).columns())
        await work_queue.save(conn, [record for record in records if isinstance(record, CHANGES)])
        await metric_ingest.count_reports(conn, records)
        await reports.move_units(conn, records, self.zone)


_entry_row = attrgetter("issue_id", "event_id", "at", "type", "data", "trace_id")


async def read_issue(conn: Connection, issue_id: UUID) -> dict[str, Any] | None:
    """An issue with its headline, its story and its photos; None where there is no such issue."""
    issue = await conn.fetchrow(_ISSUE, issue_id)
    if issue is None:
        return None
    story = [{**row, "data": json.loads(row["data"])} for row in await conn.fetch(_STORY, issue_id)]
    return {
        **issue,
        "lines": json.loads(issue["lines"]),
        "timeline": story,
        "photos": [dict(row) for row in await conn.fetch(_PHOTOS, issue_id)],
    }


async def order_of(conn: Connection, issue_id: UUID) -> str | None:
    """The order that an issue is about; None where there is no such issue."""
    order_id: str | None = await conn.fetchval("SELECT order_id FROM issues WHERE issue_id = $1", issue_id)
    return order_id
