"""SQL of the desk's search: issues and orders by a fragment of a number, a product or a person.

Numbers of orders, issues and parcels are found by their beginning or their end, report numbers and customers whole,
products by any part of their SKU. Persons are found through keyed hashes (`store.order_contacts`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.postgres.pool import Connection
from services.intake.domain.order_contacts import number_spellings
from services.intake.store.order_contacts import find_by_fragment, find_by_number

MIN_FRAGMENT = 3
"""Shortest beginning or end of a number; a shorter text is compared whole."""

MAX_PRODUCTS = 20


@dataclass(frozen=True, slots=True)
class FoundIssue:
    """An issue in a list of search results; `by` names what the text was found in."""

    issue_id: UUID
    order_id: str
    customer_id: str
    reason: str
    status: str
    reported_at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """An order in a list of search results. `name` is personal data; `issues` counts its issues."""

    order_id: str
    customer_id: str
    order_number: str | None
    name: str
    placed_at: datetime | None
    issues: int
    by: str


_FIELDS = "i.issue_id, i.order_id, i.customer_id, i.reason, i.status, i.reported_at"
_WHOLE = f"""
    SELECT {_FIELDS},
           CASE WHEN order_id = $1 THEN 'order' WHEN customer_id = $1 THEN 'customer' ELSE 'reference' END AS by
    FROM issues i WHERE order_id = $1 OR customer_id = $1 OR reference = $1
    ORDER BY reported_at DESC LIMIT $2"""  # noqa: S608 - columns of this module
_BY_ID = f"""
    SELECT {_FIELDS}, 'issue' AS by FROM issues i WHERE issue_id BETWEEN $1 AND $2
    ORDER BY reported_at DESC LIMIT $3"""  # noqa: S608 - columns of this module
# The limit within keeps a fragment that half of the numbers share from reading them all.
_BY_ORDER = f"""
    WITH found AS MATERIALIZED (
        SELECT * FROM issues WHERE lower(order_id) LIKE $1 OR reverse(lower(order_id)) LIKE $2 LIMIT 500
    ) SELECT {_FIELDS}, 'order' AS by FROM found i ORDER BY reported_at DESC LIMIT $3"""  # noqa: S608 - the same
_BY_TRACKING = f"""
    WITH found AS MATERIALIZED (
        SELECT issue_id FROM timeline
        WHERE type IN ('issue.replacement_shipped.v1', 'issue.replacement_part_shipped.v1',
                       'issue.replacement_tracked.v1')
          AND (lower(data ->> 'tracking_number') LIKE $1 OR reverse(lower(data ->> 'tracking_number')) LIKE $2)
        LIMIT 500
    ) SELECT {_FIELDS}, 'tracking' AS by FROM issues i WHERE issue_id IN (SELECT issue_id FROM found)
    ORDER BY reported_at DESC LIMIT $3"""  # noqa: S608 - the same
# One step of the index per product, however many reports it has.
_PRODUCTS = """
    WITH RECURSIVE products AS (
        (SELECT sku FROM reported_lines ORDER BY sku LIMIT 1)
        UNION ALL
        SELECT (SELECT r.sku FROM reported_lines r WHERE r.sku > p.sku ORDER BY r.sku LIMIT 1)
        FROM products p WHERE p.sku IS NOT NULL)
    SELECT sku FROM products WHERE strpos(lower(sku), $1) > 0 LIMIT $2"""
_BY_PRODUCT = f"""
    SELECT {_FIELDS}, 'product' AS by FROM issues i WHERE issue_id IN (
        SELECT issue_id FROM reported_lines WHERE sku = ANY($1) ORDER BY reported_at DESC LIMIT $2)
    ORDER BY reported_at DESC LIMIT $2"""  # noqa: S608 - the same
_ORDERS = """
    SELECT order_id FROM order_contacts
    WHERE lower(order_id) LIKE $1 OR reverse(lower(order_id)) LIKE $2
       OR lower(order_number) LIKE $1 OR reverse(lower(order_number)) LIKE $2 LIMIT $3"""
_COUNTS = "SELECT order_id, count(*) AS issues FROM issues WHERE order_id = ANY($1) GROUP BY order_id"


async def search_issues(conn: Connection, text: str, limit: int) -> list[FoundIssue]:
    """Return issues by a number, or by a product; the best kind of match first, in each the newest first."""
    sought = text.strip().lower()
    rows = [*await conn.fetch(_WHOLE, text, limit)]
    if bounds := _id_bounds(sought):
        rows += await conn.fetch(_BY_ID, *bounds, limit)
    if len(sought) >= MIN_FRAGMENT:
        begins, ends = _patterns(sought)
        rows += await conn.fetch(_BY_ORDER, begins, ends, limit)
        rows += await conn.fetch(_BY_TRACKING, begins, ends, limit)
        if skus := [row["sku"] for row in await conn.fetch(_PRODUCTS, sought, MAX_PRODUCTS)]:
            rows += await conn.fetch(_BY_PRODUCT, skus, limit)
    first: dict[UUID, FoundIssue] = {}
    for row in rows:
        first.setdefault(row["issue_id"], FoundIssue(**row))
    return list(first.values())[:limit]


async def search_orders(conn: Connection, text: str, limit: int) -> list[ListedOrder]:
    """Return orders by a number, or by a fragment of the name, mail or telephone of their customer.

    Orders with this very number come first. As many as `limit` mean that there may be more.
    """
    sought = text.strip().lower()
    by_number = await find_by_number(conn, [text, *number_spellings(text)], limit)
    if len(sought) >= MIN_FRAGMENT:
        order_ids = [row["order_id"] for row in await conn.fetch(_ORDERS, *_patterns(sought), limit)]
        exact = {each.order_id for each in by_number}
        by_number += await find_by_number(conn, [each for each in order_ids if each not in exact], limit)
    found = [(contact, "order") for contact in by_number]
    known = {contact.order_id for contact, _ in found}
    found += [each for each in await find_by_fragment(conn, text, limit) if each[0].order_id not in known]
    counts = {row["order_id"]: row["issues"] for row in await conn.fetch(_COUNTS, [each.order_id for each, _ in found])}
    return [
        ListedOrder(
            each.order_id, each.customer_id, each.order_number, each.person.name, each.placed_at,
            counts.get(each.order_id, 0), by,
        )
        for each, by in found[:limit]
    ]  # fmt: skip


def _patterns(sought: str) -> tuple[str, str]:
    """Return the patterns of texts that begin with this one, and of reversed texts that end with it."""
    return f"{_escaped(sought)}%", f"{_escaped(sought[::-1])}%"


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _id_bounds(sought: str) -> Sequence[UUID]:
    """Return the first and the last id that begin like this; none for a text that begins no id."""
    digits = sought.replace("-", "")
    if not 6 <= len(digits) <= 32 or re.fullmatch(r"[0-9a-f]+", digits) is None:
        return ()
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
