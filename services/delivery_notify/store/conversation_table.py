"""SQL of conversations: one versioned JSON document each, with a row cache.

The events of an issue come in bursts, and each reads and writes the conversation of its order. The column is `json`: a
document is read and written as a whole, so `jsonb` would only add work. A cached row is used only if its version and
xmin still match (`RowCache`).
"""

from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.postgres.pool import ConflictError, Connection
from libs.common.postgres.state_table import RowCache, VersionedRow
from services.delivery_notify.domain.conversation import Conversation

CACHED_CONVERSATIONS = 4_000
"""Size of the row cache; a conversation has a few kilobytes."""

CONVERSATION = TypeAdapter(Conversation)


@dataclass(frozen=True, slots=True)
class VersionedConversation:
    """A conversation with the version of its row (0: no row yet)."""

    version: int
    conversation: Conversation


# Each row is found by its key; rows are locked in key order.
_LOAD = """
    SELECT c.key, c.version, c.xmin, c.body
    FROM (SELECT * FROM unnest($1::text[], $2::bigint[], $3::xid[]) AS k (key, version, xmin) ORDER BY key) AS k
    CROSS JOIN LATERAL (
        SELECT c.key, c.version, c.xmin,
               CASE WHEN c.version = k.version AND c.xmin = k.xmin THEN NULL ELSE c.body END AS body
        FROM conversations c WHERE c.key = k.key FOR UPDATE) AS c"""
# A key without a row cannot be locked; a concurrent insert is a conflict.
_INSERT = """
    WITH made AS (
        INSERT INTO conversations (key, version, body, customer_id) SELECT key, 1, body, customer_id
        FROM unnest($1::text[], $2::json[], $3::text[]) AS n (key, body, customer_id) ON CONFLICT DO NOTHING
        RETURNING key)
    SELECT count(*) AS written, pg_current_xact_id()::xid AS xmin FROM made"""
_UPDATE = """
    WITH changed AS (
        UPDATE conversations c SET version = n.version, body = n.body, customer_id = n.customer_id
        FROM unnest($1::text[], $2::bigint[], $3::json[], $4::text[]) AS n (key, version, body, customer_id)
        WHERE c.key = n.key AND c.version = n.version - 1 RETURNING c.key)
    SELECT count(*) AS written, pg_current_xact_id()::xid AS xmin FROM changed"""


class ConversationTable:
    """Load and lock conversations in key order, and save them, with one statement each for any number."""

    def __init__(self) -> None:
        self._cache: RowCache[Conversation] = RowCache(CACHED_CONVERSATIONS)

    async def load(self, conn: Connection, keys: Sequence[str]) -> dict[str, VersionedConversation]:
        """Return the conversations of these keys with their versions; keys without a row are absent."""
        known = {key: self._cache.rows.get(key) for key in keys}
        found: dict[str, VersionedConversation] = {}
        for key, version, xmin, body in await conn.fetch(_LOAD, keys, *self._cache.marks(keys)):
            row = known[key]
            if body is None and row:
                found[key] = VersionedConversation(version, row.state)
            else:
                found[key] = VersionedConversation(version, CONVERSATION.validate_json(body))
                self._cache.keep(key, VersionedRow(version, xmin, found[key].conversation))
        return found

    async def save(self, conn: Connection, changed: Mapping[str, VersionedConversation]) -> None:
        """Save conversations with the versions they were loaded with (0: new).

        Raises `ConflictError` if another transaction inserted the same one first; the batch is then retried.
        """
        await self._write(conn, {key: each for key, each in changed.items() if each.version == 0})
        await self._write(conn, {key: each for key, each in changed.items() if each.version > 0})

    async def _write(self, conn: Connection, states: Mapping[str, VersionedConversation]) -> None:
        if not states:
            return
        bodies = [CONVERSATION.dump_json(each.conversation, exclude_defaults=True).decode() for each in states.values()]
        versions = [each.version + 1 for each in states.values()]
        customers = [each.conversation.owner for each in states.values()]
        if versions[0] == 1:
            row = await conn.fetchrow(_INSERT, list(states), bodies, customers)
        else:
            row = await conn.fetchrow(_UPDATE, list(states), versions, bodies, customers)
        if row is None or row["written"] != len(states):
            raise ConflictError("conversations: another transaction inserted one of these at the same time")
        for key, version in zip(states, versions, strict=True):
            self._cache.keep(key, VersionedRow(version, row["xmin"], states[key].conversation))
