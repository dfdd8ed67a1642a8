"""SQL of the reconciliation: threads of issues, promises of replacements, and promises that no notice announced."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg

from libs.common.postgres.pool import Connection

_THREADS = """
    SELECT (t ->> 'issue_id')::uuid AS issue_id, t ->> 'closed_by' AS closed_by,
           coalesce((t ->> 'resolution')::int, 0) AS resolution
    FROM conversations c, json_array_elements(c.body -> 'threads') AS t
    WHERE c.key = ANY($1) AND (t ->> 'issue_id')::uuid = ANY($2)"""
_DATES = """
    SELECT DISTINCT ON (subject_id) subject_id, day FROM promises
    WHERE order_id = ANY($1) AND subject = 'replacement' ORDER BY subject_id, version DESC"""
# The newest promise of a subject whose notice ended without being sent, other than by a newer notice.
_UNANNOUNCED = """
    SELECT n.notice_id, n.order_id, n.issue_id, n.kind, n.status, n.cause, n.settled_at,
           p.subject, p.subject_id, p.version, p.day
    FROM notices n
    CROSS JOIN jsonb_to_recordset(n.announces) AS a (subject text, subject_id text, version int)
    JOIN promises p ON (p.order_id, p.subject, p.subject_id, p.version)
                     = (n.order_id, a.subject, a.subject_id, a.version)
    WHERE n.made_at >= $1 AND n.announces <> '[]' AND n.status IN ('failed', 'suppressed')
      AND n.withdrawn_cause IS NULL
      AND NOT EXISTS (
          SELECT FROM promise_notifications t WHERE (t.order_id, t.subject, t.subject_id) =
              (p.order_id, p.subject, p.subject_id) AND t.version >= p.version)
      AND NOT EXISTS (
          SELECT FROM promises q WHERE (q.order_id, q.subject, q.subject_id) = (p.order_id, p.subject, p.subject_id)
              AND q.version > p.version)"""


async def read_threads(
    conn: Connection, order_ids: Collection[str], issue_ids: Collection[UUID]
) -> list[asyncpg.Record]:
    return await conn.fetch(_THREADS, order_ids, issue_ids)


async def read_replacement_dates(conn: Connection, order_ids: Collection[str]) -> list[asyncpg.Record]:
    """Return the newest promised date of each replacement."""
    return await conn.fetch(_DATES, order_ids)


async def read_unannounced(conn: Connection, since: datetime) -> list[asyncpg.Record]:
    """Return promises whose notice failed or was suppressed since then, and of which the customer was not notified."""
    return await conn.fetch(_UNANNOUNCED, since)
