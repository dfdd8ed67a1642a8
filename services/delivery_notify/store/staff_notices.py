"""SQL of staff notices: inserted once by their cause, claimed, settled."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated

_NOTICES = """
    INSERT INTO staff_notices (staff_notice_id, kind, facts, made_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::timestamptz[])
    ON CONFLICT (staff_notice_id) DO NOTHING"""


async def save(conn: Connection, notices: Sequence[StaffNoticeCreated]) -> None:
    if notices:
        rows = [(each.staff_notice_id, each.kind, json.dumps(each.facts), each.made_at) for each in notices]
        await conn.execute(_NOTICES, *columns(rows))


@dataclass(frozen=True, slots=True)
class ClaimedStaffNotice:
    staff_notice_id: UUID
    kind: str
    facts: Mapping[str, str]
    made_at: datetime
    attempts: int
    leased_until: datetime


_CLAIM = """
    WITH due AS (
        SELECT staff_notice_id FROM staff_notices
        WHERE settled_at IS NULL AND (wait_until IS NULL OR wait_until <= clock_timestamp())
        ORDER BY made_at LIMIT $1 FOR UPDATE SKIP LOCKED)
    UPDATE staff_notices s SET status = 'sending', attempts = attempts + 1, wait_until = clock_timestamp() + $2
    FROM due WHERE s.staff_notice_id = due.staff_notice_id
    RETURNING s.staff_notice_id, s.kind, s.facts, s.made_at, s.attempts, s.wait_until"""


async def claim(conn: Connection, limit: int, lease: timedelta) -> list[ClaimedStaffNotice]:
    rows = await conn.fetch(_CLAIM, limit, lease)
    return [
        ClaimedStaffNotice(
            row["staff_notice_id"],
            row["kind"],
            json.loads(row["facts"]),
            row["made_at"],
            row["attempts"],
            row["wait_until"],
        )
        for row in sorted(rows, key=lambda row: row["made_at"])
    ]


async def settle(
    conn: Connection, notice: ClaimedStaffNotice, status: str, channel: str, cause: str | None, now: datetime
) -> None:
    """Record the outcome of a staff notice. A sent one counts, also after its lease; a failed one does not."""
    await conn.execute(
        """UPDATE staff_notices SET status = $2, channel = $3, cause = $4, settled_at = $5, wait_until = NULL
           WHERE staff_notice_id = $1 AND settled_at IS NULL AND ($2 = 'sent' OR wait_until = $6)""",
        notice.staff_notice_id,
        status,
        channel,
        cause,
        now,
        notice.leased_until,
    )


async def reschedule(
    conn: Connection, notice: ClaimedStaffNotice, cause: str, pause: timedelta, *, counts: bool
) -> None:
    """Retry a claimed staff notice after a pause (wall clock), unless its lease was lost."""
    await conn.execute(
        """UPDATE staff_notices SET status = 'pending', cause = $2, wait_until = clock_timestamp() + $3,
                  attempts = CASE WHEN $4 THEN attempts ELSE attempts - 1 END
           WHERE staff_notice_id = $1 AND settled_at IS NULL AND wait_until = $5""",
        notice.staff_notice_id,
        cause,
        pause,
        counts,
        notice.leased_until,
    )


async def dead_letters_by_topic(conn: Connection) -> list[tuple[str, int, int]]:
    """Return topics with open dead letters: name, count, and the id of the first, which identifies the incident."""
    rows = await conn.fetch(
        "SELECT topic, count(*) AS many, min(id) AS first FROM dead_letters WHERE state = 'open' GROUP BY topic"
    )
    return [(row["topic"], row["many"], row["first"]) for row in rows]


async def list_facts(conn: Connection, kind: StaffKind, since: datetime, limit: int) -> list[Mapping[str, str]]:
    """Return the facts of staff notices of one kind, newest first."""
    rows = await conn.fetch(
        """SELECT facts FROM staff_notices WHERE kind = $1 AND made_at >= $2
           ORDER BY made_at DESC, facts ->> 'party' LIMIT $3""",
        kind,
        since,
        limit,
    )
    return [json.loads(row["facts"]) for row in rows]


async def list_latest(conn: Connection, limit: int) -> list[dict[str, object]]:
    """Return the newest staff notices, as the ops API shows them."""
    rows = await conn.fetch(
        "SELECT kind, status, made_at, facts FROM staff_notices ORDER BY made_at DESC LIMIT $1", limit
    )
    return [{**dict(row), "made_at": row["made_at"].isoformat(), "facts": json.loads(row["facts"])} for row in rows]
