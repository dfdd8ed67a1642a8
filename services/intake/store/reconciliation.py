"""SQL of the reconciliation: issues, their archived events, and the acceptance of a report rebuilt from its rows."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from libs.common.events.issues import IssueAccepted
from libs.common.postgres.pool import Connection
from libs.common.postgres.state_table import StateTable
from services.intake.domain.context import OrderState
from services.intake.domain.issue_acceptance import acceptance_of
from services.intake.domain.orders import Order
from services.intake.store import entitlements, issues

_ORDERS: StateTable[Order] = StateTable("orders", TypeAdapter(Order))

_SINCE = "SELECT issue_id FROM issues WHERE is_open OR reported_at >= $1 OR lifecycle_at >= $1"
# A report that waits for details, or for a review of its details, is in the document of its order.
_ISSUES = """
    SELECT i.issue_id, i.order_id, i.customer_id, i.status, i.is_open, i.reported_at, i.lifecycle_at,
           i.refusal_code IS NULL AND NOT EXISTS (
               SELECT FROM orders o, jsonb_array_elements(o.body -> 'awaiting_details') AS p
               WHERE o.key = i.order_id AND p -> 'report' ->> 'issue_id' = i.issue_id::text) AS is_accepted
    FROM issues i WHERE i.issue_id = ANY($1)"""
_EVENTS = """
    SELECT issue_id, event_id, at, type, data FROM timeline WHERE issue_id = ANY($1) ORDER BY issue_id, at, position"""
_ORDER_OF = "SELECT order_id FROM issues WHERE issue_id = $1"
_ACCEPTED_AT = """
    SELECT CASE WHEN lifecycle_status = 'accepted' THEN lifecycle_at ELSE reported_at END
    FROM issues WHERE issue_id = $1"""


async def issues_since(conn: Connection, since: datetime) -> set[UUID]:
    """Return the issues that are open, or were reported, closed or reopened since then."""
    return {row["issue_id"] for row in await conn.fetch(_SINCE, since)}


async def read_issues(conn: Connection, issue_ids: Collection[UUID]) -> list[asyncpg.Record]:
    return await conn.fetch(_ISSUES, issue_ids)


async def read_archived_events(conn: Connection, issue_ids: Collection[UUID]) -> list[asyncpg.Record]:
    """Return the events of these issues from their timelines, in time order."""
    return await conn.fetch(_EVENTS, issue_ids)


async def rebuild_acceptance(conn: Connection, issue_id: UUID) -> IssueAccepted:
    """Return the acceptance of a report without its deadlines, which it does not keep. Locks its order."""
    order_id = await conn.fetchval(_ORDER_OF, issue_id)
    _, order = (await _ORDERS.load(conn, [order_id]))[order_id]
    held, replaced_on = await entitlements.read_entitlements(conn, [order_id])
    state = OrderState(order, held.get(order_id, {}), replaced_on=replaced_on.get(order_id, {}))
    report = (await issues.read_reports(conn, {issue_id}))[issue_id].report
    accepted_at = await conn.fetchval(_ACCEPTED_AT, issue_id)
    return acceptance_of(state, report, state.units_of(issue_id), accepted_at)
