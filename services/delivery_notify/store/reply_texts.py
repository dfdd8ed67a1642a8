"""SQL of the words of staff in their replies: apart from the facts of the notice, which stay after an erasure."""

import json
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from libs.common.events.notices import NoticeKind
from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.notices import ReplyTextRecorded

TABLE = "reply_texts"

# A reply is read again after a restore, or by a second consumer in a rebalance.
_SAVE = """
    INSERT INTO reply_texts (notice_id, content) SELECT * FROM unnest($1::uuid[], $2::bytea[])
    ON CONFLICT (notice_id) DO NOTHING"""
_READ = "SELECT notice_id, content FROM reply_texts WHERE notice_id = ANY($1)"
ERASE = """
    DELETE FROM reply_texts r USING notices n
    WHERE n.notice_id = r.notice_id AND n.customer_id = $1 AND n.made_at <= $2"""


OLD = """
    DELETE FROM reply_texts WHERE notice_id IN (
        SELECT r.notice_id FROM reply_texts r JOIN notices n USING (notice_id) WHERE n.settled_at < $1 LIMIT $2)"""


async def save(conn: Connection, rows: Sequence[ReplyTextRecorded]) -> None:
    """Insert the words of notices that are stored already."""
    if rows:
        keys = keys_of(conn)
        await conn.execute(_SAVE, *columns([(row.notice_id, keys.seal(TABLE, row.text.encode())) for row in rows]))


async def read_facts(conn: Connection, rows: Collection[Any]) -> dict[UUID, str]:
    """Return the facts (JSON) of these notices with their words; only of those rows that are replies."""
    facts = {row["notice_id"]: row["facts"] for row in rows if row["kind"] == NoticeKind.STAFF_REPLY}
    if not facts:
        return {}
    keys = keys_of(conn)
    found = {row["notice_id"]: row["content"] for row in await conn.fetch(_READ, list(facts))}
    return {
        notice_id: json.dumps(json.loads(facts[notice_id]) | {"reply": keys.reveal(TABLE, content).decode()})
        for notice_id, content in found.items()
    }
