"""All SQL that only reads, for the routes: balances, statements, reviews, the holdout."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from libs.common.postgres.pool import Connection
from services.loyalty.domain.holdout import POINTS, WORDS
from services.loyalty.domain.redemptions import cause_of
from services.loyalty.ledger.accounts import Redemption
from services.loyalty.store.account_loader import redemption_of

_BALANCE = "SELECT * FROM balances WHERE customer_id = $1"
_BALANCE_AT = """
    SELECT account, sum(points)::bigint AS points FROM (
        SELECT from_account AS account, -points AS points FROM entries WHERE customer_id = $1 AND at <= $2
        UNION ALL
        SELECT to_account, points FROM entries WHERE customer_id = $1 AND at <= $2
    ) AS moves GROUP BY account"""
_EXPIRING = """
    SELECT e.expires_on, sum(l.available)::bigint AS points FROM lots l JOIN entries e ON e.entry_id = l.lot_id
    WHERE l.customer_id = $1 AND l.available > 0 GROUP BY e.expires_on ORDER BY e.expires_on LIMIT 1"""
_MEMBER = "SELECT tier, until FROM members WHERE customer_id = $1 AND tier <> ''"
_PAGE = "SELECT * FROM entries WHERE customer_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3"
_PERIOD = """
    SELECT * FROM entries WHERE customer_id = $1 AND at >= $2 AND at < $3 ORDER BY number LIMIT $4"""
_REDEMPTION = """
    SELECT * FROM entries WHERE cause = $1 AND customer_id = $2 AND kind IN ('reserve', 'release', 'redeem', 'return')
    ORDER BY number"""
_REVIEWS = """
    SELECT cause, customer_id, issue_id, order_id, code, points, at, review_by FROM withheld
    WHERE review_by IS NOT NULL ORDER BY review_by, cause LIMIT $1"""
# Everybody counts by the arm they were drawn for, once they could have come back for the whole follow-up.
_HOLDOUT = """
    SELECT x.arm, count(*) AS customers, count(*) FILTER (WHERE EXISTS (
        SELECT FROM orders o WHERE o.customer_id = x.customer_id
        AND (o.body ->> 'placed_at')::timestamptz > x.at
        AND (o.body ->> 'placed_at')::timestamptz <= x.at + $3)) AS came_back
    FROM exposures x WHERE x.experiment = $1 AND x.at <= $2 GROUP BY x.arm"""

PLACES = ("issued", "pending", "available", "reserved", "spent", "expired", "debt")


async def balance_of(conn: Connection, customer_id: str, at: datetime | None = None) -> dict[str, int]:
    """Points in each account, now or as they stood at a past moment; of an unknown customer none."""
    if at is None:
        row = await conn.fetchrow(_BALANCE, customer_id)
        return {place: row[place] if row else 0 for place in PLACES}
    moved = {row["account"]: row["points"] for row in await conn.fetch(_BALANCE_AT, customer_id, at)}
    return {place: moved.get(place, 0) for place in PLACES}


async def next_expiry(conn: Connection, customer_id: str) -> asyncpg.Record | None:
    return await conn.fetchrow(_EXPIRING, customer_id)


async def member(conn: Connection, customer_id: str) -> asyncpg.Record | None:
    return await conn.fetchrow(_MEMBER, customer_id)


async def page_of(conn: Connection, customer_id: str, before: int, limit: int) -> list[asyncpg.Record]:
    """Entries below the number `before`, newest first."""
    return await conn.fetch(_PAGE, customer_id, before, limit)


async def period_of(
    conn: Connection, customer_id: str, begin: datetime, end: datetime, limit: int
) -> list[asyncpg.Record]:
    """Entries from `begin` to before `end`, oldest first."""
    return await conn.fetch(_PERIOD, customer_id, begin, end, limit)


async def redemption(conn: Connection, customer_id: str, redemption_id: UUID) -> Redemption | None:
    rows = await conn.fetch(_REDEMPTION, cause_of(redemption_id), customer_id)
    return redemption_of(rows) if rows else None


async def reviews(conn: Connection, limit: int) -> Sequence[asyncpg.Record]:
    """Apologies that wait for a human, the most urgent first."""
    return await conn.fetch(_REVIEWS, limit)


async def holdout(conn: Connection, experiment: str, now: datetime, follow_up: timedelta) -> dict[str, tuple[int, int]]:
    """Per arm: who came back with another order within the follow-up, and how many were followed so long."""
    rows = await conn.fetch(_HOLDOUT, experiment, now - follow_up, follow_up)
    counted = {row["arm"]: (row["came_back"], row["customers"]) for row in rows}
    return {arm: counted.get(arm, (0, 0)) for arm in (POINTS, WORDS)}
