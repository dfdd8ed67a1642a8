"""SQL of issues: the rows of reports. Statements write whole batches; rows are written in key order."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Reason, Remedy, ReportedLine, Reporter
from libs.common.postgres.pool import Connection
from services.intake.domain.issue_acceptance import IssueRecorded, IssueUpdated
from services.intake.domain.orders import Report, StoredReport
from services.intake.domain.projections.issue_status import IssueStatus
from services.intake.store.entitlements import expect_rows

_LINES = TypeAdapter(tuple[ReportedLine, ...])

# Issues with these ids, whatever their order; and the storefront's report numbers of these orders.
_KNOWN_ISSUES = """
    SELECT issue_id, order_id, CASE WHEN refusal_code IS NULL THEN reference END AS reference
    FROM issues WHERE order_id = ANY($1)
    UNION ALL
    SELECT issue_id, order_id, NULL FROM issues WHERE issue_id = ANY($2) AND order_id <> ALL($1)"""
_REPORTS = """
    SELECT issue_id, order_id, customer_id, reason, lines, requested_remedy, description, reference, noticed_on,
           refusal_code, reported_at, reported_by,
           (SELECT count(*) FROM staff_decisions d WHERE d.issue_id = i.issue_id) AS version,
           ARRAY(SELECT sha256 FROM evidence e WHERE e.issue_id = i.issue_id) AS photos
    FROM issues i WHERE issue_id = ANY($1)"""
_INSERT = """
    INSERT INTO issues (
        issue_id, order_id, customer_id, reason, lines, description, reference, refusal_code, reported_at,
        requested_remedy, noticed_on, skus, missing, decide_by, reported_by,
        progress_status, progress_at, lifecycle_status, lifecycle_at)
    SELECT issue_id, order_id, customer_id, reason, lines, description, reference, refusal_code, reported_at,
           requested_remedy, noticed_on, string_to_array(skus, chr(31)), string_to_array(missing, ','), decide_by,
           reported_by, progress_status, reported_at,
           CASE WHEN refusal_code IS NULL THEN 'accepted' ELSE 'rejected' END, reported_at
    FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::text[], $8::text[],
        $9::timestamptz[], $10::text[], $11::date[], $12::text[], $13::text[], $14::timestamptz[], $15::text[],
        $16::text[])
        AS t (issue_id, order_id, customer_id, reason, lines, description, reference, refusal_code, reported_at,
              requested_remedy, noticed_on, skus, missing, decide_by, progress_status, reported_by)
    ON CONFLICT (issue_id) DO NOTHING"""
_UPDATE = """
    UPDATE issues i
    SET lines = c.lines, description = c.description, requested_remedy = c.requested_remedy,
        refusal_code = c.refusal_code, missing = string_to_array(c.missing, ','), decide_by = c.decide_by,
        progress_status = c.progress_status, progress_at = c.at, lifecycle_at = c.at,
        lifecycle_status = CASE WHEN c.refusal_code IS NULL THEN 'accepted' ELSE 'rejected' END
    FROM unnest($1::uuid[], $2::jsonb[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
                $9::timestamptz[])
        AS c (issue_id, lines, description, requested_remedy, refusal_code, missing, decide_by, progress_status, at)
    WHERE i.issue_id = c.issue_id"""
_ISSUE = """
    SELECT issue_id, order_id, customer_id, reason, lines, requested_remedy, reference, noticed_on, status, missing,
           decide_by, decided_at, reported_at, reported_by,
           (SELECT count(*) FROM staff_decisions d WHERE d.issue_id = i.issue_id) AS version
    FROM issues i WHERE issue_id = $1"""
_EVENT_TYPES = "SELECT type FROM timeline WHERE issue_id = $1 ORDER BY at, position"
_TIMELINE = "SELECT at, type, data FROM timeline WHERE issue_id = $1 ORDER BY at, position"
_PHOTOS = """
    SELECT sha256, media_type, size_bytes, width, height, stored_at
    FROM evidence WHERE issue_id = $1 ORDER BY stored_at, sha256"""


async def read_known_issues(
    conn: Connection, order_ids: Iterable[str], issue_ids: Iterable[UUID]
) -> tuple[dict[UUID, str], dict[str, dict[str, frozenset[UUID]]]]:
    """Return the order of each issue; and, by order, the issues that hold each of the storefront's report numbers."""
    order_by_issue: dict[UUID, str] = {}
    references: dict[str, dict[str, frozenset[UUID]]] = {}
    for row in await conn.fetch(_KNOWN_ISSUES, list(order_ids), list(issue_ids)):
        order_by_issue[row["issue_id"]] = row["order_id"]
        if row["reference"]:
            holders = references.setdefault(row["order_id"], {})
            holders[row["reference"]] = holders.get(row["reference"], frozenset()) | {row["issue_id"]}
    return order_by_issue, references


async def read_reports(conn: Connection, issue_ids: Iterable[UUID]) -> dict[UUID, StoredReport]:
    return {row["issue_id"]: _stored_report(row) for row in await conn.fetch(_REPORTS, list(issue_ids))}


def _stored_report(row: Any) -> StoredReport:
    submission = IssueSubmitted.model_construct(
        order_id=row["order_id"],
        customer_id=row["customer_id"],
        reason=Reason(row["reason"]),
        lines=_LINES.validate_json(row["lines"]),
        requested_remedy=Remedy(row["requested_remedy"]) if row["requested_remedy"] else None,
        description=row["description"],
        reference=row["reference"],
        noticed_on=row["noticed_on"],
        photos=(),
        reported_by=Reporter(row["reported_by"]),
        issue_id=row["issue_id"],
    )
    report = Report(row["issue_id"], submission, row["reported_at"])
    return StoredReport(report, row["refusal_code"], row["version"], frozenset(row["photos"]))


async def insert_issues(conn: Connection, recorded: Sequence[IssueRecorded]) -> None:
    """Insert rows. Raises `ConflictError` where another transaction was first."""
    rows = sorted(recorded, key=lambda record: record.report.issue_id)
    if len({record.report.issue_id for record in rows}) != len(rows):
        raise ValueError("issue_id: used by two reports of one batch; decided one by one, the first one keeps it")
    submissions = [record.report.submission for record in rows]
    status = await conn.execute(
        _INSERT,
        [record.report.issue_id for record in rows],
        [submission.order_id for submission in submissions],
        [submission.customer_id for submission in submissions],
        [submission.reason.value for submission in submissions],
        [_dump_lines(submission) for submission in submissions],
        [submission.description for submission in submissions],
        [submission.reference for submission in submissions],
        [record.refusal.code if record.refusal else None for record in rows],
        [record.report.reported_at for record in rows],
        [submission.requested_remedy for submission in submissions],
        [submission.noticed_on for submission in submissions],
        ["\x1f".join(record.skus) for record in rows],
        [",".join(record.missing) for record in rows],
        [record.decide_by for record in rows],
        [_status(record.refusal is not None, bool(record.missing)) for record in rows],
        [submission.reported_by.value for submission in submissions],
    )
    expect_rows(status, len(rows), "issues")


async def update_issues(conn: Connection, rows: Sequence[IssueUpdated]) -> None:
    submissions = [record.report.submission for record in rows]
    await conn.execute(
        _UPDATE,
        [record.report.issue_id for record in rows],
        [_dump_lines(submission) for submission in submissions],
        [submission.description for submission in submissions],
        [submission.requested_remedy for submission in submissions],
        [record.refusal_code for record in rows],
        [",".join(record.missing) for record in rows],
        [record.decide_by for record in rows],
        [_status(record.refusal_code is not None, bool(record.missing)) for record in rows],
        [record.at for record in rows],
    )


def _dump_lines(submission: IssueSubmitted) -> str:
    return _LINES.dump_json(submission.lines, exclude_none=True).decode()


def _status(refused: bool, has_missing: bool) -> str:
    if refused:
        return IssueStatus.REJECTED
    return IssueStatus.WAITING_FOR_CUSTOMER if has_missing else IssueStatus.ACCEPTED


async def read_issue(conn: Connection, issue_id: UUID) -> dict[str, Any] | None:
    """Return an issue with its status, timeline and photos; None where it does not exist."""
    issue = await conn.fetchrow(_ISSUE, issue_id)
    if issue is None:
        return None
    timeline = [{**row, "data": json.loads(row["data"])} for row in await conn.fetch(_TIMELINE, issue_id)]
    return {
        **issue,
        "lines": json.loads(issue["lines"]),
        "timeline": timeline,
        "photos": [dict(row) for row in await conn.fetch(_PHOTOS, issue_id)],
    }


class ReportedIssue(NamedTuple):
    """Owner and status of an issue."""

    order_id: str
    customer_id: str
    status: str


async def read_status(conn: Connection, issue_id: UUID) -> ReportedIssue | None:
    row = await conn.fetchrow("SELECT order_id, customer_id, status FROM issues WHERE issue_id = $1", issue_id)
    return ReportedIssue(*row.values()) if row else None


async def read_event_types(conn: Connection, issue_id: UUID) -> list[str]:
    """Return the types of an issue's events in the order of the timeline."""
    return [row["type"] for row in await conn.fetch(_EVENT_TYPES, issue_id)]


async def read_order_id(conn: Connection, issue_id: UUID) -> str | None:
    order_id: str | None = await conn.fetchval("SELECT order_id FROM issues WHERE issue_id = $1", issue_id)
    return order_id


async def read_customer_id(conn: Connection, issue_id: UUID) -> str | None:
    customer_id: str | None = await conn.fetchval("SELECT customer_id FROM issues WHERE issue_id = $1", issue_id)
    return customer_id


async def read_line_ids(conn: Connection, issue_id: UUID) -> list[str]:
    lines = await conn.fetchval("SELECT lines FROM issues WHERE issue_id = $1", issue_id)
    return [line["line_id"] for line in json.loads(lines or "[]")]


async def read_missing_details(conn: Connection, issue_id: UUID) -> list[str]:
    return list(await conn.fetchval("SELECT missing FROM issues WHERE issue_id = $1", issue_id) or ())
