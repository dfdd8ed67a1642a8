"""SQL of customer pages: reportable lines of an order, and ratings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import is_customer
from services.intake.domain.orders import Order

_ORDER = TypeAdapter(Order)


@dataclass(frozen=True, slots=True)
class ReportableLine:
    """One line of an order, with the number of units without a report."""

    line_id: str
    name: str
    reportable_units: int


async def reportable_lines(conn: Connection, order_id: str, customer_id: str) -> list[ReportableLine] | None:
    """Return the lines of a customer's order; None where it is unknown or belongs to another customer."""
    body = await conn.fetchval("SELECT body FROM orders WHERE key = $1", order_id)
    order = _ORDER.validate_json(body) if body else None
    if order is None or order.purchase is None or not await is_customer(conn, customer_id, order.purchase.customer_id):
        return None
    rows = await conn.fetch(
        "SELECT line_id, count(*) AS taken FROM entitlements"
        " WHERE order_id = $1 AND (replaced_on IS NULL OR resent_by IS NOT NULL) GROUP BY line_id",
        order_id,
    )
    taken: Mapping[str, int] = {row["line_id"]: row["taken"] for row in rows}
    return [
        ReportableLine(line.line_id, line.name, line.quantity - taken.get(line.line_id, 0))
        for line in order.purchase.lines
    ]


async def item_names(conn: Connection, order_id: str) -> dict[str, str]:
    """Return the names of the order's lines; empty while the order is unknown."""
    rows = await conn.fetch(
        "SELECT l ->> 'line_id' AS line_id, l ->> 'name' AS name"
        " FROM orders, jsonb_path_query(body, '$.purchase.lines[*]') AS l WHERE key = $1",
        order_id,
    )
    return {row["line_id"]: row["name"] for row in rows}


async def read_rating(conn: Connection, issue_id: UUID, resolution: int) -> int | None:
    """Return the score of this resolution."""
    score: int | None = await conn.fetchval(
        "SELECT score FROM ratings WHERE issue_id = $1 AND resolution = $2", issue_id, resolution
    )
    return score


async def record_rating(
    conn: Connection, issue_id: UUID, resolution: int, score: int, comment: str | None, now: datetime
) -> bool:
    """Record a rating; returns False where this resolution has one already."""
    status = await conn.execute(
        """
        INSERT INTO ratings (issue_id, resolution, score, comment, rated_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (issue_id, resolution) DO NOTHING""",
        issue_id,
        resolution,
        score,
        comment,
        now,
    )
    return status == "INSERT 0 1"


async def is_issue_of(conn: Connection, issue_id: UUID, order_id: str, customer_id: str) -> bool:
    """Return whether this customer reported the issue about this order."""
    row = await conn.fetchrow("SELECT order_id, customer_id FROM issues WHERE issue_id = $1", issue_id)
    return row is not None and row["order_id"] == order_id and await is_customer(conn, customer_id, row["customer_id"])
