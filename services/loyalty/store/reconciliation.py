"""SQL of the reconciliation: grants for issues, and those withheld."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg

from libs.common.postgres.pool import Connection

_SINCE = """
    SELECT issue_id FROM entries WHERE kind = 'grant' AND grant_kind = 'apology' AND issue_id IS NOT NULL AND at >= $1
    UNION SELECT issue_id FROM withheld_grants WHERE at >= $1"""
# Grants by staff have causes of their own; `net` is left of a grant after its reversals.
_GRANTS = """
    SELECT e.entry_id, e.customer_id, e.points, e.cause, e.text, e.issue_id, e.order_id, e.rule, e.rule_version, e.at,
           e.grant_kind, e.legal_basis, e.expires_on, e.counts_for_tier, -l.issued AS net
    FROM entries e JOIN lots l ON l.lot_id = e.lot_id
    WHERE e.kind = 'grant' AND e.grant_kind = 'apology' AND e.cause LIKE 'issue:%' AND e.issue_id = ANY($1)"""
_WITHHELD = """
    SELECT cause, customer_id, issue_id, order_id, code, points, review_by, at FROM withheld_grants
    WHERE issue_id = ANY($1)"""


async def issues_since(conn: Connection, since: datetime) -> set[UUID]:
    """Return the issues for which points were granted or withheld since then."""
    return {row["issue_id"] for row in await conn.fetch(_SINCE, since)}


async def read_grants(conn: Connection, issue_ids: Collection[UUID]) -> list[asyncpg.Record]:
    return await conn.fetch(_GRANTS, issue_ids)


async def read_withheld(conn: Connection, issue_ids: Collection[UUID]) -> list[asyncpg.Record]:
    return await conn.fetch(_WITHHELD, issue_ids)
