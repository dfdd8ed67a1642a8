"""Reading of the feed: events behind a position, and how far each partner has read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from libs.common.telemetry.metrics import Label
from libs.common.telemetry.trace_context import Carrier

TABLE = "feed"

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('sakidashi.feed'))"
_HEAD = "SELECT position FROM feed_head"


async def lock_head(conn: Connection) -> int:
    """Return the newest position; none is given until this transaction ends."""
    await conn.execute(_LOCK)
    return await conn.fetchval(_HEAD) or 0


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of the feed: its position, and the event as JSON."""

    position: int
    event_id: str
    type: str
    key: str
    value: bytes
    trace: Carrier | None


_READ = """
    SELECT f.position, f.event_id, f.type, f.key, f.value, f.trace
    FROM addressed a JOIN feed f USING (position)
    WHERE a.partner = $1 AND a.position > $2 ORDER BY a.position LIMIT $3"""
_CURSOR = """
    SELECT coalesce(c.acknowledged, 0) AS acknowledged, coalesce(c.deleted, 0) AS deleted,
           coalesce((SELECT position FROM feed_head), 0) AS newest
    FROM (SELECT $1::text AS partner) p LEFT JOIN partner_cursors c USING (partner)"""
_ACKNOWLEDGE = """
    INSERT INTO partner_cursors (partner, acknowledged) VALUES ($1, $2)
    ON CONFLICT (partner) DO UPDATE SET acknowledged = greatest(partner_cursors.acknowledged, excluded.acknowledged)
    WHERE partner_cursors.acknowledged < excluded.acknowledged"""


async def read_events(conn: Connection, partner: str, after: int, limit: int) -> list[StoredEvent]:
    """Return the events addressed to this partner behind a position, in order."""
    return [stored_event(conn, row) for row in await conn.fetch(_READ, partner, after, limit)]


def stored_event(conn: Connection, row: Any) -> StoredEvent:
    """Return an event from its row, decrypted."""
    plain = keys_of(conn).reveal(TABLE, row["value"])
    return StoredEvent(row["position"], row["event_id"], row["type"], row["key"], plain, row["trace"])


@dataclass(frozen=True, slots=True)
class PartnerCursor:
    """Position up to which a partner acknowledged, up to which events were deleted after retention, and the newest."""

    acknowledged: int
    deleted: int
    newest: int


async def read_cursor(conn: Connection, partner: str) -> PartnerCursor:
    row = await conn.fetchrow(_CURSOR, partner)
    assert row is not None
    return PartnerCursor(row["acknowledged"], row["deleted"], row["newest"])


async def acknowledge(conn: Connection, partner: str, position: int) -> None:
    """Store that a partner has everything up to this position; it never moves back."""
    await conn.execute(_ACKNOWLEDGE, partner, position)


# Of partners that fetch: they acknowledged before, and have no webhooks.
_UNREAD = """
    SELECT c.partner, extract(epoch FROM now() - f.added_at)::float8 AS seconds
    FROM partner_cursors c
    CROSS JOIN LATERAL (
        SELECT position FROM addressed a WHERE a.partner = c.partner AND a.position > c.acknowledged
        ORDER BY position LIMIT 1) oldest
    JOIN feed f ON f.position = oldest.position
    WHERE c.acknowledged > 0
      AND NOT EXISTS (SELECT FROM webhook_subscriptions s WHERE s.partner = c.partner)"""


async def oldest_unread(conn: Connection, now: datetime) -> Mapping[Label, float]:
    """Return the age in seconds of the oldest event that a fetching partner has not acknowledged, for the gauge."""
    return {(row["partner"],): row["seconds"] for row in await conn.fetch(_UNREAD)}
