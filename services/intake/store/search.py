"""Lists of issues for ops and for one customer: filters, newest first, keyset pagination.

A cursor is the key of the last row, so that each page costs the same and no row is repeated while reports arrive.
Conditions are combined from the literals below; each list has an index in its order.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.common.events.values import Reason
from libs.common.postgres.pool import Connection
from services.intake.domain.projections.issue_status import CLOSED_STATUSES, IssueStatus

TEXT_SEARCH_WINDOW = timedelta(days=90)
"""Default period of a text search without `from`: free text has no index."""

_SELECT = """
    SELECT issue_id, order_id, customer_id, reason, lines, skus, status, missing, reference, reported_at, decide_by,
           decided_at, is_open AND decided_at IS NULL AND decide_by < $1 AND status <> 'waiting_for_customer' AS overdue
    FROM issues
    WHERE """
_ORDER = " ORDER BY reported_at DESC, issue_id DESC LIMIT "
_HAS_ID = """
    SELECT EXISTS (SELECT FROM issues WHERE order_id = $1) OR EXISTS (SELECT FROM issues WHERE customer_id = $1)
        OR EXISTS (SELECT FROM issues WHERE reference = $1)"""
_OVERDUE = "is_open AND decided_at IS NULL AND decide_by < $1 AND status <> 'waiting_for_customer'"


class CursorError(ValueError):
    """after: not a cursor of this list; send `next` of the previous page, or omit it."""


@dataclass(frozen=True, slots=True)
class IssueFilter:
    """Filters of a list; None means any. `q` is the id of an issue, order, customer or report, else free text."""

    status: IssueStatus | None = None
    reason: Reason | None = None
    sku: str | None = None
    customer_id: str | None = None
    order_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None
    overdue: bool = False
    after: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class IssuePage:
    issues: list[dict[str, Any]]
    next: str | None


async def find_issues(conn: Connection, criteria: IssueFilter, now: datetime) -> IssuePage:
    """Return one page. Raises `CursorError`."""
    is_id = criteria.q is not None and bool(await conn.fetchval(_HAS_ID, criteria.q))
    statement, values = build_query(criteria, now, q_is_id=is_id)
    found = [_row(row) for row in await conn.fetch(statement, *values)]
    more = len(found) > criteria.limit
    rows = found[: criteria.limit]
    return IssuePage(rows, cursor(rows[-1]["reported_at"], rows[-1]["issue_id"]) if more else None)


def _row(row: Any) -> dict[str, Any]:
    return {**row, "lines": json.loads(row["lines"])}


def build_query(criteria: IssueFilter, now: datetime, *, q_is_id: bool = False) -> tuple[str, Sequence[Any]]:
    """Return the statement and its values; it reads one row beyond the page, to detect the next page."""
    values: list[Any] = [now]
    conditions: list[str] = []

    def add(condition: str, *given: Any) -> None:
        numbers = [f"${len(values) + number}" for number, _ in enumerate(given, 1)]
        values.extend(given)
        conditions.append(condition.format(*numbers))

    if criteria.status:
        add(
            "NOT is_open AND status = {}" if criteria.status in CLOSED_STATUSES else "is_open AND status = {}",
            criteria.status,
        )
    if criteria.reason:
        add("reason = {}", criteria.reason)
    if criteria.sku:
        add("skus @> ARRAY[{}::text]", criteria.sku)
    if criteria.customer_id:
        add("customer_id = {}", criteria.customer_id)
    if criteria.order_id:
        add("order_id = {}", criteria.order_id)
    since = criteria.since
    if criteria.q:
        is_text = _add_search(criteria.q, add, is_id=q_is_id)
        since = since or (now - TEXT_SEARCH_WINDOW if is_text else None)
    if since:
        add("reported_at >= {}", since)
    if criteria.until:
        add("reported_at < {}", criteria.until)
    if criteria.overdue:
        conditions.append(_OVERDUE)
    if criteria.after:
        add("(reported_at, issue_id) < ({}, {})", *_read_cursor(criteria.after))
    values.append(criteria.limit + 1)
    return _SELECT + (" AND ".join(conditions) or "true") + _ORDER + f"${len(values)}", values


def _add_search(q: str, add: Any, *, is_id: bool) -> bool:
    """Add the condition for `q`; returns True where it is free text."""
    try:
        add("issue_id = {}", UUID(q))
    except ValueError:
        if is_id:
            add("(order_id = {0} OR customer_id = {0} OR reference = {0})", q)
            return False
        escaped = q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        add("description ILIKE {}", f"%{escaped}%")
        return True
    return False


def cursor(reported_at: datetime, issue_id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{reported_at.isoformat()} {issue_id}".encode()).decode()


def _read_cursor(text: str) -> tuple[datetime, UUID]:
    try:
        at, _, issue_id = base64.b64decode(text, altchars=b"-_", validate=True).decode().partition(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not 2000 <= moment.year < 2200:
            raise ValueError(at)
        return moment, UUID(issue_id)
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise CursorError("after: not a cursor of this list; send `next` of the previous page, or omit it") from error
