"""Work that is due now in the whole system, and the next due time; pending notices of delivery_notify."""

from dataclasses import dataclass, field
from datetime import datetime

from libs.common.postgres.pool import Connection, Pool

_NEXT_NOTICE = """
    SELECT min(CASE WHEN n.withdrawn_cause IS NOT NULL
                      OR EXISTS (SELECT 1 FROM contacts c WHERE c.order_id = n.order_id)
               THEN n.due_at ELSE n.contact_by END)
    FROM notices n WHERE n.settled_at IS NULL AND ($1 OR NOT EXISTS (
        SELECT 1 FROM notices leased
        WHERE leased.order_id = n.order_id AND leased.settled_at IS NULL AND leased.wait_until > clock_timestamp()))"""
_NEXT_PROMISE = "SELECT min(due_at) FROM timers WHERE name = 'overdue'"


@dataclass
class PendingWork:
    """`busy` counts work that is due now, by owner; `next_at` is the time of the next due work."""

    now: datetime
    busy: dict[str, int] = field(default_factory=dict)
    next_at: datetime | None = None

    def add(self, owner: str, count: int) -> None:
        if count:
            self.busy[owner] = self.busy.get(owner, 0) + count

    def due(self, owner: str, moment: datetime | None) -> None:
        if moment is None:
            return
        if moment <= self.now:
            self.add(owner, 1)
        elif self.next_at is None or moment < self.next_at:
            self.next_at = moment


async def next_notice(conn: Connection | Pool, *, include_leased: bool = True) -> datetime | None:
    """Return the due time of the next pending notice.

    A notice without a known contact is due when its wait for the contact ends. A sender that died leaves its notice
    leased for minutes of wall-clock time; notices behind such a lease are left out unless `include_leased`.
    """
    due: datetime | None = await conn.fetchval(_NEXT_NOTICE, include_leased)
    return due


async def next_promise(conn: Connection | Pool) -> datetime | None:
    """Return the time at which the next overdue promise is handled."""
    due: datetime | None = await conn.fetchval(_NEXT_PROMISE)
    return due
