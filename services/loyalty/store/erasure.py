"""Erasure of a customer in loyalty: birthday, and private notes of staff.

Entries are kept under the customer's id: points granted and spent belong to the shop's accounts. Only their private
notes are erased, by a function of the owner that can change nothing else.
"""

from libs.common.postgres.pool import Connection
from libs.common.privacy.erasure import Erasure, erase_dead_letters

_RELATED_IDS = """
    SELECT key AS id FROM orders WHERE customer_id = $1
    UNION SELECT issue_id::text FROM entries WHERE customer_id = $1 AND issue_id IS NOT NULL"""
_DELETE_BIRTHDAY = "DELETE FROM birthdays WHERE customer_id = $1 AND coalesce(provided_at, '-infinity') <= $2"
_DELETE_BIRTHDAY_TIMERS = """
    DELETE FROM timers t WHERE t.aggregate = 'ledger' AND t.key = $1 AND t.name LIKE 'birthday:%'
    AND NOT EXISTS (SELECT FROM birthdays b WHERE b.customer_id = $1)"""
_ERASE_ENTRY_NOTES = "SELECT erase_notes($1, $2)"
_ERASE_REVIEW_NOTES = """
    UPDATE withheld_grants SET note = NULL WHERE customer_id = $1 AND at <= $2 AND note IS NOT NULL"""


async def erase(conn: Connection, erasure: Erasure) -> None:
    ids = [row["id"] for row in await conn.fetch(_RELATED_IDS, erasure.customer_id, timeout=300)]
    await erase_dead_letters(conn, erasure, ids)
    await conn.execute(_DELETE_BIRTHDAY, erasure.customer_id, erasure.until)
    await conn.execute(_DELETE_BIRTHDAY_TIMERS, erasure.customer_id)
    await conn.execute(_ERASE_ENTRY_NOTES, erasure.customer_id, erasure.until, timeout=300)
    await conn.execute(_ERASE_REVIEW_NOTES, erasure.customer_id, erasure.until, timeout=300)
