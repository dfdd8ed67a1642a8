"""The feed: events for partners in one order, and how far each partner has read them.

Positions are given while an advisory lock is held until COMMIT. A sequence was rejected: a transaction that commits
later with a lower number would be missed by a reader that has passed it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.decisions.facts import Facts, Record
from libs.common.decisions.fast_replace import replace
from libs.common.events.registry import AnyEvent, encode
from libs.common.events.topics import PERSONAL_RETENTION_DAYS
from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from libs.common.telemetry.log_context import current_trace
from libs.common.telemetry.trace_context import Carrier
from services.partners.domain.decide import decide
from services.partners.domain.feed import FeedEntry, FeedHead, ids_in
from services.partners.policy.partner_terms import PartnerTerms

TABLE = "feed"
KEY = "feed"

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('sakidashi.feed'))"
_HEAD = "SELECT position FROM feed_head"
_SAVE_HEAD = """
    INSERT INTO feed_head (position) VALUES ($1) ON CONFLICT (is_only) DO UPDATE SET position = excluded.position"""
_ADD = """
    INSERT INTO feed (position, topic, type, event_id, key, value, is_personal, trace, added_at)
    SELECT *, $9 FROM unnest(
        $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::boolean[], $8::text[])"""
_ADDRESS = "INSERT INTO addressed (partner, position) SELECT * FROM unnest($1::text[], $2::bigint[])"
_GIVE = """
    INSERT INTO given (role, kind, id, partner, key, given_at)
    SELECT *, $6 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
    ON CONFLICT (role, kind, id, partner) DO NOTHING"""


@dataclass
class Feed:
    """Aggregate of the feed; its one state is the head."""

    partners: Mapping[str, PartnerTerms]
    name: str = "feed"
    is_read_model = True

    def key_of(self, event: AnyEvent) -> str | None:
        return KEY

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, FeedHead]:
        await conn.execute(_LOCK)
        return {KEY: FeedHead(await conn.fetchval(_HEAD) or 0)}

    def decide(self, state: FeedHead | None, event: AnyEvent, now: datetime) -> tuple[FeedHead, Facts]:
        head, facts = decide(state, event, now, self.partners)
        return head, [replace(each, trace=current_trace()) if isinstance(each, FeedEntry) else each for each in facts]

    async def save(self, conn: Connection, changed: Mapping[str, FeedHead], records: Sequence[Record]) -> None:
        """Write the entries, their addressees and the ids that these are given with them."""
        entries = [record for record in records if isinstance(record, FeedEntry)]
        if not entries:
            return
        now = await conn.fetchval("SELECT now()")
        seal = keys_of(conn).seal
        rows = [
            (
                each.position,
                each.event.data.TOPIC.name,
                each.event.type,
                each.event.id,
                each.event.data.key,
                seal(TABLE, encode(each.event)) if each.event.data.TOPIC.personal else encode(each.event),
                each.event.data.TOPIC.personal,
                each.trace,
            )
            for each in entries
        ]
        await conn.execute(_ADD, *columns(rows), now)
        addressed = [(partner, each.position) for each in entries for partner in each.partners]
        await conn.execute(_ADDRESS, *columns(addressed))
        await give(conn, self._given(entries), now)
        await conn.execute(_SAVE_HEAD, changed[KEY].position)

    def _given(self, entries: Sequence[FeedEntry]) -> list[tuple[str, str, str, str, str]]:
        return [
            (str(self.partners[partner].role), kind, value, partner, each.event.data.key)
            for each in entries
            for partner in each.partners
            for kind, value in ids_in(each.event).items()
        ]


async def give(conn: Connection, rows: Sequence[tuple[str, str, str, str, str]], now: datetime) -> None:
    """Store ids that partners were given: role, kind, id, partner and Kafka key."""
    if rows:
        await conn.execute(_GIVE, *columns(sorted(set(rows))), now)


async def lock_head(conn: Connection) -> int:
    """Return the newest position; none is given until this transaction ends."""
    await conn.execute(_LOCK)
    return await conn.fetchval(_HEAD) or 0


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of the feed: its position, and the event as JSON."""

    position: int
    event_id: str
    type: str
    key: str
    value: bytes
    trace: Carrier | None


_READ = """
    SELECT f.position, f.event_id, f.type, f.key, f.value, f.is_personal, f.trace
    FROM addressed a JOIN feed f USING (position)
    WHERE a.partner = $1 AND a.position > $2 ORDER BY a.position LIMIT $3"""
_CURSOR = """
    SELECT coalesce(c.acknowledged, 0) AS acknowledged, coalesce(c.deleted, 0) AS deleted,
           coalesce((SELECT position FROM feed_head), 0) AS newest
    FROM (SELECT $1::text AS partner) p LEFT JOIN partner_cursors c USING (partner)"""
_ACKNOWLEDGE = """
    INSERT INTO partner_cursors (partner, acknowledged) VALUES ($1, $2)
    ON CONFLICT (partner) DO UPDATE SET acknowledged = greatest(partner_cursors.acknowledged, excluded.acknowledged)
    WHERE partner_cursors.acknowledged < excluded.acknowledged"""


async def read_events(conn: Connection, partner: str, after: int, limit: int) -> list[StoredEvent]:
    """Return the events addressed to this partner behind a position, in order."""
    return [stored_event(conn, row) for row in await conn.fetch(_READ, partner, after, limit)]


def stored_event(conn: Connection, row: Any) -> StoredEvent:
    """Return an event from its row, decrypted."""
    plain = keys_of(conn).reveal(TABLE, row["value"]) if row["is_personal"] else row["value"]
    return StoredEvent(row["position"], row["event_id"], row["type"], row["key"], plain, row["trace"])


@dataclass(frozen=True, slots=True)
class PartnerCursor:
    """Position up to which a partner acknowledged, up to which events were deleted after retention, and the newest."""

    acknowledged: int
    deleted: int
    newest: int


async def read_cursor(conn: Connection, partner: str) -> PartnerCursor:
    row = await conn.fetchrow(_CURSOR, partner)
    assert row is not None
    return PartnerCursor(row["acknowledged"], row["deleted"], row["newest"])


async def acknowledge(conn: Connection, partner: str, position: int) -> None:
    """Store that a partner has everything up to this position; it never moves back."""
    await conn.execute(_ACKNOWLEDGE, partner, position)


# The cursors learn how far events were deleted, so that a partner that asks for older ones gets an error, not a gap.
_SWEEP = """
    WITH expired AS (
        SELECT position FROM feed WHERE is_personal = {personal} AND added_at < $1 ORDER BY added_at LIMIT $2),
    noted AS (
        INSERT INTO partner_cursors (partner, deleted)
        SELECT a.partner, max(a.position) FROM addressed a JOIN expired USING (position) GROUP BY a.partner
        ON CONFLICT (partner) DO UPDATE SET deleted = greatest(partner_cursors.deleted, excluded.deleted))
    DELETE FROM feed WHERE position IN (SELECT position FROM expired)"""
_SWEEP_GIVEN = """
    DELETE FROM given WHERE ctid IN (SELECT ctid FROM given WHERE given_at < $1 LIMIT $2)"""


def retention_sweeps(days: int, given_days: int) -> tuple[Sweep, ...]:
    """Return the sweeps of the feed; personal events expire as they do on Kafka."""
    personal, other = _SWEEP.format(personal="true"), _SWEEP.format(personal="false")
    return (
        Sweep("personal feed", personal, PERSONAL_RETENTION_DAYS, uses_wall_clock=True),
        Sweep("feed", other, days, uses_wall_clock=True),
        Sweep("given ids", _SWEEP_GIVEN, given_days, uses_wall_clock=True),
    )
