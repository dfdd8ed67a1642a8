"""SQL of photo deletion: retention, and the queue of files whose rows are deleted.

Rows are deleted first, in a transaction; a file is deleted afterwards and its queue row last, so that a crash leaves
nothing behind. A file stays where another issue uses the same photo. Known gap: a photo that is uploaded again in the
moment in which its file is deleted has to be uploaded once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.postgres.pool import Connection
from libs.common.postgres.retention import Sweep

UPLOAD_RETENTION_DAYS = 7
"""Retention of photos that no report names."""

_NEXT = "SELECT sha256, media_type FROM photo_deletion_queue ORDER BY since LIMIT 50 FOR UPDATE SKIP LOCKED"
_IN_USE = """
    SELECT sha256 FROM evidence WHERE sha256 = ANY($1)
    UNION SELECT sha256 FROM photo_uploads WHERE sha256 = ANY($1)"""
_DEQUEUE = "DELETE FROM photo_deletion_queue WHERE sha256 = ANY($1)"
_SWEEP_CLOSED_ISSUES = """
    WITH expired AS (
        DELETE FROM evidence WHERE (issue_id, sha256) IN (
            SELECT e.issue_id, e.sha256 FROM evidence e JOIN issues i USING (issue_id)
            WHERE e.stored_at < $1 AND NOT i.is_open AND i.lifecycle_at < $1 LIMIT $2)
        RETURNING sha256, media_type)
    INSERT INTO photo_deletion_queue (sha256, media_type)
    SELECT DISTINCT ON (sha256) sha256, media_type FROM expired ON CONFLICT DO NOTHING"""
_SWEEP_UPLOADS = """
    WITH expired AS (
        DELETE FROM photo_uploads WHERE sha256 IN (SELECT sha256 FROM photo_uploads WHERE stored_at < $1 LIMIT $2)
        RETURNING sha256, media_type)
    INSERT INTO photo_deletion_queue (sha256, media_type)
    SELECT sha256, media_type FROM expired ON CONFLICT DO NOTHING"""
_SWEEP_DESCRIPTIONS = """
    UPDATE issues SET description = NULL WHERE issue_id IN (
        SELECT issue_id FROM issues WHERE description IS NOT NULL AND NOT is_open AND lifecycle_at < $1 LIMIT $2)"""


@dataclass(frozen=True, slots=True)
class QueuedPhoto:
    sha256: str
    media_type: str
    in_use: bool


def retention_sweeps(evidence_days: int, free_text_days: int) -> tuple[Sweep, ...]:
    return (
        Sweep("photos of closed issues", _SWEEP_CLOSED_ISSUES, evidence_days),
        Sweep("photos without report", _SWEEP_UPLOADS, UPLOAD_RETENTION_DAYS),
        Sweep("descriptions of closed issues", _SWEEP_DESCRIPTIONS, free_text_days),
    )


async def lock_queued(conn: Connection) -> list[QueuedPhoto]:
    """Lock and return the next photos of the queue."""
    rows = await conn.fetch(_NEXT)
    in_use = {row["sha256"] for row in await conn.fetch(_IN_USE, [row["sha256"] for row in rows])} if rows else set()
    return [QueuedPhoto(row["sha256"], row["media_type"], row["sha256"] in in_use) for row in rows]


async def dequeue(conn: Connection, photos: Sequence[QueuedPhoto]) -> None:
    await conn.execute(_DEQUEUE, [photo.sha256 for photo in photos])
