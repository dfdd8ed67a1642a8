"""SQL of photos: their owners and their issues. Their bytes are in the evidence store."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from libs.common.postgres.pool import Connection
from services.intake.domain.issue_acceptance import IssueRecorded
from services.intake.domain.orders import StoredPhoto
from services.intake.domain.provided_details import PhotosAttached

_UPLOAD = """
    INSERT INTO photo_uploads (sha256, media_type, size_bytes, width, height, stored_at)
    SELECT *, $6 FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[])
    ON CONFLICT (sha256) DO UPDATE SET stored_at = excluded.stored_at"""
# Owners of a photo: none yet, or the customers of its issues. Nobody gets another customer's photo by its hash.
_OWNERS = """
    SELECT sha256, NULL AS customer_id FROM photo_uploads WHERE sha256 = ANY($1)
    UNION SELECT e.sha256, i.customer_id FROM evidence e JOIN issues i USING (issue_id) WHERE e.sha256 = ANY($1)"""
_INSERT = """
    INSERT INTO evidence (issue_id, sha256, media_type, size_bytes, width, height, stored_at)
    SELECT *, $7 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::int[], $6::int[])
    ON CONFLICT (issue_id, sha256) DO NOTHING"""
# Photos that were uploaded before their report become photos of its issue.
_ATTACH_UPLOADS = """
    WITH attached AS (DELETE FROM photo_uploads WHERE sha256 = ANY($2))
    INSERT INTO evidence (issue_id, sha256, media_type, size_bytes, width, height, stored_at)
    SELECT DISTINCT ON (n.issue_id, n.sha256) n.issue_id, n.sha256, u.media_type, u.size_bytes, u.width, u.height, $3
    FROM unnest($1::uuid[], $2::text[]) AS n (issue_id, sha256)
    JOIN (SELECT sha256, media_type, size_bytes, width, height FROM photo_uploads WHERE sha256 = ANY($2)
          UNION ALL
          SELECT sha256, media_type, size_bytes, width, height FROM evidence WHERE sha256 = ANY($2)) u USING (sha256)
    ON CONFLICT (issue_id, sha256) DO NOTHING"""


async def record_uploads(conn: Connection, photos: Sequence[StoredPhoto], now: datetime) -> None:
    """Record photos that are uploaded before their report."""
    unique = {photo.sha256: photo for photo in photos}
    await conn.execute(_UPLOAD, *_columns([unique[sha256] for sha256 in sorted(unique)]), now)


async def read_photo_owners(conn: Connection, photos: Iterable[str]) -> dict[str, set[str | None]]:
    """Return the owners of these photos where they are present; None stands for an upload without report."""
    owners: dict[str, set[str | None]] = {}
    for row in await conn.fetch(_OWNERS, list(photos)):
        owners.setdefault(row["sha256"], set()).add(row["customer_id"])
    return owners


async def attach_uploads(conn: Connection, recorded: Sequence[IssueRecorded]) -> None:
    """Attach the photos that new reports name."""
    reports = [record.report for record in recorded]
    named = sorted((report.issue_id, photo) for report in reports for photo in report.submission.photos)
    if named:
        stored_at = max(report.reported_at for report in reports)
        await conn.execute(
            _ATTACH_UPLOADS, [issue_id for issue_id, _ in named], [sha256 for _, sha256 in named], stored_at
        )


async def insert_photos(conn: Connection, attached: Sequence[PhotosAttached]) -> None:
    rows = [(record.issue_id, photo) for record in attached for photo in record.photos]
    columns = _columns([photo for _, photo in rows])
    await conn.execute(_INSERT, [issue_id for issue_id, _ in rows], *columns, attached[-1].attached_at)


def _columns(photos: Sequence[StoredPhoto]) -> tuple[list[str], list[str], list[int], list[int], list[int]]:
    return (
        [photo.sha256 for photo in photos],
        [photo.media_type for photo in photos],
        [photo.size_bytes for photo in photos],
        [photo.width for photo in photos],
        [photo.height for photo in photos],
    )


async def media_type_of(conn: Connection, issue_id: UUID, sha256: str) -> str | None:
    """Return the media type; None where this issue has no such photo, whichever other issue has it."""
    media_type: str | None = await conn.fetchval(
        "SELECT media_type FROM evidence WHERE issue_id = $1 AND sha256 = $2", issue_id, sha256
    )
    return media_type
