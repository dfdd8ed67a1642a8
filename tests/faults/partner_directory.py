"""The partners of a fault run that use HTTP: their roles, webhooks and keys."""

import hashlib
from collections.abc import Mapping

import asyncpg

ROLES = {"acme": "warehouse", "express": "courier", "bank": "payment", "shop": "storefront", "tools": "ops"}
WEBHOOKS: Mapping[str, tuple[str, ...]] = {
    "acme": ("replacement.ordered.v1", "replacement.cancelled.v1"),
    "express": ("collection.requested.v1", "collection.cancelled.v1"),
    "bank": ("refund.requested.v1",),
    "shop": ("issue.accepted.v1", "issue.resolved.v1", "customer.decided.v1", "points.granted.v1"),
}
"""Event types of the webhook subscription of each partner."""

TIMEOUT_SECONDS = "3"

# The lease of a sender that died outlasts the patience of a run; one of a running sender ends within its time limit.
_END_LEASES = """
    UPDATE webhook_deliveries SET leased_until = NULL
    WHERE state = 'pending' AND leased_until < now() + '80 seconds'::interval"""
_PENDING = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'"


def partner_environment() -> dict[str, str]:
    """Settings of the service partners."""
    return {
        "PARTNERS": "\n".join(
            f'[partners.{name}]\nrole = "{role}"\nkey_sha256 = ["{hashlib.sha256(key_of(name).encode()).hexdigest()}"]'
            for name, role in ROLES.items()
        ),
        "WEBHOOK_PRIVATE_NETWORKS": "127.0.0.0/8",
        "WEBHOOK_TIMEOUT_SECONDS": TIMEOUT_SECONDS,
    }


def key_of(partner: str) -> str:
    return f"key-of-{partner}-in-fault-runs"


async def pending_webhooks(conn: "asyncpg.Connection[asyncpg.Record]") -> int:
    """End the leases of senders that died, and return the number of webhooks that are not delivered."""
    await conn.execute(_END_LEASES)
    return int(await conn.fetchval(_PENDING))
