"""What waits, as rows: one statement for a whole batch of changes."""

from collections.abc import Sequence

from libs.common.db import Connection
from services.intake.desk.work import Change, Settled, fold

# Both halves in one round trip. `fold` sees to it that no row is deleted and written at once, except where work of a
# kind ended and then began anew: that row is left to the second half. An older event, replayed, moves nothing back.
_SAVE = """
    WITH ended AS (
        DELETE FROM desk_work w
        USING unnest($1::uuid[], $2::text[], $3::text[]) AS e (issue_id, kind, about)
        WHERE w.issue_id = e.issue_id AND w.kind = coalesce(e.kind, w.kind) AND w.about = coalesce(e.about, w.about)
          AND NOT EXISTS (SELECT FROM unnest($4::uuid[], $5::text[], $6::text[]) AS o (issue_id, kind, about)
                          WHERE (o.issue_id, o.kind, o.about) = (w.issue_id, w.kind, w.about)))
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


async def save(conn: Connection, told: Sequence[Change]) -> None:
    """Write what a batch of events opened, moved and ended."""
    if not told:
        return
    opened, ended = fold(told)
    opened.sort(key=lambda one: (one.issue_id, one.kind, one.about))
    await conn.execute(
        _SAVE,
        [one.issue_id for one in ended],
        [one.kind for one in ended],
        [one.about for one in ended],
        [one.issue_id for one in opened],
        [one.kind for one in opened],
        [one.about for one in opened],
        [one.detail for one in opened],
        [one.since for one in opened],
        [one.due_at for one in opened],
    )
    settled = [one for one in told if isinstance(one, Settled)]
    if settled:
        await conn.execute(_SETTLE, [one.issue_id for one in settled], [one.decision_id for one in settled])
