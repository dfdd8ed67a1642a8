"""Deliveries of webhooks: what is to be sent to each subscription, leased to one sender at a time, in order per key.

A claimed delivery is leased (clock of the database) until its result is recorded. A lease is longer than an attempt can
take, so that two processes never send the same event at a time; after a crash it is sent again under the same id.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.common.postgres.batch import columns, row_count
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from libs.common.telemetry.metrics import Label
from services.partners.domain.retry_ladder import GONE, AttemptResult
from services.partners.store.feed_reading import StoredEvent, stored_event

LEASE = timedelta(seconds=90)

# Subscriptions that are paused or disabled get their deliveries, too: they wait until it is resumed.
_ADD = """
    INSERT INTO webhook_deliveries (subscription_id, position, key)
    SELECT s.subscription_id, e.position, e.key
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) AS e (partner, position, key, type)
    JOIN webhook_subscriptions s ON s.partner = e.partner AND (s.types = '{}' OR e.type = ANY(s.types))"""
_READY = """
    SELECT s.subscription_id FROM webhook_subscriptions s
    WHERE s.partner = ANY($1) AND s.state = 'active' AND coalesce(s.quiet_until, now()) <= now() AND EXISTS (
        SELECT FROM webhook_deliveries d
        WHERE d.subscription_id = s.subscription_id AND d.state = 'pending' AND d.due_at <= now()
          AND coalesce(d.leased_until, now()) <= now())"""
_SUBSCRIPTION = """
    SELECT url, failures FROM webhook_subscriptions
    WHERE subscription_id = $1 AND state = 'active' AND coalesce(quiet_until, now()) <= now()"""
_CLAIM = """
    WITH heads AS (
        SELECT d.position FROM webhook_deliveries d
        WHERE d.subscription_id = $1 AND d.state = 'pending' AND d.due_at <= now()
          AND coalesce(d.leased_until, now()) <= now()
          AND NOT EXISTS (
            SELECT FROM webhook_deliveries e WHERE e.subscription_id = $1 AND e.key = d.key AND e.state = 'pending'
              AND e.position < d.position)
        ORDER BY d.position LIMIT $2 FOR UPDATE SKIP LOCKED),
    claimed AS (
        UPDATE webhook_deliveries d SET leased_until = now() + $3, attempts = d.attempts + 1
        FROM heads h WHERE d.subscription_id = $1 AND d.position = h.position
        RETURNING d.position, d.attempts)
    SELECT c.attempts, f.* FROM claimed c JOIN feed f USING (position) ORDER BY f.position"""
_SETTLE = """
    UPDATE webhook_deliveries SET
        state = CASE WHEN $4 THEN 'delivered' WHEN $5::interval IS NULL THEN 'failed' ELSE 'pending' END,
        due_at = now() + coalesce($5, '0'), leased_until = NULL,
        settled_at = CASE WHEN $4 OR $5 IS NULL THEN now() END
    WHERE subscription_id = $1 AND position = $2 AND attempts = $3 AND state = 'pending'"""
_LOG = """
    INSERT INTO webhook_attempts (subscription_id, position, event_id, type, attempt, seconds, status, error, excerpt)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""
_SUCCEEDED = """
    UPDATE webhook_subscriptions SET failures = 0, failing_since = NULL, quiet_until = NULL
    WHERE subscription_id = $1 AND failures > 0"""
_FAILED = """
    UPDATE webhook_subscriptions SET
        failures = failures + 1, failing_since = coalesce(failing_since, now()), quiet_until = now() + $2::interval,
        state = CASE WHEN $3 THEN 'disabled' WHEN failing_since < now() - $4::interval THEN 'paused' ELSE state END,
        reason = CASE WHEN $3 THEN 'answered 410 Gone'
                      WHEN failing_since < now() - $4::interval THEN 'no success since ' || failing_since
                      ELSE reason END
    WHERE subscription_id = $1 AND state = 'active' RETURNING state"""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """An event that this process may send now; `attempt` counts from 1."""

    attempt: int
    event: StoredEvent


async def add_deliveries(conn: Connection, entries: Sequence[tuple[str, int, str, str]]) -> None:
    """Add a delivery for each subscription of these entries: partner, position, key and type."""
    await conn.execute(_ADD, *columns(entries, 4))


async def ready_subscriptions(conn: Connection, partners: Collection[str]) -> list[UUID]:
    """Return the subscriptions of these partners with an event to send now."""
    return [row["subscription_id"] for row in await conn.fetch(_READY, list(partners))]


async def target_of(conn: Connection, subscription_id: UUID) -> tuple[str, int] | None:
    """Return URL and failures in succession of an active subscription that does not rest, else None."""
    row = await conn.fetchrow(_SUBSCRIPTION, subscription_id)
    return (row["url"], row["failures"]) if row else None


async def claim(conn: Connection, subscription_id: UUID, limit: int) -> list[ClaimedDelivery]:
    """Lease the first due event of each key, at most `limit`."""
    rows = await conn.fetch(_CLAIM, subscription_id, limit, LEASE)
    return [ClaimedDelivery(row["attempts"], stored_event(conn, row)) for row in rows]


async def record_attempt(
    conn: Connection,
    subscription_id: UUID,
    claimed: ClaimedDelivery,
    result: AttemptResult,
    delay: timedelta | None,
    quiet: float | None,
    pause_after: timedelta,
) -> str:
    """Record an attempt in this transaction; return the state of the delivery, or `lost` if its lease was lost."""
    event = claimed.event
    settled = await conn.execute(_SETTLE, subscription_id, event.position, claimed.attempt, result.is_delivered, delay)
    if not row_count(settled):
        return "lost"
    await conn.execute(
        _LOG,
        subscription_id,
        event.position,
        event.event_id,
        event.type,
        claimed.attempt,
        result.seconds,
        result.status,
        result.error,
        result.excerpt,
    )
    if result.is_delivered:
        await conn.execute(_SUCCEEDED, subscription_id)
        return "delivered"
    rest = timedelta(seconds=quiet) if quiet is not None else timedelta(0)
    await conn.execute(_FAILED, subscription_id, rest, result.status == GONE, pause_after)
    return "failed" if delay is None else "pending"


_ATTEMPTS = """
    SELECT attempt_id, position, event_id, type, attempt, attempted_at, seconds, status, error, excerpt
    FROM webhook_attempts WHERE subscription_id = $1 AND attempt_id < $2 ORDER BY attempt_id DESC LIMIT $3"""
# The subscription takes only what is addressed to its partner, also by a span.
_RESEND = """
    INSERT INTO webhook_deliveries (subscription_id, position, key)
    SELECT s.subscription_id, f.position, f.key
    FROM webhook_subscriptions s JOIN addressed a ON a.partner = s.partner JOIN feed f ON f.position = a.position
    WHERE s.subscription_id = $1 AND f.position BETWEEN $2 AND $3 AND (s.types = '{}' OR f.type = ANY(s.types))
    ORDER BY f.position
    ON CONFLICT (subscription_id, position) DO UPDATE SET
        state = 'pending', attempts = 0, due_at = now(), settled_at = NULL, leased_until = NULL
    WHERE webhook_deliveries.state <> 'pending' OR coalesce(webhook_deliveries.leased_until, now()) <= now()"""


async def list_attempts(conn: Connection, subscription_id: UUID, before: int, limit: int) -> list[Mapping[str, Any]]:
    """Return attempts, the newest first, older than attempt `before`."""
    return [dict(row) for row in await conn.fetch(_ATTEMPTS, subscription_id, before, limit)]


async def resend(conn: Connection, subscription_id: UUID, first: int, last: int) -> int:
    """Send the events of these positions (inclusive) again, under their ids; return their number."""
    return row_count(await conn.execute(_RESEND, subscription_id, first, last))


_OLDEST = """
    SELECT s.partner, extract(epoch FROM now() - min(f.added_at))::float8 AS seconds
    FROM webhook_subscriptions s
    JOIN webhook_deliveries d ON d.subscription_id = s.subscription_id AND d.state = 'pending'
    JOIN feed f USING (position) GROUP BY s.partner"""
_SWEEP_ATTEMPTS = """
    DELETE FROM webhook_attempts WHERE attempt_id IN (
        SELECT attempt_id FROM webhook_attempts WHERE attempted_at < $1 LIMIT $2)"""


async def oldest_pending(conn: Connection, now: datetime) -> Mapping[Label, float]:
    """Return the age in seconds of the oldest event that waits, by partner, for the gauge."""
    return {(row["partner"],): row["seconds"] for row in await conn.fetch(_OLDEST)}


def attempts_sweep(days: int) -> Sweep:
    """Return the sweep of the log of attempts."""
    return Sweep("webhook attempts", _SWEEP_ATTEMPTS, days, uses_wall_clock=True)
