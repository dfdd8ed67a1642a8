"""Erasure of a customer in delivery_notify: contacts, preferences, suppressed addresses, and words of replies.

Promises, their notifications and the facts of notices stay: they name no person. Unsent notices are withdrawn.
"""

from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from libs.common.privacy.erasure import Erasure, erase_dead_letters
from services.delivery_notify.store import reply_texts
from services.delivery_notify.store.consents import withdraw_consents

_IDS = """
    SELECT order_id AS id FROM contacts WHERE customer_id = $1
    UNION SELECT order_id FROM notices WHERE customer_id = $1
    UNION SELECT issue_id::text FROM notices WHERE customer_id = $1 AND issue_id IS NOT NULL"""
# A digest identifies the address for anyone who has it, so it is personal data.
_SUPPRESSED = """
    DELETE FROM suppressed_addresses WHERE digest IN (
        SELECT keyed_digest($3, sha256(convert_to(lower(a.address), 'UTF8'))) FROM (
            SELECT unnest(ARRAY[email, phone, recipient ->> 'email', recipient ->> 'phone']) FROM contacts
            WHERE customer_id = $1 AND coalesce(placed_at, '-infinity') <= $2
            UNION ALL SELECT unnest(ARRAY[phone, line_user_id]) FROM preferences
            WHERE customer_id = $1 AND changed_at <= $2) AS a (address)
        UNION ALL SELECT unnest(ARRAY[email_digest, phone_digest, recipient_email_digest, recipient_phone_digest])
        FROM contacts
        WHERE customer_id = $1 AND coalesce(placed_at, '-infinity') <= $2
        UNION ALL SELECT unnest(ARRAY[phone_digest, line_digest]) FROM preferences
        WHERE customer_id = $1 AND changed_at <= $2
        UNION ALL SELECT keyed_digest($3, address_digest) FROM notices WHERE customer_id = $1 AND made_at <= $2)"""
_DIGESTS = """
    UPDATE notices SET address_digest = NULL
    WHERE customer_id = $1 AND made_at <= $2 AND address_digest IS NOT NULL"""
_WITHDRAWN = """
    UPDATE notices n SET withdrawn_cause = 'customer_erased', due_at = least(n.due_at, n.made_at)
    WHERE n.customer_id = $1 AND n.status IN ('pending', 'sending') AND n.withdrawn_cause IS NULL AND n.made_at <= $2
      AND NOT EXISTS (SELECT FROM contacts c WHERE c.order_id = n.order_id AND c.placed_at > $2)"""
_CONTACTS = "DELETE FROM contacts WHERE customer_id = $1 AND coalesce(placed_at, '-infinity') <= $2"
_PREFERENCES = "DELETE FROM preferences WHERE customer_id = $1 AND changed_at <= $2"


_OLD_CONTACTS = """
    DELETE FROM contacts WHERE order_id IN (SELECT order_id FROM contacts WHERE placed_at < $1 LIMIT $2)"""
_OLD_NOTICES = """
    DELETE FROM notices WHERE notice_id IN (
        SELECT notice_id FROM notices WHERE made_at < $1 AND settled_at < $1 LIMIT $2)"""


def sweeps(contact_days: int, notice_days: int, free_text_days: int) -> tuple[Sweep, ...]:
    """Return the retention sweeps of delivery_notify."""
    return (
        Sweep("contacts", _OLD_CONTACTS, contact_days),
        Sweep("notices", _OLD_NOTICES, notice_days),
        Sweep("words of replies", reply_texts.OLD, free_text_days),
    )


async def erase(conn: Connection, erasure: Erasure) -> None:
    ids = [row["id"] for row in await conn.fetch(_IDS, erasure.customer_id, timeout=300)]
    await erase_dead_letters(conn, erasure, ids)
    await conn.execute(_SUPPRESSED, erasure.customer_id, erasure.until, keys_of(conn).lookup_key, timeout=300)
    for statement in (_DIGESTS, _WITHDRAWN, reply_texts.ERASE, _CONTACTS, _PREFERENCES):
        await conn.execute(statement, erasure.customer_id, erasure.until, timeout=300)
    await withdraw_consents(conn, erasure.customer_id, erasure.until)
