"""Read-only queries of the routes: balances, entries, reviews and the holdout, and the consistency check."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from libs.common.postgres.pool import Connection
from services.loyalty.domain.holdout import CONTROL, TREATMENT
from services.loyalty.ledger.accounts import Redemption
from services.loyalty.ledger.causes import redemption_cause
from services.loyalty.ledger.entries import LedgerAccount
from services.loyalty.store.account_loader import balances_of, redemption_of

_BALANCE = "SELECT * FROM balances WHERE customer_id = $1"
_BALANCE_AT = """
    SELECT account, sum(points)::bigint AS points FROM (
        SELECT from_account AS account, -points AS points FROM entries WHERE customer_id = $1 AND at <= $2
        UNION ALL
        SELECT to_account, points FROM entries WHERE customer_id = $1 AND at <= $2
    ) AS moves GROUP BY account"""
_NEXT_EXPIRY = """
    SELECT e.expires_on, sum(l.available)::bigint AS points FROM lots l JOIN entries e ON e.entry_id = l.lot_id
    WHERE l.customer_id = $1 AND l.available > 0 GROUP BY e.expires_on ORDER BY e.expires_on LIMIT 1"""
_MEMBERSHIP = "SELECT tier, until FROM memberships WHERE customer_id = $1 AND tier <> ''"
_PAGE = "SELECT * FROM entries WHERE customer_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3"
_PERIOD = """
    SELECT * FROM entries WHERE customer_id = $1 AND at >= $2 AND at < $3 ORDER BY number LIMIT $4"""
_REDEMPTION = """
    SELECT * FROM entries
    WHERE customer_id = $2 AND (cause = $1 OR starts_with(cause, $1 || ':'))
      AND kind IN ('reserve', 'release', 'redeem', 'return')
    ORDER BY number"""
_REVIEWS = """
    SELECT cause, customer_id, issue_id, order_id, code, points, at, review_by FROM withheld_grants
    WHERE review_by IS NOT NULL ORDER BY review_by, cause LIMIT $1"""
# By assigned arm; only customers whose whole follow-up period is over.
_HOLDOUT = """
    SELECT x.arm, count(*) AS customers, count(*) FILTER (WHERE EXISTS (
        SELECT FROM orders o WHERE o.customer_id = x.customer_id
        AND (o.body ->> 'placed_at')::timestamptz > x.at
        AND (o.body ->> 'placed_at')::timestamptz <= x.at + $3)) AS reordered
    FROM experiment_exposures x WHERE x.experiment = $1 AND x.at <= $2 GROUP BY x.arm"""
_UNBALANCED = """
    WITH moves AS (
        SELECT customer_id, from_account AS account, -points AS points FROM entries
        UNION ALL SELECT customer_id, to_account, points FROM entries
    ), ledger AS (
        SELECT customer_id, account, sum(points) AS points FROM moves GROUP BY customer_id, account
    ), stored AS (
        SELECT b.customer_id, v.account, v.points FROM balances b CROSS JOIN LATERAL (VALUES
            ('issued', b.issued), ('pending', b.pending), ('available', b.available), ('reserved', b.reserved),
            ('spent', b.spent), ('expired', b.expired), ('debt', b.debt)) AS v (account, points)
    )
    SELECT DISTINCT customer_id FROM ledger FULL JOIN stored USING (customer_id, account)
    WHERE coalesce(ledger.points, 0) <> coalesce(stored.points, 0)"""


async def balance_of(conn: Connection, customer_id: str, at: datetime | None = None) -> dict[str, int]:
    """Return points per account, now or at a past moment; zero for an unknown customer."""
    if at is None:
        return balances_of(await conn.fetchrow(_BALANCE, customer_id))
    moved = {row["account"]: row["points"] for row in await conn.fetch(_BALANCE_AT, customer_id, at)}
    return {account.value: moved.get(account, 0) for account in LedgerAccount}


async def next_expiry(conn: Connection, customer_id: str) -> asyncpg.Record | None:
    return await conn.fetchrow(_NEXT_EXPIRY, customer_id)


async def membership(conn: Connection, customer_id: str) -> asyncpg.Record | None:
    return await conn.fetchrow(_MEMBERSHIP, customer_id)


async def page_of(conn: Connection, customer_id: str, before: int, limit: int) -> list[asyncpg.Record]:
    """Return entries below the number `before`, newest first."""
    return await conn.fetch(_PAGE, customer_id, before, limit)


async def period_of(
    conn: Connection, customer_id: str, begin: datetime, end: datetime, limit: int
) -> list[asyncpg.Record]:
    """Return entries from `begin` to before `end`, oldest first."""
    return await conn.fetch(_PERIOD, customer_id, begin, end, limit)


async def redemption(conn: Connection, customer_id: str, redemption_id: UUID) -> Redemption | None:
    rows = await conn.fetch(_REDEMPTION, redemption_cause(redemption_id), customer_id)
    return redemption_of(rows) if rows else None


async def reviews(conn: Connection, limit: int) -> Sequence[asyncpg.Record]:
    """Return open reviews, earliest deadline first."""
    return await conn.fetch(_REVIEWS, limit)


async def holdout(conn: Connection, experiment: str, now: datetime, follow_up: timedelta) -> dict[str, tuple[int, int]]:
    """Return per arm the customers with another order within the follow-up, and all customers followed that long."""
    rows = await conn.fetch(_HOLDOUT, experiment, now - follow_up, follow_up)
    counts = {row["arm"]: (row["reordered"], row["customers"]) for row in rows}
    return {arm: counts.get(arm, (0, 0)) for arm in (TREATMENT, CONTROL)}


async def unbalanced_customers(conn: Connection) -> list[str]:
    """Return customers whose balance is not the sum of their entries: always none (invariant 10)."""
    return [row["customer_id"] for row in await conn.fetch(_UNBALANCED)]
