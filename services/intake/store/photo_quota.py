"""SQL of the upload quota: photos received by link, per issue or order, for all processes."""

from datetime import datetime

from libs.common.postgres.pool import Connection

_COUNT = """
    INSERT INTO photo_quota AS q (subject, started_at, photos) VALUES ($1, $2, $3)
    ON CONFLICT (subject) DO UPDATE SET
        photos = CASE WHEN q.started_at <= $4 THEN excluded.photos ELSE q.photos + excluded.photos END,
        started_at = CASE WHEN q.started_at <= $4 THEN excluded.started_at ELSE q.started_at END
    RETURNING photos"""


async def count_photos(conn: Connection, subject: str, photos: int, now: datetime, expire_before: datetime) -> int:
    """Add photos to the count of this subject and return it; counts from before `expire_before` are deleted."""
    await conn.execute("DELETE FROM photo_quota WHERE started_at <= $1 AND subject <> $2", expire_before, subject)
    counted: int = await conn.fetchval(_COUNT, subject, now, photos, expire_before)
    return counted
