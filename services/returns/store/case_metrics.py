"""SQL of returns' metrics: cases that are open, and those in review."""

from collections.abc import Mapping
from datetime import datetime

from libs.common.postgres.pool import Connection

_OPEN = "SELECT status, count(*) AS count FROM cases WHERE is_open GROUP BY status"
_IN_REVIEW = "SELECT count(*) FROM cases WHERE in_review"


async def open_cases(conn: Connection, now: datetime) -> Mapping[tuple[str, ...], float]:
    """Return the open cases by status."""
    return {(row["status"],): float(row["count"]) for row in await conn.fetch(_OPEN)}


async def cases_in_review(conn: Connection, now: datetime) -> Mapping[tuple[str, ...], float]:
    return {(): float(await conn.fetchval(_IN_REVIEW))}
