"""What waits, as rows: what a batch of changes comes to is worked out over what is there, and only that is written."""

from collections.abc import Sequence
from operator import attrgetter

from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.intake.projections.work_queue import Change, Ended, Settled, fold

# Most events end what waits for most issues not at all: one look at the rows of a batch is cheaper than to try.
_THERE = "SELECT issue_id, kind, about FROM desk_work WHERE issue_id = ANY($1)"

# Both halves in one round trip; no row is in both. An older event, replayed, moves nothing back. (`IS NOT DISTINCT`
# keeps the planner from looking for a row by its kind, under which it would find everybody's work.)
_SAVE = """
    WITH ended AS (
        DELETE FROM desk_work w USING unnest($1::uuid[], $2::text[], $3::text[]) AS e (issue_id, kind, about)
        WHERE w.issue_id = e.issue_id AND w.kind IS NOT DISTINCT FROM e.kind AND w.about IS NOT DISTINCT FROM e.about)
    INSERT INTO desk_work AS old (issue_id, kind, about, detail, since, due_at)
    SELECT * FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[])
    ON CONFLICT (issue_id, kind, about) DO UPDATE
    SET detail = excluded.detail, due_at = excluded.due_at,
        since = CASE WHEN old.kind = 'progress' THEN excluded.since ELSE old.since END
    WHERE excluded.since >= old.since"""

_SETTLE = """
    DELETE FROM desk_work w USING unnest($1::uuid[], $2::uuid[]) AS s (issue_id, decision_id)
    WHERE w.issue_id = s.issue_id AND w.kind = 'review' AND (s.decision_id IS NULL OR w.about = (
        SELECT t.data ->> 'review' FROM timeline t
        WHERE t.issue_id = s.issue_id AND t.type = 'issue.staff_decided.v1'
          AND t.data ->> 'decision_id' = s.decision_id::text LIMIT 1))"""

_row = attrgetter("issue_id", "kind", "about", "detail", "since", "due_at")


async def save(conn: Connection, told: Sequence[Change]) -> None:
    """Write what a batch of events opened, moved and ended."""
    ending = {change.issue_id for change in told if type(change) is Ended}
    rows = await conn.fetch(_THERE, list(ending)) if ending else []
    opened, ended = fold([(row["issue_id"], row["kind"], row["about"]) for row in rows], told)
    if opened or ended:
        # Sorted by the number that an id is: ids themselves compare by a method of Python, at six times the cost.
        ended.sort(key=lambda row: (row[0].int, row[1:]))
        moved = sorted(map(_row, opened), key=lambda row: (row[0].int, row[1:3]))
        await conn.execute(_SAVE, *columns(ended, 3), *columns(moved, 6))
    settled = [change for change in told if type(change) is Settled]
    if settled:
        await conn.execute(_SETTLE, [one.issue_id for one in settled], [one.decision_id for one in settled])
