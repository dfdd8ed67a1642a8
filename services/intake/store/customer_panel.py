"""SQL of the customer panel of the desk: contact, orders, issues, points and notes of one customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.postgres.pool import Connection
from services.intake.domain.order_contacts import OrderContact
from services.intake.store.order_contacts import find_by_number

MAX_ROWS = 10

_ORDERS = """
    SELECT order_id, order_number, placed_at FROM order_contacts WHERE customer_id = $1
    ORDER BY placed_at DESC NULLS LAST, order_id LIMIT $2"""
_ISSUES = """
    SELECT issue_id, order_id, reason, status, reported_at FROM issues WHERE customer_id = $1
    ORDER BY reported_at DESC, issue_id DESC LIMIT $2"""
_POINTS = """
    SELECT coalesce(sum((data ->> 'points')::bigint) FILTER (WHERE type = 'points.granted.v1'), 0)
         - coalesce(sum((data ->> 'points')::bigint) FILTER (WHERE type = 'points.reversed.v1'), 0)
    FROM timeline WHERE issue_id = ANY($1) AND type IN ('points.granted.v1', 'points.reversed.v1')"""
_NOTES = """
    SELECT subject, staff, comment, acted_at FROM desk_actions WHERE subject = ANY($1) AND action = 'note'
    ORDER BY acted_at DESC LIMIT $2"""


@dataclass(frozen=True, slots=True)
class PanelOrder:
    order_id: str
    order_number: str | None
    placed_at: datetime | None


@dataclass(frozen=True, slots=True)
class PanelIssue:
    issue_id: UUID
    order_id: str
    reason: str
    status: str
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class PanelNote:
    """A note of staff; `subject` is the id of its issue."""

    subject: str
    staff: str
    comment: str
    acted_at: datetime


@dataclass(frozen=True, slots=True)
class CustomerPanel:
    """A customer as staff see them; the newest rows of each kind. `points` are those of the listed issues."""

    customer_id: str
    contact: OrderContact | None
    orders: Sequence[PanelOrder]
    issues: Sequence[PanelIssue]
    points: int
    notes: Sequence[PanelNote]


async def read_panel(conn: Connection, customer_id: str, order_id: str, *, with_contact: bool) -> CustomerPanel:
    """Return the panel of an order's customer. `with_contact`: the reader may see name, mail and telephone."""
    contacts = await find_by_number(conn, [order_id]) if with_contact else []
    contact = next((each for each in contacts if each.order_id == order_id), None)
    orders = [PanelOrder(**row) for row in await conn.fetch(_ORDERS, customer_id, MAX_ROWS)]
    issues = [PanelIssue(**row) for row in await conn.fetch(_ISSUES, customer_id, MAX_ROWS)]
    ids = [issue.issue_id for issue in issues]
    points: int = await conn.fetchval(_POINTS, ids)
    notes = [PanelNote(**row) for row in await conn.fetch(_NOTES, [str(each) for each in ids], MAX_ROWS)]
    return CustomerPanel(customer_id, contact, orders, issues, int(points), notes)


async def customer_of_order(conn: Connection, order_id: str) -> str | None:
    """Return the customer of an order; None while the order is unknown."""
    customer: str | None = await conn.fetchval(
        "SELECT body #>> '{purchase,customer_id}' FROM orders WHERE key = $1", order_id
    )
    return customer
