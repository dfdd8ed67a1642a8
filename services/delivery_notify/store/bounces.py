"""What a bounce or a complaint changes: the address is dead, and the notice that bounced takes its next way."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.postgres.pool import Connection


@dataclass(frozen=True, slots=True)
class Bounced:
    """A notice that was recorded as sent by mail, and to which address."""

    notice_id: UUID
    order_id: str
    customer_id: str
    issue_id: UUID | None
    kind: str
    address: str


async def sent_by_mail(conn: Connection, notice_id: UUID) -> Bounced | None:
    row = await conn.fetchrow(
        """SELECT n.notice_id, n.order_id, n.customer_id, n.issue_id, n.kind, c.email
           FROM notices n JOIN contacts c ON c.order_id = n.order_id
           WHERE n.notice_id = $1 AND n.status = 'sent' AND n.channel = 'email' FOR UPDATE OF n""",
        notice_id,
    )
    return Bounced(*row.values()) if row else None


async def customer_at(conn: Connection, address: str) -> str | None:
    """Whose address that is, by the orders we know."""
    found: str | None = await conn.fetchval(
        "SELECT customer_id FROM contacts WHERE lower(email) = lower($1) ORDER BY order_id LIMIT 1", address
    )
    return found


async def take_next_way(conn: Connection, notice_id: UUID, cause: str, now: datetime) -> bool:
    """Send it again by another channel, unless its order has had newer news since. Whether it will be."""
    done = await conn.execute(
        """UPDATE notices n SET status = 'pending', settled_at = NULL, wait_until = NULL, attempts = 0, way = NULL,
                  due_at = $3, cause = $2, tried = array_append(coalesce(n.tried, '{}'), 'email'), together = NULL
           WHERE n.notice_id = $1 AND n.settled_at > $3::timestamptz - interval '7 days' AND NOT EXISTS (
               SELECT 1 FROM notices l WHERE l.order_id = n.order_id AND l.place > n.place AND l.status = 'sent')""",
        notice_id,
        cause,
        now,
    )
    return done == "UPDATE 1"
