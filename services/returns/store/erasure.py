"""What returns forgets of an erased customer: where their goods went. Cases stay, under their ids.

A case that still needs an address then waits for a human, as one does whose order was never heard of. What was ordered
already has its address at the warehouse and the courier, who read the request as well.
"""

from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from libs.common.privacy.erasure import Erasure, erase_dead_letters

# A place is a keyed hash of an address: whoever has the key could still ask whether somebody lives there.
_DESTINATIONS = """
    UPDATE destinations SET ship_to = NULL, place = NULL
    WHERE customer_id = $1 AND coalesce(placed_at, '-infinity') <= $2 AND num_nonnulls(ship_to, place) > 0"""
_VISITS = "UPDATE customers SET body = body - 'visits' WHERE key = $1 AND body ? 'visits'"
_IDS = """
    SELECT order_id AS id FROM destinations WHERE customer_id = $1
    UNION SELECT c.key FROM cases c JOIN destinations d USING (order_id) WHERE d.customer_id = $1"""


_OLD = """
    UPDATE destinations SET ship_to = NULL, place = NULL WHERE order_id IN (
        SELECT order_id FROM destinations WHERE placed_at < $1 AND num_nonnulls(ship_to, place) > 0 LIMIT $2)"""


def sweeps(address_days: int) -> tuple[Sweep, ...]:
    """What returns forgets by itself; what the order was worth stays, for it is the customer's history."""
    return (Sweep("addresses", _OLD, address_days),)


async def erase(conn: Connection, erasure: Erasure) -> None:
    ids = [row["id"] for row in await conn.fetch(_IDS, erasure.customer_id, timeout=300)]
    await erase_dead_letters(conn, erasure, ids)
    await conn.execute(_DESTINATIONS, erasure.customer_id, erasure.until, timeout=300)
    await conn.execute(_VISITS, erasure.customer_id)
