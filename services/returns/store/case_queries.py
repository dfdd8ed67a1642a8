"""Read queries for cases and customer exposures."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.postgres.pool import Connection
from services.returns.domain.state.case import Case
from services.returns.domain.state.case_status import CLOSED_STATUSES, CaseStatus
from services.returns.domain.state.exposure import CustomerExposure
from services.returns.store.documents import CASE_DOCUMENT, EXPOSURE_DOCUMENT

_LIST = """
    SELECT body FROM cases
    WHERE key > $1 AND ($2::text IS NULL OR status = $2) AND (NOT $3 OR in_review)
      AND ($4::text IS NULL OR order_id = $4) {and_open}
    ORDER BY key LIMIT $5"""
# Two statements, because most cases are closed: the partial index of open ones needs its condition in the query.
LIST_ALL, LIST_OPEN = _LIST.format(and_open=""), _LIST.format(and_open="AND is_open")
_LIST_OF_ORDERS = "SELECT body FROM cases WHERE order_id = ANY($1)"
_LIST_BY_ID = "SELECT body FROM cases WHERE key = ANY($1)"
_ISSUES_SINCE = """
    SELECT key FROM cases WHERE is_open OR (body::json ->> 'accepted_at')::timestamptz >= $1"""
_LIST_ACCEPTED_SINCE = """
    SELECT body FROM cases WHERE key > $1 AND (body::json ->> 'accepted_at')::timestamptz >= $2
    ORDER BY key LIMIT 1000"""


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Conditions and page of a list of cases; the page starts behind the id `after`."""

    status: CaseStatus | None = None
    in_review: bool = False
    order_id: str | None = None
    after: str = ""
    limit: int = 50


async def list_cases(conn: Connection, wanted: CaseFilter) -> list[Case]:
    """Return one page in the order of ids; the last id is the next page's `after`."""
    statement = LIST_ALL if wanted.status in (None, *CLOSED_STATUSES) else LIST_OPEN
    rows = await conn.fetch(statement, wanted.after, wanted.status, wanted.in_review, wanted.order_id, wanted.limit)
    return [CASE_DOCUMENT.validate_json(row["body"]) for row in rows]


async def list_cases_of_orders(conn: Connection, order_ids: list[str]) -> list[Case]:
    rows = await conn.fetch(_LIST_OF_ORDERS, order_ids)
    return [CASE_DOCUMENT.validate_json(row["body"]) for row in rows]


async def list_cases_by_id(conn: Connection, issue_ids: Iterable[UUID]) -> list[Case]:
    rows = await conn.fetch(_LIST_BY_ID, [str(issue_id) for issue_id in issue_ids])
    return [CASE_DOCUMENT.validate_json(row["body"]) for row in rows]


async def issues_since(conn: Connection, since: datetime) -> set[UUID]:
    """Return the issues whose cases are open, or were accepted since then."""
    return {UUID(row["key"]) for row in await conn.fetch(_ISSUES_SINCE, since)}


async def list_accepted_since(conn: Connection, since: datetime, after: str = "") -> list[Case]:
    """Return a page of the cases accepted since then, in the order of ids."""
    rows = await conn.fetch(_LIST_ACCEPTED_SINCE, after, since)
    return [CASE_DOCUMENT.validate_json(row["body"]) for row in rows]


async def find_case(conn: Connection, issue_id: str) -> Case | None:
    body = await conn.fetchval("SELECT body FROM cases WHERE key = $1", issue_id)
    return CASE_DOCUMENT.validate_json(body) if body else None


async def find_customer_exposure(conn: Connection, customer_id: str) -> CustomerExposure | None:
    body = await conn.fetchval("SELECT body FROM customers WHERE key = $1", customer_id)
    return EXPOSURE_DOCUMENT.validate_json(body) if body else None
