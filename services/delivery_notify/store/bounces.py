"""SQL for bounces and complaints: find the notice, and send the notice by the next channel."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.postgres.pool import Connection


@dataclass(frozen=True, slots=True)
class BouncedNotice:
    """A notice that was sent by mail, with the digest of the address that it was sent to.

    `is_sent`: it was not sent by another channel or failed since.
    """

    notice_id: UUID
    order_id: str
    customer_id: str
    issue_id: UUID | None
    kind: str
    address_digest: bytes
    is_sent: bool


async def find_sent_notices(conn: Connection, message_key: UUID) -> list[BouncedNotice]:
    """Return the notices of one mail, by the key in its `Message-ID`: that of its notice, or of a group of notices."""
    rows = await conn.fetch(
        """SELECT notice_id, order_id, customer_id, issue_id, kind, address_digest,
                  status = 'sent' AND channel = 'email' AS is_sent
           FROM notices WHERE (notice_id = $1 OR batch_id = $1) AND address_digest IS NOT NULL
           ORDER BY notice_id FOR UPDATE""",
        message_key,
    )
    return [BouncedNotice(*row.values()) for row in rows]


async def fail(conn: Connection, notice_id: UUID, cause: str, now: datetime) -> None:
    """Record that a notice recorded as sent did not arrive; a repeated report then no longer finds it as sent."""
    await conn.execute(
        "UPDATE notices SET status = 'failed', cause = $2, settled_at = $3 WHERE notice_id = $1 AND status = 'sent'",
        notice_id,
        cause,
        now,
    )


async def retry_on_next_channel(conn: Connection, notice_id: UUID, cause: str, now: datetime) -> bool:
    """Queue the notice for its next channel; return False if a newer notice of its order was sent since."""
    done = await conn.execute(
        """UPDATE notices n SET status = 'pending', settled_at = NULL, wait_until = NULL, attempts = 0, due_at = $3,
                  cause = $2, started_channel = NULL, batch_id = NULL,
                  failed_channels = array_append(coalesce(n.failed_channels, '{}'), 'email')
           WHERE n.notice_id = $1 AND n.settled_at > $3::timestamptz - interval '7 days' AND NOT EXISTS (
               SELECT 1 FROM notices l
               WHERE l.order_id = n.order_id AND l.sequence > n.sequence AND l.status = 'sent'
                 AND (l.batch_id IS NULL OR l.batch_id IS DISTINCT FROM n.batch_id))""",
        notice_id,
        cause,
        now,
    )
    return done == "UPDATE 1"
