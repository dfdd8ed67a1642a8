"""Events about an issue without a case, with all SQL about them.

Keeping an event and the opening of its case meet under the lock by issue of `kept_counts`: whichever commits second
sees the other, so that no event stays behind.
"""

from collections.abc import Collection, Mapping, Sequence

from libs.common.decisions.facts import Record
from libs.common.events.registry import AnyEvent, decode, encode
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep
from services.returns.domain.state.early_events import EventKept, KeptEventApplied
from services.returns.store.kept_counts import lock_issues

RETENTION_DAYS = 60
"""Days for which an event waits for its case; longer than any topic keeps the acceptance."""

_KEEP = """
    INSERT INTO early_events (issue_id, event_key, body, event_time, kept_at)
    SELECT issue_id, event_key, body, event_time, kept_at
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[], $5::timestamptz[]) WITH ORDINALITY
        AS e (issue_id, event_key, body, event_time, kept_at, n) ORDER BY n
    ON CONFLICT DO NOTHING"""
# The timers of one case differ by a microsecond each, so that they fire in the order of the events. The trace is that
# of a timer that the case waits for, so that what follows is linked to the report; a case that opens now has none yet.
_WAKE = """
    INSERT INTO timers (aggregate, key, name, due_at, trace)
    SELECT 'cases', e.issue_id, 'early:' || e.event_key,
           (c.body::json ->> 'accepted_at')::timestamptz + row_number() OVER of_case * interval '1 microsecond',
           coalesce((SELECT max(t.trace) FROM timers t WHERE t.aggregate = 'cases' AND t.key = e.issue_id),
                    (SELECT w.trace FROM unnest($1::text[], $2::text[]) AS w (issue_id, trace)
                     WHERE w.issue_id = e.issue_id))
    FROM early_events e JOIN cases c ON c.key = e.issue_id
    WHERE e.issue_id = ANY($1::text[]) AND e.applied_at IS NULL
    WINDOW of_case AS (PARTITION BY e.issue_id ORDER BY e.event_time, e.position)
    ON CONFLICT (aggregate, key, name) DO NOTHING"""
_LOAD = """
    SELECT event_key, body FROM early_events
    WHERE (issue_id, event_key) IN (SELECT * FROM unnest($1::text[], $2::text[]))"""
_APPLIED = """
    UPDATE early_events e SET applied_at = a.at
    FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS a (issue_id, event_key, at)
    WHERE (e.issue_id, e.event_key) = (a.issue_id, a.event_key)"""
_EXPIRE = """
    DELETE FROM early_events WHERE (issue_id, event_key) IN (
        SELECT issue_id, event_key FROM early_events WHERE kept_at < $1 LIMIT $2)"""


def early_event_sweep() -> Sweep:
    """Return the retention of events whose case never opened, and of applied ones."""
    return Sweep("early events", _EXPIRE, RETENTION_DAYS)


async def load_events(conn: Connection, wanted: Collection[tuple[str, str]]) -> dict[str, AnyEvent]:
    """Return kept events of these issues by their keys."""
    rows = await conn.fetch(_LOAD, *columns(list(wanted), 2)) if wanted else []
    return {row["event_key"]: decode(row["body"]) for row in rows}


async def save_events(conn: Connection, records: Sequence[Record], opened: Mapping[str, str | None]) -> None:
    """Keep events, mark those that were applied, and wake cases whose events came first.

    `opened` are the new cases of this transaction, whose issues are locked, with the traces that opened them.
    """
    kept = [record for record in records if isinstance(record, EventKept)]
    applied = [record for record in records if isinstance(record, KeptEventApplied)]
    waiting = {str(record.issue_id): record.trace for record in kept}
    if kept:
        await lock_issues(conn, waiting)
        rows = [(str(each.issue_id), each.key, encode(each.event), each.event.time, each.at) for each in kept]
        await conn.execute(_KEEP, *columns(rows, 5))
    if applied:
        await conn.execute(_APPLIED, *columns([(str(each.issue_id), each.key, each.at) for each in applied], 3))
    waiting.update(opened)
    if waiting:
        await conn.execute(_WAKE, list(waiting), list(waiting.values()))
