"""SQL of customer pages: reportable lines of an order, names of what is reported, and ratings."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from libs.common.events.values import OrderLine
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import is_customer
from services.intake.domain.components import component_quantities
from services.intake.domain.orders import Order

_ORDER = TypeAdapter(Order)


# Units and parts of units that are held; a unit of which a part is held cannot be reported as a whole.
_TAKEN = """
    WITH parts AS (
        SELECT line_id, unit_number, component FROM part_entitlements
        WHERE order_id = $1 AND (replaced_on IS NULL OR resent_by IS NOT NULL)
    ), units AS (
        SELECT line_id, unit_number, '' AS component FROM entitlements
        WHERE order_id = $1 AND (replaced_on IS NULL OR resent_by IS NOT NULL)
        UNION SELECT line_id, unit_number, '' FROM parts)
    SELECT line_id, component, count(DISTINCT unit_number) AS taken
    FROM (SELECT * FROM units UNION ALL SELECT line_id, unit_number, component FROM parts) AS held
    GROUP BY line_id, component"""


@dataclass(frozen=True, slots=True)
class ReportableComponent:
    """A component of a line, with the number of its pieces without a report."""

    sku: str
    name: str
    reportable_pieces: int
    per_unit: int


@dataclass(frozen=True, slots=True)
class ReportableLine:
    """One line of an order, with the number of units without a report."""

    line_id: str
    name: str
    reportable_units: int
    components: tuple[ReportableComponent, ...] = ()

    @property
    def is_reportable(self) -> bool:
        return self.reportable_units > 0 or any(each.reportable_pieces > 0 for each in self.components)


async def reportable_lines(conn: Connection, order_id: str, customer_id: str) -> list[ReportableLine] | None:
    """Return the lines of a customer's order; None where it is unknown or belongs to another customer."""
    body = await conn.fetchval("SELECT body FROM orders WHERE key = $1", order_id)
    order = _ORDER.validate_json(body) if body else None
    if order is None or order.purchase is None or not await is_customer(conn, customer_id, order.purchase.customer_id):
        return None
    rows = await conn.fetch(_TAKEN, order_id)
    taken = {(row["line_id"], row["component"]): int(row["taken"]) for row in rows}
    return [_reportable(line, taken) for line in order.purchase.lines]


def _reportable(line: OrderLine, taken: Mapping[tuple[str, str], int]) -> ReportableLine:
    names = {each.sku: each.name or each.sku for each in reversed(line.components)}
    components = tuple(
        ReportableComponent(sku, names[sku], max(line.quantity - taken.get((line.line_id, sku), 0), 0) * count, count)
        for sku, count in component_quantities(line).items()
    )
    return ReportableLine(line.line_id, line.name, line.quantity - taken.get((line.line_id, ""), 0), components)


async def reported_items(conn: Connection, order_id: str, lines: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Return name and number of what these lines of a report name: units of the order, or parts of them."""
    rows = await conn.fetch(
        "SELECT l ->> 'line_id' AS line_id, l ->> 'name' AS name, l ->> 'components' AS components"
        " FROM orders, jsonb_path_query(body, '$.purchase.lines[*]') AS l WHERE key = $1",
        order_id,
    )
    known = {row["line_id"]: (row["name"], json.loads(row["components"] or "[]")) for row in rows}
    found: list[tuple[str, int]] = []
    for line in lines:
        name, components = known.get(line["line_id"], (line["line_id"], []))
        names = {each["sku"]: each.get("name") or each["sku"] for each in components}
        parts = [(names.get(part["sku"], part["sku"]), part["quantity"]) for part in line.get("parts") or ()]
        if not parts and line.get("part"):
            parts = [(line["part"], line["quantity"])]
        found += [(f"{name}: {part}", count) for part, count in parts] or [(name, line["quantity"])]
    return found


@dataclass(frozen=True, slots=True)
class ListedIssue:
    """One issue of an order, with names and numbers of what it reports."""

    issue_id: UUID
    reason: str
    status: str
    reported_at: datetime
    reported_items: tuple[tuple[str, int], ...]


_ISSUES_OF_ORDER = """
    SELECT issue_id, customer_id, reason, status, reported_at, lines::text FROM issues
    WHERE order_id = $1 AND ($2 = 'customer' OR reported_by = $2) ORDER BY reported_at DESC, issue_id LIMIT 20"""
_ISSUE_OF_ORDER = """
    SELECT customer_id FROM issues
    WHERE issue_id = $3 AND order_id = $1 AND ($2 = 'customer' OR reported_by = $2)"""


async def issues_of_order(conn: Connection, order_id: str, customer_id: str, reader: str) -> list[ListedIssue]:
    """Return the newest issues of a customer's order; the receiver of a gift sees their own reports only."""
    found = []
    for row in await conn.fetch(_ISSUES_OF_ORDER, order_id, reader):
        if await is_customer(conn, customer_id, row["customer_id"]):
            items = tuple(await reported_items(conn, order_id, json.loads(row["lines"])))
            found.append(ListedIssue(row["issue_id"], row["reason"], row["status"], row["reported_at"], items))
    return found


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


async def is_issue_of(conn: Connection, issue_id: UUID, order_id: str, customer_id: str, reader: str) -> bool:
    """Return whether this reader may see the issue as one of this customer's order (`issues_of_order`)."""
    row = await conn.fetchrow(_ISSUE_OF_ORDER, order_id, reader, issue_id)
    return row is not None and await is_customer(conn, customer_id, row["customer_id"])
