"""SQL about photos, for routes and pages: whose they are, and what a report still lacks. Their bytes lie elsewhere."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from libs.common.postgres.pool import Connection
from services.intake.domain.orders import StoredPhoto

_UPLOAD = """
    INSERT INTO uploads (sha256, media_type, size_bytes, width, height, stored_at)
    SELECT *, $6 FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[])
    ON CONFLICT (sha256) DO UPDATE SET stored_at = excluded.stored_at"""


async def keep_uploads(conn: Connection, photos: Sequence[StoredPhoto], now: datetime) -> None:
    """Photos that came before their report."""
    rows = {photo.sha256: photo for photo in photos}
    photos = [rows[sha256] for sha256 in sorted(rows)]
    await conn.execute(
        _UPLOAD,
        [photo.sha256 for photo in photos],
        [photo.media_type for photo in photos],
        [photo.size_bytes for photo in photos],
        [photo.width for photo in photos],
        [photo.height for photo in photos],
        now,
    )


async def owner_of(conn: Connection, issue_id: UUID) -> str | None:
    """The customer whose issue it is; None where there is no such issue."""
    owner: str | None = await conn.fetchval("SELECT customer_id FROM issues WHERE issue_id = $1", issue_id)
    return owner


async def media_type_of(conn: Connection, issue_id: UUID, sha256: str) -> str | None:
    """None where this issue has no such photo, whoever else may have it."""
    found: str | None = await conn.fetchval(
        "SELECT media_type FROM evidence WHERE issue_id = $1 AND sha256 = $2", issue_id, sha256
    )
    return found


async def missing_of(conn: Connection, issue_id: UUID) -> list[str]:
    """What the report still lacks."""
    return list(await conn.fetchval("SELECT missing FROM issues WHERE issue_id = $1", issue_id) or ())
