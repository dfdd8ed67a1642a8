"""What the sender asks of the database: claim what is due, record how it went, put off what is to be tried again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from libs.common.db import Connection
from libs.common.events.values import Language


@dataclass(frozen=True, slots=True)
class Contact:
    name: str
    email: str
    language: Language


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that this sender now holds a lease on. Without a contact, nobody will ever say whom to write to.

    Kind and facts are as they were written, unread: one that cannot be read must not hold up the others of its claim.
    """

    notice_id: UUID
    order_id: str
    customer_id: str
    issue_id: UUID | None
    kind: str
    facts: str
    promised_date: date | None
    attempts: int
    withdrawn: str | None
    contact: Contact | None
    traceparent: str | None


# Of the rows that are due, take those that can be settled now; another sender's rows are passed over. The notices of
# an order leave one after the other, in the order in which they were made: one that is due waits until those before it
# are settled, whatever holds them up. What was withdrawn never leaves: it neither waits nor is waited for, unless it
# was on its way already. (`IS TRUE` keeps the planner from reading all that is due for each of them.)
_CLAIM = """
    WITH due AS (
        SELECT n.notice_id FROM notices n LEFT JOIN contacts c USING (order_id)
        WHERE n.settled_at IS NULL AND n.due_at <= $1
          AND (n.wait_until IS NULL OR n.wait_until <= clock_timestamp())
          AND (c.order_id IS NOT NULL OR n.withdrawn IS NOT NULL OR n.contact_by <= $1)
          AND (n.withdrawn IS NOT NULL OR NOT EXISTS (
              SELECT 1 FROM notices e
              WHERE e.order_id = n.order_id AND e.place < n.place AND e.settled_at IS NULL AND (e.due_at <= $1) IS TRUE
                AND (e.withdrawn IS NULL OR e.status = 'sending')))
        ORDER BY n.due_at, n.place LIMIT $2 FOR UPDATE OF n SKIP LOCKED),
    claimed AS (
        UPDATE notices n SET status = 'sending', attempts = attempts + 1, wait_until = clock_timestamp() + $3
        FROM due WHERE n.notice_id = due.notice_id RETURNING n.*)
    SELECT n.*, c.name, c.email, c.language AS contact_language
    FROM claimed n LEFT JOIN contacts c ON c.order_id = n.order_id AND c.customer_id = n.customer_id
    ORDER BY n.due_at, n.place"""


async def claim_notices(conn: Connection, now: datetime, limit: int, lease: timedelta) -> list[Claimed]:
    """Take up to `limit` due notices, one per order at most, for as long as the lease holds (wall clock)."""
    return [
        Claimed(
            row["notice_id"],
            row["order_id"],
            row["customer_id"],
            row["issue_id"],
            row["kind"],
            row["facts"],
            row["promised_date"],
            row["attempts"],
            row["withdrawn"],
            Contact(row["name"], row["email"], Language(row["contact_language"])) if row["email"] else None,
            row["traceparent"],
        )
        for row in await conn.fetch(_CLAIM, now, limit, lease)
    ]


@dataclass(frozen=True, slots=True)
class Settled:
    """How a claimed notice ended. `status` is sent, failed or suppressed."""

    notice_id: UUID
    status: str
    channel: str | None = None
    language: str | None = None
    cause: str | None = None


_SETTLE = """
    UPDATE notices n SET status = s.status, channel = s.channel, language = s.language, cause = s.cause,
                         settled_at = $6, wait_until = NULL
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
         AS s (notice_id, status, channel, language, cause)
    WHERE n.notice_id = s.notice_id AND n.status = 'sending' RETURNING n.notice_id"""


async def settle_notices(conn: Connection, outcomes: Sequence[Settled], now: datetime) -> set[UUID]:
    """Record how these ended; gives those that had not been settled by another sender before."""
    if not outcomes:
        return set()
    columns = [(each.notice_id, each.status, each.channel, each.language, each.cause) for each in outcomes]
    rows = await conn.fetch(_SETTLE, *map(list, zip(*columns, strict=True)), now)
    return {row["notice_id"] for row in rows}


_PUT_OFF = """
    UPDATE notices n SET status = 'pending', cause = p.cause, wait_until = clock_timestamp() + p.pause,
                         attempts = CASE WHEN p.counts THEN n.attempts ELSE n.attempts - 1 END
    FROM unnest($1::uuid[], $2::text[], $3::interval[], $4::bool[]) AS p (notice_id, cause, pause, counts)
    WHERE n.notice_id = p.notice_id AND n.status = 'sending'"""


@dataclass(frozen=True, slots=True)
class PutOff:
    """A claimed notice to try again, after a pause of the wall clock. `counts`: this was an attempt."""

    notice_id: UUID
    cause: str
    pause: timedelta
    counts: bool = True


async def put_off_notices(conn: Connection, later: Sequence[PutOff]) -> None:
    if later:
        columns = [(each.notice_id, each.cause, each.pause, each.counts) for each in later]
        await conn.execute(_PUT_OFF, *map(list, zip(*columns, strict=True)))
