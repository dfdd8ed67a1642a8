"""SQL of one notice as staff see it: with its contact, and with the words of a reply."""

from typing import Any
from uuid import UUID

from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from services.delivery_notify.store import contacts, reply_texts

_READ = """
    SELECT n.notice_id, n.kind, n.order_id, n.issue_id, n.facts, n.status, n.channel, n.settled_at, c.sealed,
           n.facts ? 'for_recipient' AS is_recipient, n.facts ? 'for_former' AS is_former,
           coalesce(CASE WHEN n.facts ? 'for_recipient' THEN c.recipient ->> 'name'
                         WHEN n.facts ? 'for_former' THEN c.former -> n.notice_id::text ->> 'name'
                         ELSE c.name END, '') AS name,
           coalesce(n.language, p.language, c.language, 'ja') AS language
    FROM notices n JOIN contacts c ON c.order_id = n.order_id
    LEFT JOIN preferences p ON p.customer_id = n.customer_id WHERE n.notice_id = $1"""


async def read_sent_notice(conn: Connection, notice_id: UUID) -> dict[str, Any] | None:
    """Return one notice with its contact, in the language in which it was (or would be) sent."""
    row = await conn.fetchrow(_READ, notice_id)
    if row is None:
        return None
    notice = dict(row)
    facts = (await reply_texts.read_facts(conn, [row])).get(notice_id, notice["facts"])
    person = keys_of(conn).open_json(contacts.TABLE, notice.pop("sealed"))
    addressee = contacts.addressee(
        person, notice_id, is_recipient=notice.pop("is_recipient"), is_former=notice.pop("is_former")
    )
    return notice | {"name": addressee.get("name", notice["name"]), "facts": facts}
