"""Webhook subscriptions: their secrets, states, and the deliveries that they begin with."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from libs.common.postgres.batch import row_count
from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from libs.common.telemetry.metrics import Label
from services.partners.store.feed_reading import lock_head

SECRETS = "webhook_secrets"
SECRETS_IN_USE = 2

_COLUMNS = """
    s.subscription_id, s.partner, s.url, s.types, s.state, s.reason, s.failures, s.failing_since, s.created_at,
    (SELECT count(*) FROM webhook_secrets w WHERE w.subscription_id = s.subscription_id) AS secrets,
    (SELECT count(*) FROM webhook_deliveries d
     WHERE d.subscription_id = s.subscription_id AND d.state = 'pending') AS pending"""
_LIST = f"SELECT {_COLUMNS} FROM webhook_subscriptions s WHERE s.partner = $1 ORDER BY s.created_at"  # noqa: S608
_ONE = f"SELECT {_COLUMNS} FROM webhook_subscriptions s WHERE s.partner = $1 AND s.subscription_id = $2"  # noqa: S608
_CREATE = """
    INSERT INTO webhook_subscriptions (subscription_id, partner, url, types) VALUES ($1, $2, $3, $4)
    ON CONFLICT (partner, url) DO NOTHING"""
_BEGIN = """
    INSERT INTO webhook_deliveries (subscription_id, position, key)
    SELECT $1, f.position, f.key FROM addressed a JOIN feed f USING (position)
    WHERE a.partner = $2 AND f.position > $3 AND f.position <= $4 AND ($5::text[] = '{}' OR f.type = ANY($5))"""
_DELETE = "DELETE FROM webhook_subscriptions WHERE partner = $1 AND subscription_id = $2"
_ADD_SECRET = "INSERT INTO webhook_secrets (subscription_id, secret) VALUES ($1, $2)"  # noqa: S105
_KEEP_NEWEST = """
    DELETE FROM webhook_secrets WHERE subscription_id = $1 AND secret_id NOT IN (
        SELECT secret_id FROM webhook_secrets WHERE subscription_id = $1 ORDER BY secret_id DESC LIMIT $2)"""
_SECRETS = "SELECT secret FROM webhook_secrets WHERE subscription_id = $1 ORDER BY secret_id DESC LIMIT $2"
_RESUME = """
    UPDATE webhook_subscriptions
    SET state = 'active', reason = NULL, failures = 0, failing_since = NULL, quiet_until = NULL
    WHERE partner = $1 AND subscription_id = $2"""
_DUE_NOW = "UPDATE webhook_deliveries SET due_at = now() WHERE subscription_id = $1 AND state = 'pending'"
_STATES = "SELECT partner, state, count(*) AS count FROM webhook_subscriptions GROUP BY partner, state"


@dataclass(frozen=True, slots=True)
class WebhookSubscription:
    """A subscription as shown to its partner: without secrets, with the number of them and of waiting events."""

    subscription_id: UUID
    partner: str
    url: str
    types: list[str]
    state: str
    reason: str | None
    failures: int
    failing_since: datetime | None
    created_at: datetime
    secrets: int
    pending: int


async def list_subscriptions(conn: Connection, partner: str) -> list[WebhookSubscription]:
    return [_subscription(row) for row in await conn.fetch(_LIST, partner)]


async def find_subscription(conn: Connection, partner: str, subscription_id: UUID) -> WebhookSubscription | None:
    row = await conn.fetchrow(_ONE, partner, subscription_id)
    return _subscription(row) if row else None


def _subscription(row: Any) -> WebhookSubscription:
    return WebhookSubscription(**dict(row))


async def create_subscription(
    conn: Connection, partner: str, url: str, types: Sequence[str], after: int | None
) -> tuple[UUID, str] | None:
    """Create a subscription and return its id and secret; None if the partner has one for this URL.

    It gets every event behind position `after`, by default only new ones. The head is locked, so that no event that is
    being added is missed.
    """
    head = await lock_head(conn)
    subscription_id = uuid4()
    created = row_count(await conn.execute(_CREATE, subscription_id, partner, url, sorted(set(types))))
    if not created:
        return None
    if after is not None:
        await conn.execute(_BEGIN, subscription_id, partner, after, head, sorted(set(types)))
    return subscription_id, await add_secret(conn, subscription_id)


async def add_secret(conn: Connection, subscription_id: UUID) -> str:
    """Make a secret and return it; the one before stays in use, older ones are deleted."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    await conn.execute(_ADD_SECRET, subscription_id, keys_of(conn).seal(SECRETS, secret.encode()))
    await conn.execute(_KEEP_NEWEST, subscription_id, SECRETS_IN_USE)
    return secret


async def drop_old_secrets(conn: Connection, subscription_id: UUID) -> int:
    """Delete all secrets but the newest; return their number."""
    return row_count(await conn.execute(_KEEP_NEWEST, subscription_id, 1))


async def read_secrets(conn: Connection, subscription_id: UUID) -> list[str]:
    """Return the secrets in use, the newest first."""
    rows = await conn.fetch(_SECRETS, subscription_id, SECRETS_IN_USE)
    return [keys_of(conn).reveal(SECRETS, row["secret"]).decode() for row in rows]


async def delete_subscription(conn: Connection, partner: str, subscription_id: UUID) -> bool:
    """Delete a subscription with its secrets, waiting events and log."""
    return bool(row_count(await conn.execute(_DELETE, partner, subscription_id)))


async def resume_subscription(conn: Connection, partner: str, subscription_id: UUID) -> bool:
    """Make a paused or disabled subscription active; its waiting events are due at once."""
    resumed = bool(row_count(await conn.execute(_RESUME, partner, subscription_id)))
    if resumed:
        await conn.execute(_DUE_NOW, subscription_id)
    return resumed


async def subscription_states(conn: Connection, now: datetime) -> Mapping[Label, float]:
    """Return the number of subscriptions by partner and state, for the gauge."""
    return {(row["partner"], row["state"]): row["count"] for row in await conn.fetch(_STATES)}
