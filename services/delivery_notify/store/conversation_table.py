"""Conversations as rows: one JSON document each, with a version; and those known by heart that were written lately.

The events of an issue come in bursts, and each reads and writes the conversation of its order. The column is `json`: a
document is only ever read whole, so that nobody gains from `jsonb`, which is taken apart on the way in and put together
on the way out. What this process wrote or read lately it knows again by its row, see `Lately`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from libs.common.postgres.pool import ConflictError, Connection
from libs.common.postgres.state_table import Row, RowCache
from services.delivery_notify.domain.conversation import Conversation

REMEMBERED = 4_000
"""Conversations that are known by heart, of some kilobytes each."""

CONVERSATION = TypeAdapter(Conversation)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A conversation with the version of the row it came from (0: there was none)."""

    version: int
    conversation: Conversation


# Each is found by its key, and locked in the order of the keys.
_LOAD = """
    SELECT c.key, c.version, c.xmin, c.body
    FROM (SELECT * FROM unnest($1::text[], $2::bigint[], $3::xid[]) AS k (key, version, xmin) ORDER BY key) AS k
    CROSS JOIN LATERAL (
        SELECT c.key, c.version, c.xmin,
               CASE WHEN c.version = k.version AND c.xmin = k.xmin THEN NULL ELSE c.body END AS body
        FROM conversations c WHERE c.key = k.key FOR UPDATE) AS c"""
# A key that did not exist could not be locked; if somebody else made it meanwhile there is a conflict.
_INSERT = """
    WITH made AS (
        INSERT INTO conversations (key, version, body) SELECT key, 1, body
        FROM unnest($1::text[], $2::json[]) AS n (key, body) ON CONFLICT DO NOTHING RETURNING key)
    SELECT count(*) AS written, pg_current_xact_id()::xid AS xmin FROM made"""
_UPDATE = """
    WITH changed AS (
        UPDATE conversations c SET version = n.version, body = n.body
        FROM unnest($1::text[], $2::bigint[], $3::json[]) AS n (key, version, body)
        WHERE c.key = n.key AND c.version = n.version - 1 RETURNING c.key)
    SELECT count(*) AS written, pg_current_xact_id()::xid AS xmin FROM changed"""


class ConversationTable:
    """Loads conversations locked, in key order, and saves them, a statement each way however many there are."""

    def __init__(self) -> None:
        self._lately: RowCache[Conversation] = RowCache(REMEMBERED)

    async def load(self, conn: Connection, keys: Sequence[str]) -> dict[str, Loaded]:
        """The conversations of these keys with their versions; keys without one are absent."""
        known = {key: self._lately.rows.get(key) for key in keys}
        found: dict[str, Loaded] = {}
        for key, version, xmin, body in await conn.fetch(_LOAD, keys, *self._lately.marks(keys)):
            row = known[key]
            if body is None and row:
                found[key] = Loaded(version, row.state)
            else:
                found[key] = Loaded(version, CONVERSATION.validate_json(body))
                self._lately.keep(key, Row(version, xmin, found[key].conversation))
        return found

    async def save(self, conn: Connection, changed: Mapping[str, Loaded]) -> None:
        """Write them under the versions they were loaded with (0 where there was none).

        Raises `ConflictError` where another transaction made the same new one first: the batch is then done again.
        """
        await self._write(conn, {key: each for key, each in changed.items() if each.version == 0})
        await self._write(conn, {key: each for key, each in changed.items() if each.version > 0})

    async def _write(self, conn: Connection, states: Mapping[str, Loaded]) -> None:
        if not states:
            return
        bodies = [CONVERSATION.dump_json(each.conversation, exclude_defaults=True).decode() for each in states.values()]
        versions = [each.version + 1 for each in states.values()]
        if versions[0] == 1:
            row = await conn.fetchrow(_INSERT, list(states), bodies)
        else:
            row = await conn.fetchrow(_UPDATE, list(states), versions, bodies)
        if row is None or row["written"] != len(states):
            raise ConflictError("conversations: one was made by another transaction at the same time")
        for key, version in zip(states, versions, strict=True):
            self._lately.keep(key, Row(version, row["xmin"], states[key].conversation))
