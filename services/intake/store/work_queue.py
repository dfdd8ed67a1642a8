"""SQL of the work queue: a batch of changes is folded over the existing items, and only the difference is written."""

from collections.abc import Sequence
from operator import attrgetter

from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.intake.domain.projections.work_items import (
    ReviewDecided,
    WorkChange,
    WorkEnded,
    fold_changes,
    names_cause,
    without_settled,
)

# Most events end nothing: one read of the items of a batch is cheaper than deletes that match no row.
_EXISTING = "SELECT issue_id, kind, about FROM work_queue WHERE issue_id = ANY($1)"

# Deletes and upserts in one round trip; no row is in both. A replayed older event moves nothing back. `IS NOT DISTINCT`
# keeps the planner from the index by kind, which would match the items of all issues.
_SAVE = """
    WITH ended AS (
        DELETE FROM work_queue w USING unnest($1::uuid[], $2::text[], $3::text[]) AS e (issue_id, kind, about)
        WHERE w.issue_id = e.issue_id AND w.kind IS NOT DISTINCT FROM e.kind AND w.about IS NOT DISTINCT FROM e.about)
    INSERT INTO work_queue AS old (issue_id, kind, about, detail, since, due_at)
    SELECT * FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[])
    ON CONFLICT (issue_id, kind, about) DO UPDATE
    SET detail = excluded.detail, due_at = excluded.due_at,
        since = CASE WHEN old.kind = 'progress' THEN excluded.since ELSE old.since END
    WHERE excluded.since >= old.since"""

_END_REVIEW = """
    DELETE FROM work_queue w USING unnest($1::uuid[], $2::uuid[]) AS s (issue_id, decision_id)
    WHERE w.issue_id = s.issue_id AND w.kind = 'review' AND (s.decision_id IS NULL OR w.about = (
        SELECT t.data ->> 'review' FROM timeline t
        WHERE t.issue_id = s.issue_id AND t.type = 'issue.staff_decided.v1'
          AND t.data ->> 'decision_id' = s.decision_id::text LIMIT 1))"""

_SETTLED = "SELECT subject, about FROM desk_actions WHERE subject = ANY($1::text[]) AND action = 'handled'"

_row = attrgetter("issue_id", "kind", "about", "detail", "since", "due_at")


async def save(conn: Connection, changes: Sequence[WorkChange]) -> None:
    """Write the work items that a batch of events opened, moved and ended."""
    if reported := {str(change.issue_id) for change in changes if names_cause(change)}:
        changes = without_settled(changes, {tuple(row) for row in await conn.fetch(_SETTLED, list(reported))})
    ending = {change.issue_id for change in changes if type(change) is WorkEnded}
    rows = await conn.fetch(_EXISTING, list(ending)) if ending else []
    opened, ended = fold_changes([(row["issue_id"], row["kind"], row["about"]) for row in rows], changes)
    if opened or ended:
        # Sorted by the integer of the id: comparing UUIDs is a Python method, at six times the cost.
        ended.sort(key=lambda key: (key[0].int, key[1:]))
        upserts = sorted(map(_row, opened), key=lambda row: (row[0].int, row[1:3]))
        await conn.execute(_SAVE, *columns(ended, 3), *columns(upserts, 6))
    reviews = [change for change in changes if type(change) is ReviewDecided]
    if reviews:
        await conn.execute(
            _END_REVIEW, [review.issue_id for review in reviews], [review.decision_id for review in reviews]
        )
