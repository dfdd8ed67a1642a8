"""All SQL of intake. Statements are for a whole batch; rows are written in key order.

A report is decided with its order locked, so two reports of one order follow each other. The primary key of
`entitlements` says so once more, whatever path a writer took: whoever comes second is told, and decides again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from libs.common.db import ConflictError, Connection
from libs.common.decision import Facts, Record, TimerFired
from libs.common.events.issues import IssueReported
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted, StorefrontOrderEvent
from libs.common.events.values import ReportedLine
from libs.common.state import StateTable
from libs.common.telemetry import current_trace_id
from services.intake import domain, timeline
from services.intake.desk import work, work_store
from services.intake.domain import IssueFiled, ReportFiled
from services.intake.insights import gathering
from services.intake.insights.figures import figures
from services.intake.orders import Book, Order, Unit
from services.intake.photos import StoredPhoto
from services.intake.timeline import TimelineEntry, UnitsReleased
from services.intake.windows import Rules

_LINES = TypeAdapter(tuple[ReportedLine, ...])

_HELD = "SELECT order_id, line_id, unit, issue_id FROM entitlements WHERE order_id = ANY($1)"
_KNOWN_ISSUES = "SELECT issue_id, order_id FROM issues WHERE issue_id = ANY($1)"
_FILE = """
    INSERT INTO issues (
        issue_id, order_id, customer_id, reason, lines, description, reference, refusal_code, reported_at)
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::text[], $8::text[],
        $9::timestamptz[])
    ON CONFLICT (issue_id) DO NOTHING"""
_ENTITLE = """
    INSERT INTO entitlements (order_id, line_id, unit, issue_id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::uuid[])
    ON CONFLICT (order_id, line_id, unit) DO NOTHING"""
_RELEASE = """
    DELETE FROM entitlements e USING unnest($1::text[], $2::uuid[]) AS r (order_id, issue_id)
    WHERE e.order_id = r.order_id AND e.issue_id = r.issue_id"""
_TELL = """
    INSERT INTO timeline (issue_id, event_id, at, type, data, trace_id)
    SELECT issue_id, event_id, at, type, data, trace_id
    FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::jsonb[], $6::text[]) WITH ORDINALITY
         AS t (issue_id, event_id, at, type, data, trace_id, n)
    ORDER BY n
    ON CONFLICT (issue_id, event_id) DO NOTHING"""
_ISSUE = """
    SELECT issue_id, order_id, customer_id, reason, lines, refusal_code, reported_at
    FROM issues WHERE issue_id = $1"""
_STORY = "SELECT at, type, data FROM timeline WHERE issue_id = $1 ORDER BY at, n"
_PHOTOS = """
    SELECT sha256, media_type, size_bytes, width, height, stored_at
    FROM evidence WHERE issue_id = $1 ORDER BY stored_at, sha256"""
_LOCK_ISSUE = "SELECT 1 FROM issues WHERE issue_id = $1 FOR UPDATE"
_ADD_PHOTOS = """
    INSERT INTO evidence (issue_id, sha256, media_type, size_bytes, width, height, stored_at)
    SELECT $1, *, $7 FROM unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::int[])
    ON CONFLICT (issue_id, sha256) DO NOTHING"""


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
        return None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Book]:
        """Orders, locked; and, only where a report is to be decided, who holds which piece (read under the lock)."""
        states = await self._table.load(conn, keys)
        held: dict[str, dict[Unit, UUID]] = {}
        issues: dict[UUID, str] = {}
        reported = _reported_orders(events, {key: order for key, (_, order) in states.items()})
        if reported:
            held = await _held(conn, [key for key in reported if key in states])
            issues = await _known_issues(conn, {issue_id for ids in reported.values() for issue_id in ids})
        return {
            key: Book(order, held.get(key, {}), issues, version, stored=order)
            for key, (version, order) in states.items()
        } | {key: Book(Order(key), {}, issues) for key in reported if key not in states and issues}

    def decide(self, state: Book | None, event: AnyEvent, now: datetime) -> tuple[Book | None, Facts]:
        return domain.decide(state, event, now, self.rules)

    async def save(self, conn: Connection, changed: Mapping[str, Book], records: Sequence[Record]) -> None:
        filed = [record for record in records if isinstance(record, IssueFiled)]
        if filed:
            await _file(conn, filed)
            await _entitle(conn, filed)
        await gathering.count_arrivals(conn, records)
        learnt = {key: (book.version, book.order) for key, book in changed.items() if book.order is not book.stored}
        await self._table.save(conn, learnt)


def _reported_orders(events: Sequence[AnyEvent], orders: Mapping[str, Order]) -> dict[str, set[UUID]]:
    """The orders about which a report is to be decided, with the ids of the issues they would become."""
    reported: dict[str, set[UUID]] = {}
    for event in events:
        match event.data:
            case ReportFiled(issue_id=issue_id, report=report):
                reported.setdefault(report.order_id, set()).add(issue_id)
            case IssueSubmitted() as report:
                reported.setdefault(report.order_id, set()).add(domain.issue_id_of(event, report))
            case TimerFired() if event.subject:
                reported.setdefault(event.subject, set())
    for key, order in orders.items():
        for waiting in order.waiting:
            reported.setdefault(key, set()).add(waiting.issue_id)
    return reported


async def _held(conn: Connection, order_ids: Sequence[str]) -> dict[str, dict[Unit, UUID]]:
    held: dict[str, dict[Unit, UUID]] = {}
    for row in await conn.fetch(_HELD, order_ids):
        held.setdefault(row["order_id"], {})[Unit(row["line_id"], row["unit"])] = row["issue_id"]
    return held


async def _known_issues(conn: Connection, issue_ids: Iterable[UUID]) -> dict[UUID, str]:
    return {row["issue_id"]: row["order_id"] for row in await conn.fetch(_KNOWN_ISSUES, list(issue_ids))}


async def _file(conn: Connection, filed: Sequence[IssueFiled]) -> None:
    """Raises `ConflictError` where another transaction filed one of them first."""
    rows = sorted(filed, key=lambda record: record.report.issue_id)
    if len({record.report.issue_id for record in rows}) != len(rows):
        raise ValueError("issue_id: given to two reports of one batch; taken one by one, the first one has it")
    status = await conn.execute(
        _FILE,
        [record.report.issue_id for record in rows],
        [record.report.said.order_id for record in rows],
        [record.report.said.customer_id for record in rows],
        [record.report.said.reason.value for record in rows],
        [_LINES.dump_json(record.report.said.lines, exclude_none=True).decode() for record in rows],
        [record.report.said.description for record in rows],
        [record.report.said.reference for record in rows],
        [record.refusal.code if record.refusal else None for record in rows],
        [record.report.reported_at for record in rows],
    )
    _expect(status, len(rows), "issues")


async def _entitle(conn: Connection, filed: Sequence[IssueFiled]) -> None:
    """Raises `ConflictError` where another transaction took one of the units first."""
    rows = sorted(
        (record.report.said.order_id, *unit, record.report.issue_id) for record in filed for unit in record.units
    )
    if rows:
        status = await conn.execute(_ENTITLE, *map(list, zip(*rows, strict=True)))
        _expect(status, len(rows), "entitlements")


def _expect(status: str, count: int, table: str) -> None:
    if int(status.rsplit(" ", 1)[1]) != count:
        raise ConflictError(f"{table}: a row was made by another transaction at the same time")


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
        trace_id = current_trace_id() if isinstance(event.data, IssueReported) else None
        return None, [*timeline.decide(event, trace_id), *work.changes(event, self.zone), *figures(event, self.zone)]

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        told = [record for record in records if isinstance(record, TimelineEntry)]
        await conn.execute(
            _TELL,
            [entry.issue_id for entry in told],
            [entry.event_id for entry in told],
            [entry.at for entry in told],
            [entry.type for entry in told],
            [entry.data for entry in told],
            [entry.trace_id for entry in told],
        )
        await work_store.save(conn, [record for record in records if isinstance(record, work.Opened | work.Ended)])
        await gathering.count_reports(conn, records)
        released = sorted({(r.order_id, r.issue_id) for r in records if isinstance(r, UnitsReleased)})
        if released:
            await conn.execute(_RELEASE, [order_id for order_id, _ in released], [issue_id for _, issue_id in released])


async def read_issue(conn: Connection, issue_id: UUID) -> dict[str, Any] | None:
    """An issue with its headline, its story and its photos; None where there is no such issue."""
    issue = await conn.fetchrow(_ISSUE, issue_id)
    if issue is None:
        return None
    story = [{**row, "data": json.loads(row["data"])} for row in await conn.fetch(_STORY, issue_id)]
    return {
        **issue,
        "lines": json.loads(issue["lines"]),
        "status": timeline.headline(issue["refusal_code"] is not None, [fact["type"] for fact in story]),
        "timeline": story,
        "photos": [dict(row) for row in await conn.fetch(_PHOTOS, issue_id)],
    }


async def issue_exists(conn: Connection, issue_id: UUID) -> bool:
    return await conn.fetchval("SELECT 1 FROM issues WHERE issue_id = $1", issue_id) is not None


async def add_photos(conn: Connection, issue_id: UUID, photos: Sequence[StoredPhoto], now: datetime, most: int) -> bool:
    """Write the photos' rows unless the issue would then have more than `most`; False where it would.

    The issue's row is locked first, so that two uploads at once cannot both find room for the last photo.
    """
    await conn.execute(_LOCK_ISSUE, issue_id)
    known = {row["sha256"] for row in await conn.fetch(_PHOTOS, issue_id)}
    new = list({photo.sha256: photo for photo in photos if photo.sha256 not in known}.values())
    if len(known) + len(new) > most:
        return False
    await conn.execute(
        _ADD_PHOTOS,
        issue_id,
        [photo.sha256 for photo in new],
        [photo.media_type for photo in new],
        [photo.size_bytes for photo in new],
        [photo.width for photo in new],
        [photo.height for photo in new],
        now,
    )
    return True
