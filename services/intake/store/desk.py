"""SQL of the desk's pages: work items, one issue with its staff actions, claims, and search."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from libs.common.postgres.pool import Connection
from services.intake.domain.projections.work_items import WorkKind
from services.intake.store.customer_messages import CustomerMessage, messages_of_issue

SOON = timedelta(hours=24)
"""An item is shown this long before its due time."""


class Section(StrEnum):
    """Sections of the home page, the most urgent first."""

    REVIEWS = "reviews"
    UNHAPPY = "unhappy"
    UNREACHED = "unreached"
    MESSAGES = "messages"
    WINDOWS = "windows"
    ANOMALIES = "anomalies"
    PROMISES = "promises"
    STALLED = "stalled"
    CHOICES = "choices"


@dataclass(frozen=True, slots=True)
class SectionFilter:
    """Work items of a section: kinds, due within a time, and (for progress) with or without a promised day."""

    kinds: tuple[WorkKind, ...]
    within: timedelta = timedelta(days=3660)
    dated: bool | None = None


SECTION_FILTERS: dict[Section, SectionFilter] = {
    Section.REVIEWS: SectionFilter((WorkKind.REVIEW,)),
    Section.UNHAPPY: SectionFilter((WorkKind.UNHAPPY,)),
    Section.UNREACHED: SectionFilter((WorkKind.UNREACHED,)),
    Section.MESSAGES: SectionFilter((WorkKind.MESSAGE,)),
    Section.WINDOWS: SectionFilter((WorkKind.WINDOW,)),
    Section.ANOMALIES: SectionFilter((WorkKind.ANOMALY, WorkKind.UNMATCHED)),
    Section.PROMISES: SectionFilter((WorkKind.PROGRESS,), SOON, dated=True),
    Section.STALLED: SectionFilter((WorkKind.PROGRESS,), timedelta(0), dated=False),
    Section.CHOICES: SectionFilter((WorkKind.CHOICE, WorkKind.DETAILS), SOON),
}


SectionKey: TypeAlias = tuple[datetime, UUID, str, str]
"""Place of an item in its section: due time, issue, kind and subject; several items of an issue may be due together."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One work item, with the fields of its issue that lists show.

    Of an anomaly that no issue shows, `issue_id` is the anomaly's own id, and `reason` is empty.
    """

    issue_id: UUID
    kind: WorkKind
    about: str
    detail: str
    since: datetime
    due_at: datetime
    order_id: str = ""
    reason: str = ""
    items: str = ""
    claimed_by: str | None = None

    @property
    def address(self) -> str:
        """The page of the desk about this item."""
        return f"/desk/{'anomalies' if self.kind == WorkKind.UNMATCHED else 'issues'}/{self.issue_id}"

    @property
    def key(self) -> SectionKey:
        return self.due_at, self.issue_id, self.kind, self.about

    def age(self, now: datetime) -> timedelta:
        return max(now - self.since, timedelta(0))

    def overdue(self, now: datetime) -> bool:
        return now > self.due_at

    def used_percent(self, now: datetime) -> int:
        """Return the used share of the time, in percent, 100 at most."""
        target = (self.due_at - self.since).total_seconds()
        return 100 if target <= 0 else max(0, min(100, round(100 * (now - self.since).total_seconds() / target)))


@dataclass(frozen=True, slots=True)
class IssueHit:
    """An issue that an anomaly may be about."""

    issue_id: UUID
    order_id: str
    customer_id: str
    reason: str
    reported_at: datetime


_COUNT = """
    SELECT (SELECT count(*) FROM work_queue
            WHERE kind = ANY($1) AND due_at <= $2 AND ($3::boolean IS NULL OR (strpos(detail, ' ') > 0) = $3))
        + (SELECT count(*) FROM anomalies WHERE 'unmatched' = ANY($1) AND settled_at IS NULL AND due_at <= $2)"""
_ROWS = """
    (SELECT w.issue_id, w.kind, w.about, w.detail, w.since, w.due_at, i.order_id, i.reason, i.lines, c.staff
    FROM work_queue w JOIN issues i USING (issue_id)
    LEFT JOIN issue_claims c ON c.issue_id = w.issue_id AND c.until > $5
    WHERE w.kind = ANY($1) AND w.due_at <= $2 AND ($3::boolean IS NULL OR (strpos(w.detail, ' ') > 0) = $3)
      AND ($6::timestamptz IS NULL OR (w.due_at, w.issue_id, w.kind, w.about) > ($6, $7::uuid, $8::text, $9::text))
    ORDER BY w.due_at, w.issue_id, w.kind, w.about LIMIT $4)
    UNION ALL
    (SELECT a.anomaly_id, 'unmatched', concat_ws(' ', a.anomaly, nullif(a.thing, '')), a.detail, a.since, a.due_at,
            coalesce(a.order_id, ''), '', '[]', NULL
    FROM anomalies a
    WHERE 'unmatched' = ANY($1) AND a.settled_at IS NULL AND a.due_at <= $2
      AND ($6::timestamptz IS NULL OR (a.due_at, a.anomaly_id, 'unmatched') > ($6, $7::uuid, $8::text))
    ORDER BY a.due_at, a.anomaly_id LIMIT $4)
    ORDER BY due_at, issue_id, kind, about LIMIT $4"""
_OF_ISSUE = "SELECT issue_id, kind, about, detail, since, due_at FROM work_queue WHERE issue_id = $1 ORDER BY due_at"


async def count_section(conn: Connection, section: Section, now: datetime) -> int:
    items = SECTION_FILTERS[section]
    count: int = await conn.fetchval(_COUNT, list(items.kinds), now + items.within, items.dated)
    return count


async def read_section(
    conn: Connection, section: Section, now: datetime, limit: int, after: SectionKey | None = None
) -> list[WorkItem]:
    """Return the items of a section, the soonest due first, after the key of the previous page."""
    items = SECTION_FILTERS[section]
    rows = await conn.fetch(
        _ROWS, list(items.kinds), now + items.within, items.dated, limit, now, *(after or (None,) * 4)
    )
    return [_work_item(row) for row in rows]


def _work_item(row: Any) -> WorkItem:
    lines = json.loads(row["lines"])
    return WorkItem(
        issue_id=row["issue_id"],
        kind=WorkKind(row["kind"]),
        about=row["about"],
        detail=row["detail"],
        since=row["since"],
        due_at=row["due_at"],
        order_id=row["order_id"],
        reason=row["reason"],
        items=", ".join(f"{line['line_id']} × {line['quantity']}" for line in lines),
        claimed_by=row["staff"],
    )


async def work_of_issue(conn: Connection, issue_id: UUID) -> list[WorkItem]:
    """Return the work items of one issue, the soonest due first."""
    return [WorkItem(**{**dict(row), "kind": WorkKind(row["kind"])}) for row in await conn.fetch(_OF_ISSUE, issue_id)]


async def end_work(conn: Connection, issue_id: UUID, kind: WorkKind, about: str) -> bool:
    """End a work item; returns False where it does not exist."""
    status = await conn.execute(
        "DELETE FROM work_queue WHERE (issue_id, kind, about) = ($1, $2, $3)", issue_id, kind, about
    )
    return status == "DELETE 1"


async def change_token(conn: Connection) -> str:
    """Return a token that changes whenever a page of the desk may change; its cost does not grow with the tables."""
    return str(
        await conn.fetchval(
            "SELECT (SELECT last_value FROM timeline_position_seq) || '.'"
            " || (SELECT last_value || '.' || is_called FROM anomalies_position_seq) || '.' || count(*) || '.'"
            " || coalesce(max(until)::text, '') FROM issue_claims"
        )
    )


# --- one issue --------------------------------------------------------------------------------------------------------


_NOTES = "SELECT description, reference FROM issues WHERE issue_id = $1"
_TRACE = "SELECT trace_id FROM timeline WHERE issue_id = $1 AND trace_id IS NOT NULL LIMIT 1"
# Without notices: a mail sent meanwhile changes nothing that a decision depends on.
_VERSION = """
    SELECT (SELECT coalesce(max(position), 0) FROM timeline
            WHERE issue_id = $1 AND (type LIKE 'issue.%' OR type LIKE 'customer.%'))
           || '.' || (SELECT count(*) FROM desk_actions WHERE subject = $1::text)
           || '.' || (SELECT count(*) FROM staff_decisions WHERE issue_id = $1)
           || '.' || (SELECT count(*) FROM customer_messages WHERE issue_id = $1)"""


@dataclass(frozen=True, slots=True)
class StaffActionEntry:
    """One action of staff at the desk."""

    staff: str
    action: str
    about: str
    comment: str
    acted_at: datetime


@dataclass(frozen=True, slots=True)
class Rating:
    resolution: int
    score: int
    comment: str | None
    rated_at: datetime


@dataclass(frozen=True, slots=True)
class IssueNotes:
    """Data beside an issue's timeline: description, staff actions, ratings, mails, trace and version."""

    description: str | None
    reference: str | None
    trace_id: str | None
    version: str
    actions: Sequence[StaffActionEntry]
    ratings: Sequence[Rating]
    messages: Sequence[CustomerMessage]


async def read_notes(conn: Connection, issue_id: UUID) -> IssueNotes:
    row = await conn.fetchrow(_NOTES, issue_id)
    actions = await conn.fetch(
        "SELECT staff, action, about, comment, acted_at FROM desk_actions WHERE subject = $1 ORDER BY acted_at",
        str(issue_id),
    )
    ratings = await conn.fetch(
        "SELECT resolution, score, comment, rated_at FROM ratings WHERE issue_id = $1 ORDER BY resolution", issue_id
    )
    return IssueNotes(
        description=row["description"] if row else None,
        reference=row["reference"] if row else None,
        trace_id=await conn.fetchval(_TRACE, issue_id),
        version=await issue_version(conn, issue_id),
        actions=[StaffActionEntry(**row) for row in actions],
        ratings=[Rating(**row) for row in ratings],
        messages=await messages_of_issue(conn, issue_id),
    )


async def issue_version(conn: Connection, issue_id: UUID) -> str:
    """Return a version that changes with everything that matters to a decision about this issue."""
    return str(await conn.fetchval(_VERSION, issue_id))


async def action_recorded(conn: Connection, action_id: UUID) -> bool:
    """Return whether this action is recorded already (a double click)."""
    statement = """
        SELECT EXISTS (SELECT FROM desk_actions WHERE action_id = $1) OR EXISTS (
            SELECT FROM idempotency WHERE caller = 'desk' AND key = $1::text)"""
    return bool(await conn.fetchval(statement, action_id))


async def count_decisions(conn: Connection, issue_id: UUID) -> int:
    """Return the number of staff decisions, the expected version of the next one."""
    return int(await conn.fetchval("SELECT count(*) FROM staff_decisions WHERE issue_id = $1", issue_id))


async def record_action(
    conn: Connection, action_id: UUID, subject: str, staff: str, action: str, about: str, comment: str, now: datetime
) -> bool:
    """Record an action; returns False where it is recorded already (a double click)."""
    status = await conn.execute(
        """
        INSERT INTO desk_actions (action_id, subject, staff, action, about, comment, acted_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (action_id) DO NOTHING""",
        action_id,
        subject,
        staff,
        action,
        about,
        comment,
        now,
    )
    return status.endswith(" 1")


# --- claims -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IssueClaim:
    staff: str
    until: datetime


_CLAIM = """
    INSERT INTO issue_claims AS old (issue_id, staff, until) VALUES ($1, $2, $3)
    ON CONFLICT (issue_id) DO UPDATE SET staff = excluded.staff, until = excluded.until
    WHERE old.staff = excluded.staff OR old.until <= $4"""


async def claim(conn: Connection, issue_id: UUID, staff: str, now: datetime, until: datetime) -> IssueClaim:
    """Claim the issue and lock the row; returns the valid claim, which may be an earlier one of somebody else."""
    await conn.execute(_CLAIM, issue_id, staff, until, now)
    row = await conn.fetchrow("SELECT staff, until FROM issue_claims WHERE issue_id = $1 FOR UPDATE", issue_id)
    return IssueClaim(row["staff"], row["until"]) if row else IssueClaim(staff, until)


async def active_claim(conn: Connection, issue_id: UUID, now: datetime) -> IssueClaim | None:
    row = await conn.fetchrow("SELECT staff, until FROM issue_claims WHERE issue_id = $1 AND until > $2", issue_id, now)
    return IssueClaim(row["staff"], row["until"]) if row else None


async def release(conn: Connection, issue_id: UUID, staff: str) -> None:
    await conn.execute("DELETE FROM issue_claims WHERE issue_id = $1 AND staff = $2", issue_id, staff)
