"""Kept counts: boxes that the warehouse counted and no case has taken yet, with all SQL about them.

Matching and the opening of a case meet under a lock by issue and order: whichever commits second sees the other, so
that no count stays behind a case that opened at the same moment. An inspection meets the count of its box in this way.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter

from libs.common.decisions.facts import Record
from libs.common.events.warehouse import ItemInspected, ItemReceived
from libs.common.postgres.pool import Connection
from services.returns.domain.state.case import Case
from services.returns.domain.state.count_ids import MAX_GIVEN, boxes_of, is_part_of
from services.returns.domain.state.kept_counts import (
    Count,
    CountKept,
    CountMatched,
    CountSettled,
    KeptCount,
    count_timer,
    issue_of_box,
    issues_named,
    marks_of,
    match_count,
    orders_named,
)
from services.returns.store.documents import CASE_DOCUMENT

AFTER_EARLY_EVENTS = timedelta(seconds=1)
"""Delay of kept counts of a new case behind its kept events: what came back was shipped and collected before."""

_COUNT: TypeAdapter[ItemReceived | ItemInspected] = TypeAdapter(ItemReceived | ItemInspected)

_LOCK = """
    SELECT pg_advisory_xact_lock(hashtextextended('count of ' || name, 0))
    FROM unnest($1::text[]) AS named (name) ORDER BY name"""
_KEEP = """
    INSERT INTO kept_counts (count_id, issue_id, order_id, body, kept_at, from_issue)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"""
_CANDIDATES = """
    SELECT body FROM cases WHERE key = ANY($1) OR order_id = ANY($2)
    UNION ALL
    SELECT body FROM cases WHERE is_open AND key <> ALL($1) AND order_id <> ALL($2) AND body LIKE ANY($3)"""
_ASSIGN = "UPDATE kept_counts SET issue_id = $2, is_last_choice = $3 WHERE count_id = $1"
# The trace is that of a timer that the case waits for, so that what follows is linked to the report.
_WAKE = """
    INSERT INTO timers (aggregate, key, name, due_at, trace)
    SELECT 'cases', $1::text, $2::text, $3::timestamptz,
        coalesce((SELECT max(t.trace) FROM timers t WHERE t.aggregate = 'cases' AND t.key = $1), $4)
    ON CONFLICT (aggregate, key, name) DO NOTHING"""
_FOR_NEW_CASES = """
    SELECT k.count_id, opened.issue_id FROM unnest($1::text[]) AS opened (issue_id) JOIN kept_counts k
      ON (k.issue_id = opened.issue_id OR jsonb_path_query_array(k.body, '$.lines[*].issue_id') ? opened.issue_id)
     AND k.matched_at IS NULL AND k.settled_at IS NULL
    ORDER BY k.kept_at, coalesce(k.body ->> 'received_at', k.body ->> 'inspected_at')"""
_OF_NEW_ORDERS = """
    SELECT count_id, body, from_issue::uuid FROM kept_counts
    WHERE (order_id = ANY($1) OR jsonb_path_query_array(body, '$.lines[*].order_id') ?| $1)
      AND matched_at IS NULL AND settled_at IS NULL AND issue_id IS NULL
    ORDER BY kept_at, coalesce(body ->> 'received_at', body ->> 'inspected_at')"""
# An inspection names the count of its box, which may have found its case later than the inspection came.
_INSPECTIONS = """
    SELECT count_id, body FROM kept_counts
    WHERE matched_at IS NULL AND settled_at IS NULL AND left(body ->> 'receipt_id', 100) COLLATE "C" = ANY($1)
      AND body ->> 'inspected_at' IS NOT NULL
    ORDER BY kept_at"""
# Parts of a box that cases took or that wait: they name all its cases, closed ones too. Their ids are that of the box,
# or begin with it and a slash, which sorts before a zero.
_PARTS = """
    SELECT body ->> 'receipt_id' AS receipt_id, issue_id, from_issue,
           matched_at IS NULL AND settled_at IS NULL AS is_open
    FROM kept_counts
    WHERE left(body ->> 'receipt_id', 100) COLLATE "C" >= $1
      AND left(body ->> 'receipt_id', 100) COLLATE "C" < $1 || '0'
      AND body ->> 'received_at' IS NOT NULL"""
# Locked, because two cases may be asked to take one count at the same time.
_LOAD = """
    SELECT count_id, body, from_issue::uuid, is_last_choice, settled_at IS NOT NULL AS is_settled,
           CASE WHEN matched_at IS NOT NULL THEN issue_id::uuid END AS taken_by
    FROM kept_counts WHERE count_id = ANY($1) ORDER BY count_id FOR UPDATE"""
_SETTLED = """
    UPDATE kept_counts SET settled_at = $2, settled_by = $3, settled_comment = $4
    WHERE count_id = $1 AND matched_at IS NULL"""
_MATCHED = "UPDATE kept_counts SET matched_at = now(), issue_id = $2 WHERE count_id = $1"
_LIST = """
    SELECT count_id, issue_id, order_id, body, kept_at FROM kept_counts
    WHERE matched_at IS NULL AND settled_at IS NULL AND count_id > $1 ORDER BY count_id LIMIT $2"""


class OpenedCase(NamedTuple):
    """Time and order of a new case, and the trace context of the event that opened it."""

    at: datetime
    order_id: str
    trace: str | None


@dataclass(frozen=True, slots=True)
class KeptCounts:
    """Kept counts in the database."""

    table: str = field(default="kept_counts")

    async def load(self, conn: Connection, count_ids: Collection[str]) -> dict[str, KeptCount]:
        rows = await conn.fetch(_LOAD, list(count_ids)) if count_ids else []
        return {row["count_id"]: _kept_count(row) for row in rows}

    async def save(self, conn: Connection, records: Sequence[Record], opened: Mapping[str, OpenedCase]) -> None:
        """Keep and match counts, mark those that were counted, and wake new cases whose counts came first."""
        kept = [record for record in records if isinstance(record, CountKept)]
        ended = [record for record in records if isinstance(record, CountMatched | CountSettled)]
        locked = {name for record in kept for name in _names(record.count)}
        locked |= {box for record in ended if record.receipt_id for box in boxes_of(record.receipt_id)}
        locked |= opened.keys() | {case.order_id for case in opened.values()}
        if locked:
            await lock_issues(conn, locked)
        for record in kept:
            await self._keep(conn, record)
        for end in ended:
            if isinstance(end, CountMatched):
                await conn.execute(_MATCHED, end.count_id, str(end.issue_id))
            else:
                await conn.execute(_SETTLED, end.count_id, end.at, end.staff, end.comment)
            if end.receipt_id:
                await self._bring_inspections(conn, end, boxes_of(end.receipt_id))
        if opened:
            await self._bring_kept(conn, opened)

    async def _bring_kept(self, conn: Connection, opened: Mapping[str, OpenedCase]) -> None:
        """Wake new cases whose counts came first: those that name the issue, and those that fit it by the order."""
        named = [(row["count_id"], row["issue_id"]) for row in await conn.fetch(_FOR_NEW_CASES, list(opened))]
        orders = sorted({case.order_id for case in opened.values()})
        for row in await conn.fetch(_OF_NEW_ORDERS, orders):
            found = await self._find_case(conn, _COUNT.validate_json(row["body"]), row["from_issue"])
            if found and str(found.issue_id) in opened:
                await conn.execute(_ASSIGN, row["count_id"], str(found.issue_id), False)
                named.append((row["count_id"], str(found.issue_id)))
        for number, (count_id, issue_id) in enumerate(dict.fromkeys(named)):
            case = opened[issue_id]
            due_at = case.at + AFTER_EARLY_EVENTS + timedelta(microseconds=number)
            await conn.execute(_WAKE, issue_id, count_timer(count_id), due_at, case.trace)

    async def _bring_inspections(
        self, conn: Connection, ended: CountMatched | CountSettled, boxes: Collection[str]
    ) -> None:
        """Give the kept inspections of a box to the case that they fit, once all or a part of it waits no longer."""
        for row in await conn.fetch(_INSPECTIONS, list(boxes)):
            found = await self._find_case(conn, _COUNT.validate_json(row["body"]))
            if found:
                await conn.execute(_ASSIGN, row["count_id"], str(found.issue_id), False)
                await conn.execute(_WAKE, str(found.issue_id), count_timer(row["count_id"]), ended.at, ended.trace)

    async def _keep(self, conn: Connection, record: CountKept) -> None:
        """Keep a count, and wake the case that it fits; without one, the case that handed it on counts or shows it."""
        count, sender = record.count, record.from_issue
        issues, orders = issues_named(count) - {sender}, orders_named(count)
        # What only the box or its slip names is in these columns; the lines are searched in the body.
        of_box = {issue_of_box(count)} & issues
        issue_id, order_id = _first(of_box or issues), _first({getattr(count, "order_id", None)} & orders or orders)
        body, from_issue = count.model_dump_json(exclude_none=True), str(sender) if sender else None
        status = await conn.execute(_KEEP, record.count_id, issue_id, order_id, body, record.at, from_issue)
        if status.endswith(" 0"):
            return  # the same count again
        found = await self._find_case(conn, count, sender)
        if found or (sender and not record.is_named):
            target = found.issue_id if found else sender
            await conn.execute(_ASSIGN, record.count_id, str(target), found is None)
        if wakes := found.issue_id if found else sender:
            await conn.execute(_WAKE, str(wakes), count_timer(record.count_id), record.at, record.trace)

    async def _find_case(self, conn: Connection, count: Count, beside: UUID | None = None) -> Case | None:
        named = issues_named(count)
        issues = [str(issue) for issue in named]
        if isinstance(count, ItemInspected) and count.receipt_id and not issues:
            parts = await self._find_parts(conn, count.receipt_id)
            if any(part["is_open"] for part in parts):
                return None  # once its case takes that part, or staff close it, the inspection is matched again
            issues = [issue for part in parts for issue in (part["issue_id"], part["from_issue"]) if issue]
        is_named = bool(named - {beside})  # weaker marks may be those of another customer
        orders = [] if is_named else list(orders_named(count))
        marks = [] if is_named else [f"%{_escaped(mark)}%" for mark in marks_of(count)]
        rows = await conn.fetch(_CANDIDATES, issues, orders, marks)
        cases: list[Case] = [CASE_DOCUMENT.validate_json(row["body"]) for row in rows]
        return match_count(count, cases, beside)

    async def _find_parts(self, conn: Connection, box: str) -> list[Any]:
        rows = await conn.fetch(_PARTS, box[:MAX_GIVEN])
        return [row for row in rows if is_part_of(row["receipt_id"], box)]


def _names(count: Count) -> set[str]:
    """Return everything of a count that a case or another count may be found by at the same moment."""
    boxes = boxes_of(count.receipt_id) if count.receipt_id else set()
    return {*map(str, issues_named(count)), *orders_named(count), *boxes}


def _kept_count(row: Any) -> KeptCount:
    count = _COUNT.validate_json(row["body"])
    return KeptCount(count, row["from_issue"], row["is_last_choice"], row["taken_by"], row["is_settled"])


async def lock_issues(conn: Connection, issues: Collection[str]) -> None:
    """Lock these issues, whether or not they have cases, for what is kept for a case that is not open yet."""
    await conn.execute(_LOCK, sorted(issues))


def _first(names: Collection[object]) -> str | None:
    return min(map(str, names), default=None)


def _escaped(mark: str) -> str:
    return mark.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


async def list_kept_counts(conn: Connection, after: str, limit: int) -> list[dict[str, Any]]:
    """Return a page of the counts that no case has taken, in the order of ids."""
    rows = await conn.fetch(_LIST, after, limit)
    return [
        {
            "count_id": row["count_id"],
            "issue_id": row["issue_id"],
            "order_id": row["order_id"],
            "count": _COUNT.validate_json(row["body"]).model_dump(mode="json", exclude_none=True),
            "kept_at": row["kept_at"].isoformat(),
        }
        for row in rows
    ]
