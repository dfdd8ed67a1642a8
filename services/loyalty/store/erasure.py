"""What loyalty forgets of an erased customer: the day of their birth, and what staff noted for themselves.

The ledger stays as it is written, under the customer's id: points that were given and spent are part of the shop's
books. Only the private notes in it are emptied, by a function of the owner that can do nothing else.
"""

from libs.common.postgres.pool import Connection
from libs.common.privacy.erasure import Erasure, erase_dead_letters

_IDS = """
    SELECT key AS id FROM orders WHERE customer_id = $1
    UNION SELECT issue_id::text FROM entries WHERE customer_id = $1 AND issue_id IS NOT NULL"""
_BIRTHDAY = "DELETE FROM birthdays WHERE customer_id = $1 AND coalesce(told_at, '-infinity') <= $2"
_PRESENTS = """
    DELETE FROM timers t WHERE t.aggregate = 'ledger' AND t.key = $1 AND t.name LIKE 'birthday:%'
    AND NOT EXISTS (SELECT FROM birthdays b WHERE b.customer_id = $1)"""
_NOTES = "SELECT erase_notes($1, $2)"
_WITHHELD = "UPDATE withheld SET note = NULL WHERE customer_id = $1 AND at <= $2 AND note IS NOT NULL"


async def erase(conn: Connection, erasure: Erasure) -> None:
    ids = [row["id"] for row in await conn.fetch(_IDS, erasure.customer_id, timeout=300)]
    await erase_dead_letters(conn, erasure, ids)
    await conn.execute(_BIRTHDAY, erasure.customer_id, erasure.until)
    await conn.execute(_PRESENTS, erasure.customer_id)
    await conn.execute(_NOTES, erasure.customer_id, erasure.until, timeout=300)
    await conn.execute(_WITHHELD, erasure.customer_id, erasure.until, timeout=300)
