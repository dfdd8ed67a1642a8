"""Erasure of a customer and retention of addresses: snapshots lose address and hash, cases stay under their ids.

A case that still needs an address is then sent to review, like one whose order is unknown. Orders already placed have
their address at the warehouse and the courier, which receive the erasure request too.
"""

from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from libs.common.privacy.erasure import Erasure, erase_dead_letters

# The hash goes too: with the key it would still confirm that a person lives at an address.
_ERASE_ADDRESSES = """
    UPDATE order_snapshots SET ship_to = NULL, address_hash = NULL, phone = NULL, placed_digest = NULL,
        sealed = NULL
    WHERE customer_id = $1 AND coalesce(placed_at, '-infinity') <= $2
      AND num_nonnulls(ship_to, address_hash, phone, placed_digest, sealed) > 0"""
_ERASE_VISITS = "UPDATE customers SET body = body - 'visits' WHERE key = $1 AND body ? 'visits'"
_FIND_IDS = """
    SELECT order_id AS id FROM order_snapshots WHERE customer_id = $1
    UNION SELECT key FROM cases WHERE customer_id = $1
    UNION SELECT order_id FROM cases WHERE customer_id = $1"""
_EXPIRE_ADDRESSES = """
    UPDATE order_snapshots SET ship_to = NULL, address_hash = NULL, phone = NULL, placed_digest = NULL,
        sealed = NULL
    WHERE order_id IN (
        SELECT order_id FROM order_snapshots
        WHERE placed_at < $1 AND num_nonnulls(ship_to, address_hash, phone, placed_digest, sealed) > 0 LIMIT $2)"""


def address_sweeps(retention_days: int) -> tuple[Sweep, ...]:
    """Return the retention of addresses; the value of an order stays, as part of the purchase history."""
    return (Sweep("addresses", _EXPIRE_ADDRESSES, retention_days),)


async def erase(conn: Connection, erasure: Erasure) -> None:
    ids = [row["id"] for row in await conn.fetch(_FIND_IDS, erasure.customer_id, timeout=300)]
    await erase_dead_letters(conn, erasure, ids)
    await conn.execute(_ERASE_ADDRESSES, erasure.customer_id, erasure.until, timeout=300)
    await conn.execute(_ERASE_VISITS, erasure.customer_id)
