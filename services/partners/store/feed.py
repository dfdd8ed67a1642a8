"""The feed: events for partners in one order, and how far each partner has read them.

Positions are given while an advisory lock is held until COMMIT. A sequence was rejected: a transaction that commits
later with a lower number would be missed by a reader that has passed it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.decisions.facts import Facts, Record
from libs.common.decisions.fast_replace import replace
from libs.common.events.registry import AnyEvent, encode
from libs.common.events.topics import PERSONAL_RETENTION_DAYS
from libs.common.postgres.batch import columns
from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from libs.common.telemetry.log_context import current_trace
from services.partners.domain.decide import decide
from services.partners.domain.feed import FeedEntry, FeedHead, ids_in
from services.partners.policy.partner_terms import PartnerTerms
from services.partners.store.deliveries import add_deliveries
from services.partners.store.feed_reading import TABLE, lock_head

KEY = "feed"

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
    ON CONFLICT DO NOTHING"""


@dataclass
class Feed:
    """Aggregate of the feed; its one state is the head."""

    partners: Mapping[str, PartnerTerms]
    name: str = "feed"
    is_read_model = True

    def key_of(self, event: AnyEvent) -> str | None:
        return KEY

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, FeedHead]:
        return {KEY: FeedHead(await lock_head(conn))}

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
        await add_deliveries(
            conn,
            [(name, each.position, each.event.data.key, each.event.type) for each in entries for name in each.partners],
        )
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
    """Store ids that partners were given: role, kind, id, partner and Kafka key. A placed order has one partner."""
    if rows:
        await conn.execute(_GIVE, *columns(sorted(set(rows))), now)


# The cursors learn how far events were deleted, so that a partner that asks for older ones sees that some are missing.
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
