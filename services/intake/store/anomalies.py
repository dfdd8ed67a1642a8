"""Anomalies that no issue shows: their aggregate, and the SQL of the desk about them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.decisions.facts import Facts, Record
from libs.common.events.anomalies import AnomalyEvent
from libs.common.events.registry import AnyEvent
from libs.common.postgres.batch import columns, row_count
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from services.intake.domain.projections.anomalies import AnomalyEnded, DecisionAnswered, OpenAnomaly, project
from services.intake.store.desk import IssueHit

RETENTION_DAYS = 400
"""Days for which a settled anomaly keeps its cause from coming back; longer than any topic or report repeats it."""

# A repeated report shows its newest event; the time of the first one stays, and so does a settlement by staff. One that
# had ended by itself opens again.
_SAVE = """
    INSERT INTO anomalies AS old (
        anomaly_id, cause, anomaly, detected_by, thing, detail, issue_id, order_id, reported_by, event_type, event_id,
        reported, since, last_at, due_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[],
                         $9::text[], $10::text[], $11::text[], $12::jsonb[], $13::timestamptz[], $14::timestamptz[],
                         $15::timestamptz[])
    ON CONFLICT (anomaly_id) DO UPDATE
    SET detail = excluded.detail, issue_id = excluded.issue_id, order_id = excluded.order_id,
        reported_by = excluded.reported_by, event_type = excluded.event_type, event_id = excluded.event_id,
        reported = excluded.reported, last_at = excluded.last_at, reports = old.reports + 1, position = DEFAULT,
        since = CASE WHEN old.settled_by = '' THEN excluded.since ELSE old.since END,
        due_at = CASE WHEN old.settled_by = '' THEN excluded.due_at ELSE old.due_at END,
        settled_at = CASE WHEN old.settled_by <> '' THEN old.settled_at END,
        settled_by = nullif(old.settled_by, '')
    WHERE (old.event_id, old.reported_by) <> (excluded.event_id, excluded.reported_by)"""
_END = """
    UPDATE anomalies SET settled_at = e.at, settled_by = '', position = DEFAULT
    FROM unnest($1::uuid[], $2::timestamptz[]) AS e (anomaly_id, at)
    WHERE anomalies.anomaly_id = e.anomaly_id AND settled_at IS NULL"""
_ANSWER = """
    UPDATE anomalies SET refusal = a.refusal, position = DEFAULT,
        settled_at = CASE WHEN a.refusal IS NULL THEN coalesce(settled_at, a.at) ELSE settled_at END,
        settled_by = CASE WHEN a.refusal IS NULL THEN coalesce(nullif(settled_by, ''), a.staff) ELSE settled_by END
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) AS a (anomaly_id, staff, refusal, at)
    WHERE anomalies.anomaly_id = a.anomaly_id"""
_FIND = "SELECT * FROM anomalies WHERE anomaly_id = $1"
_CANDIDATES = """
    SELECT issue_id, order_id, customer_id, reason, reported_at FROM issues
    WHERE (order_id = $1 OR issue_id = $2) AND refusal_code IS NULL ORDER BY reported_at DESC LIMIT 20"""
_SETTLE = """
    UPDATE anomalies SET settled_at = $2, settled_by = $3, comment = $4, refusal = NULL, position = DEFAULT
    WHERE anomaly_id = $1 AND settled_at IS NULL"""
_NOTE = """
    UPDATE anomalies SET comment = $2, refusal = NULL, position = DEFAULT
    WHERE anomaly_id = $1 AND settled_at IS NULL"""
_EXPIRE = """
    DELETE FROM anomalies WHERE anomaly_id IN (
        SELECT anomaly_id FROM anomalies WHERE settled_at < $1 LIMIT $2)"""


COUNT_WITHOUT_CASE = "count_without_case"
"""Code of a box that the warehouse counted and no case has taken."""


@dataclass(frozen=True, slots=True)
class AnomalyDetails:
    """An anomaly as the desk shows it; `reported` are names and values, `reports` counts its events."""

    anomaly_id: UUID
    cause: str
    anomaly: str
    detected_by: str
    thing: str
    detail: str
    issue_id: UUID | None
    order_id: str | None
    reported_by: str
    event_type: str
    event_id: str
    reported: Sequence[tuple[str, str]]
    reports: int
    since: datetime
    last_at: datetime
    due_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    comment: str | None
    refusal: str | None

    @property
    def count_id(self) -> str | None:
        """Return the counted box that staff can assign; None for any other anomaly."""
        kind, _, number = self.thing.partition(":")
        return number if kind == "count" and self.anomaly == COUNT_WITHOUT_CASE else None

    @property
    def message_id(self) -> UUID | None:
        """Return the mail of a customer that the anomaly is about; None for any other."""
        kind, _, message_id = self.thing.partition(":")
        return UUID(message_id) if kind == "message" and self.detected_by == "intake" else None


def retention_sweep() -> Sweep:
    return Sweep("settled anomalies", _EXPIRE, RETENTION_DAYS)


@dataclass
class Anomalies:
    """The aggregate of anomalies. It has no state: each event becomes a row, or deletes one."""

    name: str = "anomalies"
    is_read_model = True

    def key_of(self, event: AnyEvent) -> str | None:
        return event.data.cause if isinstance(event.data, AnomalyEvent) else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, None]:
        return {}

    def decide(self, state: None, event: AnyEvent, now: datetime) -> tuple[None, Facts]:
        return None, project(event)

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        """Write runs of equal records: an anomaly may open, end and open again in one batch."""
        run: list[Record] = []
        for record in records:
            if run and (type(run[0]) is not type(record) or _is_among(record, run)):
                await _save_run(conn, run)
                run = []
            run.append(record)
        await _save_run(conn, run)


def _is_among(record: Record, run: Sequence[Record]) -> bool:
    return any(each.anomaly_id == record.anomaly_id for each in run)  # type: ignore[attr-defined]


async def _save_run(conn: Connection, run: Sequence[Record]) -> None:
    opened = sorted((each for each in run if isinstance(each, OpenAnomaly)), key=lambda each: each.anomaly_id.int)
    if opened:
        await conn.execute(_SAVE, *columns([_row(each) for each in opened], 15))
    if ended := [(each.anomaly_id, each.at) for each in run if isinstance(each, AnomalyEnded)]:
        await conn.execute(_END, *columns(sorted(ended), 2))
    answered = [
        (each.anomaly_id, each.staff, each.refusal, each.at) for each in run if isinstance(each, DecisionAnswered)
    ]
    if answered:
        await conn.execute(_ANSWER, *columns(answered, 4))


def _row(each: OpenAnomaly) -> tuple[Any, ...]:
    of_thing = (each.anomaly_id, each.cause, each.anomaly, each.detected_by, each.thing, each.detail)
    of_event = (each.issue_id, each.order_id, each.reported_by, each.event_type, each.event_id)
    return (*of_thing, *of_event, json.dumps(each.reported), each.since, each.since, each.due_at)


async def find_anomaly(conn: Connection, anomaly_id: UUID) -> AnomalyDetails | None:
    """Return an anomaly, open or settled."""
    row = await conn.fetchrow(_FIND, anomaly_id)
    if row is None:
        return None
    names = [name for name in AnomalyDetails.__dataclass_fields__ if name != "reported"]
    reported = [(field, value) for field, value in json.loads(row["reported"])]
    return AnomalyDetails(**{name: row[name] for name in names}, reported=reported)


async def settle(conn: Connection, anomaly_id: UUID, staff: str, comment: str, now: datetime) -> bool:
    """Close an anomaly with a note; returns False where it is not open."""
    return row_count(await conn.execute(_SETTLE, anomaly_id, now, staff, comment)) == 1


async def note_decision(conn: Connection, anomaly_id: UUID, comment: str) -> bool:
    """Write the note of a decision that another service has to carry out; returns False where it is not open."""
    return row_count(await conn.execute(_NOTE, anomaly_id, comment)) == 1


async def candidates(conn: Connection, anomaly: AnomalyDetails) -> list[IssueHit]:
    """Return the accepted issues of the order, and the issue, that an anomaly names."""
    return [IssueHit(**row) for row in await conn.fetch(_CANDIDATES, anomaly.order_id, anomaly.issue_id)]
