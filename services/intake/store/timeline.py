"""The aggregate of timelines: rows of events, the status of issues, work items and metrics, in batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from zoneinfo import ZoneInfo

from libs.common.decisions.facts import Facts, Record
from libs.common.events.issues import IssueReported
from libs.common.events.registry import AnyEvent
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from libs.common.telemetry.log_context import current_trace_id
from services.intake.domain.projections import change_requests, issue_status, timeline
from services.intake.domain.projections.metrics import metric_records
from services.intake.domain.projections.timeline import TimelineEntry
from services.intake.domain.projections.work_items import WORK_CHANGES
from services.intake.domain.projections.work_queue import work_changes
from services.intake.store import change_requests as requests_store
from services.intake.store import entitlements, work_queue
from services.intake.store.insights import metric_ingest

# Timeline and status in one round trip. Of events of the same time, as one decision writes them, the last one counts,
# as in the timeline; it may come in a batch of its own. Issues are locked in the order of their ids, since consumers of
# other topics change the status of the same issues at the same time.
_APPEND = """
    WITH appended AS (
        INSERT INTO timeline (issue_id, event_id, at, type, data, trace_id)
        SELECT issue_id, event_id, at, type, data, trace_id
        FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::json[], $6::text[]) WITH ORDINALITY
             AS t (issue_id, event_id, at, type, data, trace_id, n)
        ORDER BY n
        ON CONFLICT (issue_id, event_id) DO NOTHING),
    updates AS (
        SELECT * FROM unnest($7::uuid[], $8::text[], $9::timestamptz[], $10::text[], $11::timestamptz[],
                             $12::timestamptz[])
            AS u (issue_id, progress_status, progress_at, lifecycle_status, lifecycle_at, decided_at)),
    locked AS (
        SELECT i.issue_id FROM issues i JOIN updates u USING (issue_id)
        WHERE u.progress_at > i.progress_at OR u.lifecycle_at > i.lifecycle_at
           OR (u.progress_at = i.progress_at AND u.progress_status <> i.progress_status)
           OR (u.lifecycle_at = i.lifecycle_at AND u.lifecycle_status <> i.lifecycle_status)
           OR u.decided_at < coalesce(i.decided_at, 'infinity')
        ORDER BY i.issue_id FOR NO KEY UPDATE OF i)
    UPDATE issues i
    SET progress_status = CASE WHEN u.progress_at >= i.progress_at THEN u.progress_status ELSE i.progress_status END,
        progress_at = greatest(i.progress_at, u.progress_at),
        lifecycle_status = CASE WHEN u.lifecycle_at >= i.lifecycle_at THEN u.lifecycle_status
                                ELSE i.lifecycle_status END,
        lifecycle_at = greatest(i.lifecycle_at, u.lifecycle_at),
        decided_at = least(i.decided_at, u.decided_at)
    FROM updates u JOIN locked USING (issue_id)
    WHERE i.issue_id = u.issue_id"""

_entry_row = attrgetter("issue_id", "event_id", "at", "type", "data", "trace_id")


@dataclass
class Timeline:
    """The aggregate of timelines. It has no state: each event becomes rows."""

    zone: ZoneInfo
    name: str = "timeline"
    is_read_model = True

    def key_of(self, event: AnyEvent) -> str | None:
        subject = timeline.issue_id_of(event) or change_requests.request_id_of(event)
        return str(subject) if subject else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, None]:
        return {}

    def decide(self, state: None, event: AnyEvent, now: datetime) -> tuple[None, Facts]:
        if change_requests.request_id_of(event):
            return None, change_requests.project(event)
        trace_id = current_trace_id() if type(event.data) is IssueReported else None
        return None, [
            *timeline.project(event, trace_id),
            *work_changes(event, self.zone),
            *metric_records(event, self.zone),
        ]

    async def save(self, conn: Connection, changed: Mapping[str, None], records: Sequence[Record]) -> None:
        await requests_store.save(conn, records)
        entries = [record for record in records if type(record) is TimelineEntry]
        updates = issue_status.status_updates(entries)
        rows = columns([_entry_row(entry) for entry in entries], 6)
        await conn.execute(_APPEND, *rows, *columns(updates.rows(), 6))
        await work_queue.save(conn, [record for record in records if isinstance(record, WORK_CHANGES)])
        await metric_ingest.record_reports(conn, records)
        await entitlements.apply_unit_changes(conn, records, self.zone)
